"""Tr(F) and equation 1 along the English stage: what is measured when, and that nothing is left behind."""

from __future__ import annotations

import copy
import math
import weakref
from types import SimpleNamespace

import pytest
import torch

from trainables.curvature import fisher_trace, kl_expansion
from trainables.measuring import trajectory as module
from trainables.measuring.evaluation import first_rows
from trainables.measuring.trajectory import Trajectory
from trainables.seeding import Streams


@pytest.fixture
def along(build):
    """A function that makes a Trajectory of ten steps, with its model, examples and points."""

    def make(**values):
        config, model, examples = build(**values)
        points = []
        return Trajectory(model, examples, config, Streams(0), 36, points.append), model, examples, points

    return make


@pytest.mark.parametrize(
    ("traces", "every", "peak"),
    [
        ([90, 1, 3, 3, 2, 1, 80, 70, 60, 50], 1, {"fisher_trace_peak": 3, "fisher_trace_peak_step": 2}),
        ([90, 1, 2, 3, 4, 5, 6, 7, 8, 9], 1, {"fisher_trace_peak": 5, "fisher_trace_peak_step": 5}),
        ([90, 80], 6, {}),
    ],
)
def test_the_peak_is_the_largest_value_of_the_first_half_without_the_untrained_head(
    along, monkeypatch, traces, every, peak
):
    remaining = iter(traces)
    found = lambda *_: SimpleNamespace(value=next(remaining), standard_error=math.nan, num_examples=1)  # noqa: E731
    monkeypatch.setattr(module, "fisher_trace", found)
    trajectory, _, _, points = along(measure__trace_every=every)
    for step in range(11):
        trajectory.measure(step)
    assert trajectory.finish(10, {"fisher_trace": 7.0}) == peak
    assert [point.value for point in points] == [*traces, 7.0]
    assert [point.step for point in points] == [*range(0, 10, every), 10]
    assert [point.epoch for point in points] == [point.step / 5 for point in points]
    assert {point.standard_error for point in points} == {None}


def test_nothing_is_measured_unless_it_is_asked_for(along):
    trajectory, _, _, points = along()
    for step in range(11):
        trajectory.measure(step)
    assert (trajectory.finish(10, {"fisher_trace": 7.0}), points) == ({}, [])


def test_equation_one_before_during_and_after(along):
    trajectory, model, examples, points = along(
        measure__expansion__sigmas="1e-2,1e-6", measure__expansion__draws=3, measure__expansion__every=4,
        measure__expansion__examples=5,
    )  # fmt: skip
    for step in range(11):
        trajectory.measure(step)
    values = trajectory.finish(10, {})
    assert [(point.step, point.x) for point in points] == [(step, x) for step in (0, 4, 8, 10) for x in (1e-6, 1e-2)]
    assert {point.name for point in points} == {"kl_ratio"}
    assert all(point.standard_error is not None and point.standard_error >= 0 for point in points)
    generator = Streams(0).generator("directions", "0.en", 10)
    expected = kl_expansion(model, first_rows(model, examples, 5), (1e-6, 1e-2), 3, generator=generator)
    assert [point.value for point in points[-2:]] == expected.ratio_mean
    assert [point.value for point in points[:2]] != expected.ratio_mean  # other directions at each step
    assert points[-2].value == pytest.approx(1.0, abs=1e-3)
    assert values == {
        "expansion.trace": expected.trace.value,
        "expansion.quadratic": expected.quadratic_mean,
        "expansion.quadratic_se": expected.quadratic_standard_error,
    }
    assert values["expansion.trace"] == pytest.approx(fisher_trace(model, first_rows(model, examples, 5)).value, 1e-4)


def test_a_single_direction_has_no_standard_error(along):
    trajectory, _, _, points = along(measure__expansion__draws=1, measure__expansion__sigmas="1e-3")
    assert "expansion.quadratic_se" not in trajectory.finish(10, {})
    assert [point.standard_error for point in points] == [None]


def test_a_model_that_is_certain_has_no_ratio_and_no_stack_trace(along):
    trajectory, model, _, points = along(measure__expansion__draws=2)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1e4, 0.0]))
    trajectory.measure(0)
    assert points == []
    assert trajectory.finish(10, {}) == {
        "expansion.trace": 0.0, "expansion.quadratic": 0.0, "expansion.quadratic_se": 0.0
    }  # fmt: skip


def test_the_float64_copy_is_freed_at_once(along, monkeypatch):
    copies = []
    original = copy.deepcopy

    def watched(value, *rest):
        twin = original(value, *rest)
        if isinstance(value, torch.nn.Module) and not rest:
            copies.append(weakref.ref(twin))
        return twin

    monkeypatch.setattr(copy, "deepcopy", watched)
    trajectory, _, _, _ = along(measure__expansion__draws=1)
    trajectory.measure(0)
    assert copies
    assert [reference() for reference in copies] == [None] * len(copies)
