import random

import pytest
import torch

from trainables.seeding import Streams
from trainables.training import micro_batch as module
from trainables.training.length_chunks import length_chunks
from trainables.training.micro_batch import MicroBatch
from trainables.training.objective import objective


def test_every_example_is_in_one_part_and_parts_rise_in_length():
    rng = random.Random(0)
    for count in (1, 2, 7, 32):
        lengths = [rng.randint(3, 128) for _ in range(count)]
        chunks = length_chunks(lengths, width=768)
        assert sorted(i for chunk in chunks for i in chunk) == list(range(count))
        tops = [max(lengths[i] for i in chunk) for chunk in chunks]
        assert tops == sorted(tops)


def test_equal_lengths_and_narrow_encoders_are_not_divided():
    assert length_chunks([40] * 32, width=768) == [list(range(32))]
    assert length_chunks([10, 128] * 16, width=16) == [list(range(32))]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"stages__0__consistency__weight": 0.5},
        {"stages__0__penalties__fisher__weight": 1.0},
        {"stages__0__penalties__fisher__weight": 1.0, "stages__0__consistency__weight": 0.5},
    ],
)
def test_the_objective_and_its_gradient_are_those_of_the_whole_batch(build, monkeypatch, values):
    results = []
    for parts in (1, 3):
        monkeypatch.setattr(
            module,
            "length_chunks",
            lambda lengths, width, parts=parts: [list(range(i, len(lengths), parts)) for i in range(parts)],
        )
        config, model, examples = build(model__dropout__hidden=0, model__dropout__attention=0, **values)
        step = MicroBatch(model, examples, [0, 3, 5, 6, 7, 8, 9], config.stages[0].terms, Streams(0), "0.en", 0, 0)
        loss = objective(step, config.stages[0])
        loss.total.backward()
        results.append((loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    (whole, expected), (divided, found) = results
    assert divided.total.item() == pytest.approx(whole.total.item(), rel=1e-5)
    for name, penalty in whole.penalties.items():
        assert divided.penalties[name].item() == pytest.approx(penalty.item(), rel=1e-4)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-5, rtol=1e-3), name
