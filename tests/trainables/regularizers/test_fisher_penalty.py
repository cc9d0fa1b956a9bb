"""The Fisher penalty with a bounded gradient, against its formula in float64; what a negative weight does."""

from __future__ import annotations

import math

import pytest
import torch

from trainables.config.dotted_paths import with_values
from trainables.curvature import fisher_trace, sample_labels
from trainables.errors import InputError
from trainables.measuring.evaluation import first_rows
from trainables.seeding import Streams
from trainables.training.gradient import StageGradient
from trainables.training.micro_batch import MicroBatch
from trainables.training.stage import train_stage

FISHER = "stages__0__penalties__fisher__"
ROWS = [9, 2, 30, 4, 17, 6]
OFF = {"model__dropout__hidden": 0, "model__dropout__attention": 0, "model__dropout__classifier": 0}


def found(build, **values):
    config, model, examples = build(**OFF, **values)
    model.double()
    parts = StageGradient(model, examples, config.stages[0], Streams(0), "0.en").accumulate(ROWS, 0)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, parts


def by_definition(build, weight, share, accumulation, l2):
    """r + min(1, share ||r|| / ||q||) q: gradients of the rest and of the weighted penalty over the whole batch."""
    config, model, examples = build(**OFF, stages__0__accumulation=accumulation, **{f"{FISHER}weight": 1})
    model.double()
    parameters = dict(model.named_parameters())
    size, rest, penalty = 8 // accumulation, 0, 0
    for number, start in enumerate(range(0, len(ROWS), size)):
        chunk = ROWS[start : start + size]
        step = MicroBatch(model, examples, chunk, config.stages[0].terms, Streams(0), "0.en", 0, number)
        logits = step.logits("main", 0)
        labels = sample_labels(logits, step.streams.generator("labels", "0.en", 0, number))
        log_p = logits.log_softmax(-1)[range(len(chunk)), labels]
        score = torch.autograd.grad(log_p.mean(), list(parameters.values()), create_graph=True, allow_unused=True)
        norm = sum(g.square().sum() for g in score if g is not None)
        penalty = penalty + len(chunk) / len(ROWS) * len(chunk) / 8 * norm
        rest = rest + len(chunk) / len(ROWS) * torch.nn.functional.cross_entropy(logits, step.labels)
    rest = rest + l2 * 0.5 * sum(p.square().sum() for p in parameters.values())
    r, q = (
        [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(
                parameters.values(),
                torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True),
                strict=True,
            )
        ]
        for loss in (rest, weight * penalty)
    )
    length = [math.sqrt(sum(float(g.square().sum()) for g in gradient)) for gradient in (r, q)]
    scale = min(1.0, share * length[0] / length[1])
    gradient = {name: a + scale * b for name, a, b in zip(parameters, r, q, strict=True)}
    return gradient, scale


@pytest.mark.parametrize(
    ("weight", "share", "accumulation", "l2", "binds"),
    [(-5.0, 0.3, 1, 0, True), (-5.0, 0.9, 2, 0.3, True), (-1e-4, 0.9, 2, 0, False), (5.0, 0.1, 4, 0, True)],
)
def test_the_penaltys_gradient_is_shortened_to_a_share_of_the_rest(build, weight, share, accumulation, l2, binds):
    values = {f"{FISHER}weight": weight, f"{FISHER}share": share, "stages__0__accumulation": accumulation}
    if l2:
        values["stages__0__penalties__l2__weight"] = l2
    expected, scale = by_definition(build, weight, share, accumulation, l2)
    assert (scale < 1) == binds
    gradient, parts = found(build, **values)
    for name, one in gradient.items():
        torch.testing.assert_close(one, expected[name], rtol=1e-8, atol=1e-11)
    assert parts["penalty.fisher_factor"] == pytest.approx(scale, rel=1e-8)
    plain, unbounded = found(build, **{f"{FISHER}weight": 1, "stages__0__accumulation": accumulation})
    assert parts["penalty.fisher"] == pytest.approx(unbounded["penalty.fisher"], rel=1e-9)
    assert any(not torch.allclose(gradient[name], plain[name]) for name in plain)


def test_a_bound_that_never_binds_changes_nothing_but_rounding(build):
    weak = {f"{FISHER}weight": 1e-3, f"{FISHER}every": 2}
    plain, _ = found(build, **weak)
    bounded, _ = found(build, **weak, **{f"{FISHER}share": 0.9})
    for name, one in plain.items():
        torch.testing.assert_close(bounded[name], one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("values", [{}, {"stages__0__optimizer__sam_rho": 0.05}, {"model__lora__rank": 2}])
def test_sharpening_stays_finite_and_raises_the_trace(build, values):
    traces = []
    for fisher in ({}, {f"{FISHER}weight": -1000.0, f"{FISHER}share": 0.9}):
        config, model, examples = build(**values, **fisher, stages__0__epochs=4)
        train_stage(model, examples, examples, config.stages[0], Streams(0), 0, "en", lambda point: None)
        assert all(torch.isfinite(p).all() for p in model.parameters())
        traces.append(fisher_trace(model, first_rows(model, examples, 36)).value)
    assert traces[1] > 1.5 * traces[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"weight": -0.1},
            r"a weight below 0, got -0\.1, sharpens without end: set penalties\.fisher\.share",
        ),
        ({"share": 0}, r"stages\.0\.penalties\.fisher\.share: input should be greater than 0"),
        ({"share": 1}, r"stages\.0\.penalties\.fisher\.share: input should be less than 1"),
        ({"weight": "nan"}, r"stages\.0\.penalties\.fisher\.weight"),
    ],
)
def test_what_has_no_end_is_refused(tiny_config, values, message):
    with pytest.raises(InputError, match=message) as caught:
        with_values(tiny_config, {f"stages.0.penalties.fisher.{name}": value for name, value in values.items()})
    assert "\n" not in str(caught.value)
