"""Means of weights over epochs and over runs, against the naive mean of the weights that a stage passed."""

from __future__ import annotations

import copy

import pytest
import torch

from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.seeding import Streams
from trainables.training.stage import train_stage

AVERAGE = {"stages__0__selection": "average"}
RUNS = {"stages__0__runs": 3}


def trained(build, double=False, resume=None, **values):
    """The weights that a stage keeps, and where it stood after each epoch."""
    config, model, examples = build(stages__0__epochs=2, **values)
    model = model.double() if double else model
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    states = []
    train_stage(
        model, examples, examples, config.stages[0], Streams(0), 0, "en", lambda point: None,
        resume=resume, on_epoch=lambda state: states.append(copy.deepcopy(state)),
    )  # fmt: skip
    return model.state_dict(), states, start


@pytest.mark.parametrize("lora", [{}, {"model__lora__rank": 2}])
@pytest.mark.parametrize(
    ("values", "ends"), [(AVERAGE, [0, 1]), (RUNS, [1, 3, 5]), (AVERAGE | RUNS, [0, 1, 2, 3, 4, 5])]
)
def test_the_weights_are_the_uniform_mean_of_the_ends(build, values, ends, lora):
    found, states, _ = trained(build, **values, **lora)
    assert len(states) == ends[-1] + 1
    for name, tensor in found.items():
        naive = sum(states[i].model[name].double() for i in ends) / len(ends)
        assert torch.equal(tensor, naive.to(tensor.dtype))
    moved = [name for name in found if not torch.equal(found[name], states[-1].model[name])]
    assert moved
    if lora:  # frozen weights stay bit for bit
        assert all("lora" in name or "classifier" in name for name in moved)


@pytest.mark.parametrize("values", [AVERAGE, RUNS, AVERAGE | RUNS])
def test_a_stage_that_averages_goes_on_bit_for_bit(build, values):
    whole, states, _ = trained(build, **values, stages__0__optimizer__warmup=0.3)
    for state in states:
        resumed, _, _ = trained(build, **values, stages__0__optimizer__warmup=0.3, resume=state)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_each_run_begins_at_the_stages_first_weights_with_other_draws(build):
    """Whole batches without dropout leave nothing to draw, so that all runs are one."""
    same = {"stages__0__batch_size": 36, "model__dropout__hidden": 0, "model__dropout__attention": 0}
    once, _, _ = trained(build, double=True, **same)
    often, states, _ = trained(build, double=True, **same, **RUNS)
    for name, tensor in once.items():
        torch.testing.assert_close(often[name], tensor, rtol=1e-6, atol=1e-9)
    _, states, start = trained(build, **RUNS)
    first, second = states[1].model, states[3].model
    assert any(not torch.equal(first[name], second[name]) for name in start)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"runs": 2, "selection": "best_english"},
            "runs=2 averages weights after equal epochs.*no selection=best_english",
        ),
        ({"runs": 2, "until.train_nll": 0.1}, "runs=2 averages weights after equal epochs.*no until"),
        ({"selection": "average", "until.train_nll": 0.1}, "selection must be last, not average"),
    ],
)
def test_what_cannot_be_averaged_is_refused(tiny_config, values, message):
    with pytest.raises(InputError, match=message):
        with_values(tiny_config, {f"stages.0.{name}": value for name, value in values.items()})
