"""One clear line for each kind of wrong input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.trainables.curvature.cases import make_batch, make_model
from trainables.curvature import NonFiniteLogits, SlowPathWarning, fisher_trace
from trainables.errors import Diverged, InputError


def labelled(*labels: Any, dtype: torch.dtype = torch.long) -> dict[str, torch.Tensor]:
    return {**make_batch(rows=len(labels)), "labels": torch.tensor(labels, dtype=dtype)}


@pytest.mark.parametrize(
    ("batches", "options", "message"),
    [
        ([], {}, "no examples: the batches are empty"),
        ([{"input_ids": torch.zeros(0, 3, dtype=torch.long)}], {}, "no examples"),
        (
            [{"input_ids": [[1, 2]]}],
            {},
            r"batch 0: 'input_ids' must be a tensor with one row an example, got \[\[1, 2\]\]",
        ),
        ([{}], {}, "batch 0 has no inputs"),
        (
            [{"input_ids": torch.ones(2, 3, dtype=torch.long), "attention_mask": torch.ones(1, 3)}],
            {},
            "batch 0: every tensor needs the same number of rows, got {'input_ids': 2, 'attention_mask': 1}",
        ),
        (
            [
                make_batch(),
                {
                    "input_ids": torch.ones(2, 3, dtype=torch.long),
                    "attention_mask": torch.tensor([[1, 0, 0], [0, 0, 0]]),
                },
            ],
            {},
            r"example 6 \(counting from 0\) attends to no token",
        ),
        (
            [make_batch()],
            {"estimator": "hutchinson"},
            "unknown estimator 'hutchinson'; known: auto, exact, signs, monte-carlo, empirical",
        ),
        (
            [make_batch()],
            {"samples": 0},
            "1 or more, and 1 unless the estimator is signs or monte-carlo, got 0",
        ),
        ([make_batch()], {"samples": 2, "estimator": "exact"}, "samples must be 1 or more, and 1 unless"),
        ([make_batch()], {"estimator": "empirical"}, "needs observed labels: give each batch a tensor 'labels'"),
        (
            [labelled(0, 3)],
            {"estimator": "empirical"},
            r"example 1 \(counting from 0\) has the label 3, not one of 0 to 2",
        ),
        ([labelled(-100, 1)], {"estimator": "empirical"}, r"example 0 \(counting from 0\) has the label -100"),
        ([labelled(0.5, 1.0, dtype=torch.float)], {"estimator": "empirical"}, "has the label 0.5"),
    ],
)
def test_wrong_batches_and_options(batches: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fisher_trace(make_model(), batches, **options)


def test_one_label() -> None:
    with pytest.raises(InputError, match="the model has one label"):
        fisher_trace(make_model(classes=1), [make_batch()])


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_problems_without_a_softmax(problem: str) -> None:
    with pytest.raises(InputError, match=f"the model is set up for {problem}"):
        fisher_trace(make_model(problem_type=problem), [make_batch()])


def test_low_precision() -> None:
    with pytest.raises(
        InputError, match=r"needs float32 or better, but bert.* is bfloat16: call model.float\(\) first"
    ):
        fisher_trace(make_model().bfloat16(), [make_batch()])


def test_nothing_to_count() -> None:
    with pytest.raises(InputError, match="no parameter requires a gradient"):
        fisher_trace(make_model().requires_grad_(False), [make_batch()])


def test_a_model_built_in_inference_mode() -> None:
    with torch.inference_mode():
        model = make_model()
    with pytest.raises(InputError, match=r"made under torch.inference_mode: build or load the model outside of it"):
        fisher_trace(model, [make_batch()])


def test_too_long() -> None:
    with pytest.raises(InputError, match=r"outside the model's tables \(examples of 70 positions\)"):
        fisher_trace(make_model(), [make_batch(length=70)])


def test_diverged_models_are_both_kinds_of_error() -> None:
    assert issubclass(NonFiniteLogits, InputError)
    assert issubclass(NonFiniteLogits, Diverged)


class Broken(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.error = error

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
)
def test_out_of_memory(error: Exception) -> None:
    with (
        pytest.warns(SlowPathWarning),
        pytest.raises(InputError, match="out of memory with 1 examples of 4 positions: use smaller batches"),
    ):
        fisher_trace(Broken(error), [{"input_ids": torch.ones(2, 4, dtype=torch.long)}])


def test_other_errors_pass_through() -> None:
    with pytest.warns(SlowPathWarning), pytest.raises(RuntimeError, match="a bug"):
        fisher_trace(Broken(RuntimeError("a bug")), [{"input_ids": torch.ones(2, 4, dtype=torch.long)}])


class Tagger(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.output = output

    def forward(self, input_ids: torch.Tensor) -> Any:
        return self.output


@pytest.mark.parametrize(("output", "found"), [(torch.ones(1, 4, 3), r"\[1, 4, 3\]"), ("text", "str")])
def test_not_a_classifier(output: Any, found: str) -> None:
    batch = {"input_ids": torch.ones(1, 4, dtype=torch.long)}
    message = rf"must return logits \[examples, classes\], got {found}: it is not a classifier"
    with pytest.warns(SlowPathWarning), pytest.raises(InputError, match=message):
        fisher_trace(Tagger(output), [batch])
