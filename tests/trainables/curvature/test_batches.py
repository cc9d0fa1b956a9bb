from __future__ import annotations

import pytest
import torch

from trainables.curvature.batches import attended_length, chunks, read_examples


def batches(lengths: list[int], size: int, width: int) -> list[dict[str, torch.Tensor]]:
    mask = (torch.arange(width) < torch.tensor(lengths).unsqueeze(1)).long()
    ids = torch.arange(1, len(lengths) * width + 1).reshape(len(lengths), width)
    return [
        {"input_ids": ids[i : i + size], "attention_mask": mask[i : i + size]} for i in range(0, len(lengths), size)
    ]


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("width", [20, 200])
def test_every_example_is_in_one_chunk_without_shared_padding(size: int, width: int) -> None:
    lengths = torch.randint(2, width + 1, (23,), generator=torch.Generator().manual_seed(size)).tolist()
    examples = read_examples(batches(lengths, size, width))
    seen: list[int] = []
    for chunk, inputs in chunks(examples, pad_token=0):
        longest = max(lengths[i] for i in chunk)
        assert inputs["input_ids"].shape == (len(chunk), longest)
        assert len(chunk) <= size
        assert len(chunk) * longest <= size * width
        for row, i in enumerate(chunk):
            kept = inputs["input_ids"][row, : lengths[i]]
            assert torch.equal(kept, examples.inputs[i]["input_ids"][0, : lengths[i]])
            assert (inputs["input_ids"][row, lengths[i] :] == 0).all()
            assert int(inputs["attention_mask"][row].sum()) == lengths[i]
        seen += chunk
    assert sorted(seen) == list(range(23))
    assert [lengths[i] for i in seen] == sorted(lengths, reverse=True)


def test_a_busy_chunk_ends_before_an_example_that_is_much_shorter() -> None:
    examples = read_examples(batches([100] * 8 + [80] * 8, 16, 100))
    assert [len(chunk) for chunk, _ in chunks(examples, pad_token=0)] == [8, 8]
    examples = read_examples(batches([100] * 8 + [90] * 8, 16, 100))
    assert [len(chunk) for chunk, _ in chunks(examples, pad_token=0)] == [16]
    examples = read_examples(batches([10] * 8 + [5] * 8, 16, 10))
    assert [len(chunk) for chunk, _ in chunks(examples, pad_token=0)] == [16]


def test_length_runs_to_the_last_attended_position() -> None:
    ids = torch.ones(1, 5, dtype=torch.long)
    assert attended_length({"input_ids": ids}) == 5
    assert attended_length({"input_ids": ids, "attention_mask": torch.tensor([[0, 1, 0, 1, 0]])}) == 4


def test_labels_are_kept_apart() -> None:
    (batch,) = batches([3, 2], 2, 3)
    examples = read_examples([{**batch, "labels": torch.tensor([1, 0])}, batch])
    assert [None if label is None else int(label) for label in examples.labels] == [1, 0, None, None]
    assert all("labels" not in example for example in examples.inputs)


def test_without_a_mask_only_equal_lengths_go_together() -> None:
    examples = read_examples([{"input_ids": torch.ones(2, width, dtype=torch.long)} for width in (10, 9, 10)])
    assert [(len(chunk), inputs["input_ids"].shape[1]) for chunk, inputs in chunks(examples, pad_token=0)] == [
        (2, 10),
        (2, 10),
        (2, 9),
    ]
