"""Scores on the test files, and the predictions that are kept, once at the end of each stage.

No choice depends on anything here: not which epoch is kept, what a search draws next, or what the report answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from trainables.config import ENGLISH
from trainables.data.task_data import TaskData
from trainables.examples import Examples
from trainables.measuring.evaluation import Evaluation, predict, score
from trainables.measuring.predictions import PredictionFile
from trainables.tokenization.encoding import Encoder


@dataclass
class HeldOut:
    """The test examples of a trial, and where its predictions go.

    Attributes:
        validation: Language to validation examples.
        file: Keeps the predictions; None keeps none.
        dtype: Format of the passes, as ``precision.training_dtype`` decides.
    """

    data: TaskData
    encoder: Encoder
    validation: Mapping[str, Examples]
    file: PredictionFile | None
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self._test = {language: Examples(rows, self.encoder) for language, rows in self.data.test.items()}

    def after_first_stage(self, model: PreTrainedModel) -> dict[str, float]:
        """After stage 0, keep the predictions and score the test files: ``test.*.LANG``, empty without test files."""
        values: dict[str, float] = {}
        for language in self.validation:
            if (found := self._score(model, language, 0)) is not None:
                values |= {
                    f"test.accuracy.{language}": found.accuracy,
                    f"test.f1.{language}": found.f1,
                    f"test.nll.{language}": found.nll,
                }
        self._save()
        return values

    def after_second_stage(self, model: PreTrainedModel, language: str) -> dict[str, float]:
        """After stage 1, keep the language's predictions and score it and English on test: ``stage2.LANG.test_*``."""
        values: dict[str, float] = {}
        if (found := self._score(model, language, 1)) is not None:
            english = self._test[ENGLISH]
            right = score(predict(model, english, dtype=self.dtype), english.labels).accuracy
            values = {
                f"stage2.{language}.test_accuracy": found.accuracy,
                f"stage2.{language}.test_f1": found.f1,
                f"stage2.{language}.test_nll": found.nll,
                f"stage2.{language}.test_accuracy_en": right,
            }
        self._save()
        return values

    def _score(self, model: PreTrainedModel, language: str, stage: int) -> Evaluation | None:
        """The score on test, or None without a test file; the predictions of both splits are kept."""
        if self.file is not None:
            examples = self.validation[language]
            logits = predict(model, examples, dtype=self.dtype)
            self.file.add("validation", language, stage, self.data.validation_rows[language], examples.labels, logits)
        if language not in self._test:
            return None
        examples = self._test[language]
        logits = predict(model, examples, dtype=self.dtype)
        if self.file is not None:
            self.file.add("test", language, stage, self.data.test_rows[language], examples.labels, logits)
        return score(logits, examples.labels)

    def _save(self) -> None:
        if self.file is not None:
            self.file.save(self.data.labels)
