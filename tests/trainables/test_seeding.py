import torch

from trainables.seeding import Streams


def test_equal_uses_give_equal_numbers_and_different_uses_differ():
    uses = [
        (seed, purpose, stage, step, part)
        for seed in (0, 1)
        for purpose in ("order", "dropout", "view", "labels")
        for stage in ("0.en", "1.de")
        for step in (0, 1)
        for part in (0, 1)
    ]
    seeds = [Streams(seed).derive(*use) for seed, *use in uses]
    assert len(set(seeds)) == len(uses)
    assert seeds == [Streams(seed).derive(*use) for seed, *use in uses]


def test_a_forked_stream_leaves_the_global_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with Streams(0).forked("dropout", "0.en", 3):
        inside = torch.rand(3)
    Streams(0).generator("view")
    assert torch.equal(torch.rand(3), expected)
    with Streams(0).forked("dropout", "0.en", 3):
        assert torch.equal(torch.rand(3), inside)
