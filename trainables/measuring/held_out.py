"""Scores on the test files, and the predictions that are kept, once at the end of each stage.

No choice looks at anything here: which epoch is kept, what a search draws next, what the report answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from trainables.config import ENGLISH
from trainables.data.task_data import TaskData
from trainables.examples import Examples
from trainables.measuring.evaluation import Evaluation, predict, score
from trainables.measuring.predictions import PredictionFile
from trainables.tokenization.encoding import Encoder


class HeldOut:
    """The test examples of a trial, and where its predictions go.

    Args:
        validation: Language to validation examples.
        file: Keeps the predictions; None keeps none.
        dtype: Format of the passes, as ``precision.training_dtype`` decides.
    """

    def __init__(
        self,
        data: TaskData,
        encoder: Encoder,
        validation: Mapping[str, Examples],
        file: PredictionFile | None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._data = data
        self._test = {language: Examples(rows, encoder) for language, rows in data.test.items()}
        self._validation = validation
        self._file = file
        self._dtype = dtype

    def after_first_stage(self, model: PreTrainedModel) -> dict[str, float]:
        """After stage 0 keep the predictions and score the test files: ``test.*.LANG``, empty without test files."""
        values: dict[str, float] = {}
        for language in self._validation:
            if (found := self._score(model, language, 0)) is not None:
                values |= {
                    f"test.accuracy.{language}": found.accuracy,
                    f"test.f1.{language}": found.f1,
                    f"test.nll.{language}": found.nll,
                }
        self._save()
        return values

    def after_second_stage(self, model: PreTrainedModel, language: str) -> dict[str, float]:
        """After stage 1 keep the language's predictions and score it and English on test: ``stage2.LANG.test_*``."""
        values: dict[str, float] = {}
        if (found := self._score(model, language, 1)) is not None:
            english = self._test[ENGLISH]
            right = score(predict(model, english, dtype=self._dtype), english.labels).accuracy
            values = {
                f"stage2.{language}.test_accuracy": found.accuracy,
                f"stage2.{language}.test_f1": found.f1,
                f"stage2.{language}.test_nll": found.nll,
                f"stage2.{language}.test_accuracy_en": right,
            }
        self._save()
        return values

    def _score(self, model: PreTrainedModel, language: str, stage: int) -> Evaluation | None:
        if self._file is not None:
            self._predict(
                model, "validation", self._validation[language], self._data.validation_rows[language], language, stage
            )
        if language not in self._test:
            return None
        examples = self._test[language]
        return score(
            self._predict(model, "test", examples, self._data.test_rows[language], language, stage), examples.labels
        )

    def _predict(
        self, model: PreTrainedModel, split: str, examples: Examples, rows: Sequence[int], language: str, stage: int
    ) -> torch.Tensor:
        logits = predict(model, examples, dtype=self._dtype)
        if self._file is not None:
            self._file.add(split, language, stage, rows, examples.labels, logits)
        return logits

    def _save(self) -> None:
        if self._file is not None:
            self._file.save(self._data.labels)
