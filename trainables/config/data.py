"""Which examples a trial sees."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.data.registry import NAMES, check_name, find_set
from trainables.schema import Count, Frozen, Label, Language, later

ENGLISH = "en"
_PATTERN = re.compile(r"(?=.*\{split\})(?=.*\{language\})(?!/)([^{}]|\{split\}|\{language\})+")


class DataConfig(Frozen):
    """Which examples a trial sees. They are drawn with ``seed``, which all trials of a study share."""

    name: Annotated[str, AfterValidator(check_name)] = Field(
        "xnli",
        description='the data set; "custom" is any other, FILE.py:NAME one that a file of your own describes',
    )
    source: str = Field(
        "hub",
        min_length=1,
        description='"hub", "bundled", or a folder of {train,dev}-LANG.tsv, or of XNLI, PAWS-X or SIB-200 as unpacked',
    )
    labels: tuple[Label, ...] = Field(
        (),
        description="labels of a custom task; none: those that the training file declares or has, sorted. A file may "
        "number them, and for xnli and inference this is then their order",
    )
    languages: tuple[Language, ...] = Field(("de", "es", "zh"), description="target languages, English excluded")
    train_examples: Count | None = Field(20_000, description="English training examples; null takes all")
    stage2_examples: int = Field(0, ge=0, description="target-language examples of the second stage; 0: no such stage")
    validation_examples: Count | None = Field(None, description="validation examples a language; null takes all")
    split: Literal["random", "file_order"] = Field("random", description="how stage-2 and validation rows are drawn")
    max_length: int = Field(128, ge=8, description="pieces of an encoded example, special tokens included")
    seed: int = Field(0, ge=0, description="seed of the draw of examples, apart from the trial's seed")
    drop_untranslated: bool = Field(
        False, description='drop, before the draw, rows with the placeholder "NS" for a sentence in any used language'
    )

    unlabelled: Literal["refuse", "drop"] = later(
        "refuse", description="rows without a label (-, -1 or empty): refuse the file, or drop them in every language"
    )
    stage2_languages: tuple[Language, ...] | None = later(
        None, description="languages of the second stage, among data.languages; null takes all of them"
    )
    stage2_source: Literal["validation", "train"] = later(
        "validation",
        description="where the second stage's rows are drawn: validation files, or the languages' own training files",
    )
    stage2_twins: bool = later(
        False, description="with stage2_source=train: also rows whose English original trained the English stage"
    )
    repository: str | None = later(None, description="for custom from the hub: its id, OWNER/NAME")
    files: str | None = later(
        None, description='for custom from the hub: its files, such as "{language}/{split}-*.parquet"'
    )
    columns: tuple[Label, ...] = later(
        (), description="for custom from the hub: names of the columns of one or two sentences, and of the label"
    )
    test: bool = later(False, description="also score the test files at the end of each stage; no choice looks at them")

    @property
    def second_stages(self) -> tuple[str, ...]:
        """The languages of the second stage."""
        return self.languages if self.stage2_languages is None else self.stage2_languages

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        if unknown := [language for language in self.second_stages if language not in self.languages]:
            raise ValueError(
                f"data.stage2_languages: {unknown[0]!r} is not among data.languages, {','.join(self.languages)}; set "
                "data.stage2_languages, too (null: all of them)"
            )
        self._check_where_a_custom_task_is()
        self._check_labels()
        if self.stage2_twins and self.stage2_source != "train":
            raise ValueError("data.stage2_twins=true needs data.stage2_source=train")
        if self.stage2_examples and not self.second_stages:
            where = "languages" if self.stage2_languages is None else "stage2_languages"
            raise ValueError(f"data.stage2_examples={self.stage2_examples}, but data.{where} names no language")
        if ENGLISH in self.languages or len(set(self.languages)) != len(self.languages):
            raise ValueError(
                f"data.languages takes distinct target languages without {ENGLISH!r}, got {','.join(self.languages)}"
            )
        return self

    def _check_where_a_custom_task_is(self) -> None:
        custom, on_hub = self.name == "custom", self.name == "custom" and self.source == "hub"
        place = {"data.repository": self.repository, "data.files": self.files, "data.columns": self.columns}
        wrong = [name for name, value in place.items() if bool(value) != on_hub]
        if custom and (self.source == "bundled" or (on_hub and wrong)):
            raise ValueError(
                "data.name=custom needs a folder of {train,dev}-LANG.tsv files as data.source, or data.source=hub with "
                f"{', '.join(place)}; got {self.source!r}" + (f" without {', '.join(wrong)}" if on_hub else "")
            )
        if wrong:
            raise ValueError(f"{wrong[0]} is for data.name=custom with data.source=hub")
        if on_hub and (len(set(self.columns)) != len(self.columns) or len(self.columns) not in (2, 3)):
            raise ValueError(f"data.columns takes one or two columns and the label's, got {','.join(self.columns)}")
        if on_hub and (".." in str(self.files) or not _PATTERN.fullmatch(str(self.files))):
            raise ValueError(f"data.files takes a pattern with {{language}} and {{split}}, got {self.files!r}")

    def _check_labels(self) -> None:
        """Check the labels: a known task's are fixed, and only the order in which a file numbers them may be given."""
        if not self.labels:
            return
        if self.name == "custom":
            if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
                raise ValueError(f"data.labels takes two or more distinct labels, got {','.join(self.labels)}")
            return
        own = find_set(self.name).labels if self.name in NAMES else self.labels
        numbers = any(label.isdecimal() for label in own)  # numbers in a file are then labels' names
        if self.source == "hub" or numbers or sorted(self.labels) != sorted(own):
            order = "" if numbers else f"; for a folder whose files number them it gives their order: {', '.join(own)}"
            raise ValueError(f"data.labels is for data.name=custom; {self.name} has its own labels{order}")
