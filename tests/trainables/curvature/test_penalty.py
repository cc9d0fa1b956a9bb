"""The Fisher penalty: its value, its gradient, its mean over labels, and what it must leave alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.reference import double, squared_mean_score_at
from tests.trainables.curvature.cases import FAMILIES, make_batch, make_model
from trainables.curvature import (
    fisher_penalty,
    fisher_trace,
    penalty_forward,
    require_second_derivatives,
    sample_labels,
    squared_mean_score,
    unique_embedding_rows,
)
from trainables.errors import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient(model: Any, batch: dict[str, torch.Tensor], seed: int = 0) -> torch.Tensor:
    torch.manual_seed(11)
    penalty = fisher_penalty(model, batch, generator=seeded(seed))
    parts = torch.autograd.grad(penalty, list(model.parameters()))
    return torch.cat([part.reshape(-1) for part in parts])


def labels_drawn(model: Any, batch: dict[str, torch.Tensor], seed: int = 0) -> list[int]:
    with torch.no_grad():
        return sample_labels(model(**batch).logits, seeded(seed)).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_value_is_the_squared_mean_of_the_scores(family: str) -> None:
    model, batch = make_model(family), make_batch(family)
    expected = squared_mean_score_at(model, batch, labels_drawn(model, batch))
    assert fisher_penalty(double(model), batch, generator=seeded()).item() == pytest.approx(expected, rel=1e-10)
    assert fisher_penalty(model, batch, generator=seeded()).item() == pytest.approx(expected, rel=1e-4)
    value = fisher_penalty(model, batch, generator=seeded(), create_graph=False)
    assert value.item() == pytest.approx(expected, rel=1e-4)
    assert not value.requires_grad


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_gradient_agrees_with_float64(family: str) -> None:
    model, batch = make_model(family), make_batch(family)
    expected = gradient(double(model), batch)
    assert expected.norm() > 0
    assert (gradient(model, batch).double() - expected).norm() / expected.norm() < 1e-5


def test_gradient_agrees_with_a_difference_quotient() -> None:
    model, batch = double(make_model()), make_batch()
    require_second_derivatives(model)
    parameters, step = list(model.parameters()), 1e-6
    direction = [torch.randn(p.shape, generator=seeded(k), dtype=torch.float64) for k, p in enumerate(parameters)]
    # The padding row has no gradient by definition, though the value moves with it where [PAD] is attended.
    direction[0][0] = 0.0
    slope = gradient(model, batch) @ torch.cat([d.reshape(-1) for d in direction])
    labels = torch.tensor(labels_drawn(model, batch))
    values = []
    for change in (step, -2 * step):
        torch._foreach_add_([p.data for p in parameters], direction, alpha=change)
        values.append(squared_mean_score(model(**batch).logits, labels, parameters).item())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope.item(), rel=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("train", [False, True])
def test_unique_rows_and_lean_functions_change_nothing(family: str, train: bool) -> None:
    model, batch = double(make_model(family)), make_batch(family)
    model.train(train)
    found = gradient(model, batch)
    torch.manual_seed(11)
    model.set_attn_implementation("eager")
    logits = model(**batch).logits
    labels = sample_labels(logits, seeded())
    plain = torch.autograd.grad(cross_entropy(logits, labels), list(model.parameters()), create_graph=True)
    penalty = sum(g.square().sum() for g in plain)
    expected = torch.cat([g.reshape(-1) for g in torch.autograd.grad(penalty, list(model.parameters()))])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_rows_of_the_batch_only_and_padding_has_no_gradient() -> None:
    model, batch = make_model(), make_batch()
    require_second_derivatives(model)
    table = model.bert.embeddings.word_embeddings.weight
    with unique_embedding_rows(model, batch["input_ids"]) as wrt:
        logits = model(**batch).logits
    distinct = len(batch["input_ids"].unique())
    assert [t.shape[0] for t in wrt if t.shape == (distinct, 16) and not t.is_leaf] == [distinct]
    assert all(t is not table for t in wrt)
    assert len(wrt) == len(list(model.parameters()))
    squared_mean_score(logits, sample_labels(logits, seeded()), wrt).backward()
    absent = sorted(set(range(30)) - set(batch["input_ids"].unique().tolist()))
    assert table.grad is not None
    assert table.grad[absent].abs().sum() == 0
    assert table.grad[0].abs().sum() == 0
    assert table.grad[batch["input_ids"][0, 0]].abs().sum() > 0


def test_one_forward_pass_serves_both_losses() -> None:
    model, batch, targets = double(make_model()), make_batch(), torch.tensor([0, 1, 2, 0, 1])
    calls = []
    handle = model.bert.register_forward_hook(lambda *_: calls.append(1))
    with penalty_forward(model, batch["input_ids"]) as wrt:
        logits = model(**batch).logits
    handle.remove()
    require_second_derivatives(model)
    with penalty_forward(model, batch["input_ids"]) as wrt:
        logits = model(**batch).logits
    labels = sample_labels(logits, seeded())
    (cross_entropy(logits, targets) + 0.3 * squared_mean_score(logits, labels, wrt)).backward()
    found = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    assert len(calls) == 1
    model.zero_grad()
    loss = torch.autograd.grad(model(**batch, labels=targets).loss, list(model.parameters()))
    expected = torch.cat([g.reshape(-1) for g in loss]) + 0.3 * gradient(model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_mean_over_labels_is_the_trace_divided_by_the_batch() -> None:
    model, batch = make_model(), make_batch(rows=6)
    require_second_derivatives(model)
    trace = fisher_trace(model, [batch]).value
    with penalty_forward(model, batch["input_ids"]) as wrt:
        logits = model(**batch).logits
    generator = seeded()
    draws = torch.tensor(
        [
            6 * squared_mean_score(logits, sample_labels(logits, generator), wrt, create_graph=False).item()
            for _ in range(300)
        ]
    )
    error = draws.std() / 300**0.5
    assert error < 0.15 * trace
    assert abs(draws.mean() - trace) < 4 * error


def test_mean_over_labels_with_micro_batches() -> None:
    """(b/B) ||mean over b||^2, averaged over the micro-batches, has the mean Tr(F)/B of the full batch."""
    model, batch = make_model(), make_batch(rows=6)
    require_second_derivatives(model)
    trace, generator, pieces = fisher_trace(model, [batch]).value, seeded(), []
    for start in (0, 2, 4):
        part = {key: value[start : start + 2] for key, value in batch.items()}
        with penalty_forward(model, part["input_ids"]) as wrt:
            pieces.append((model(**part).logits, wrt))
    draws = []
    for _ in range(120):
        penalties = [
            squared_mean_score(logits, sample_labels(logits, generator), wrt, create_graph=False)
            for logits, wrt in pieces
        ]
        draws.append(6 * (2 / 6) * torch.stack(penalties).mean().item())
    found = torch.tensor(draws)
    error = found.std() / 120**0.5
    assert error < 0.15 * trace
    assert abs(found.mean() - trace) < 4 * error


def test_sampling_leaves_the_dropout_stream_alone() -> None:
    model, batch = make_model().train(), make_batch()
    torch.manual_seed(0)
    model(**batch)
    expected = torch.random.get_rng_state()
    torch.manual_seed(0)
    fisher_penalty(model, batch, generator=seeded())
    assert torch.equal(torch.random.get_rng_state(), expected)


def test_equal_seeds_give_equal_penalties() -> None:
    model, batch = make_model(), make_batch(rows=8)
    values = [fisher_penalty(model, batch, generator=seeded(s)).item() for s in (0, 0, 1, 2)]
    assert values[0] == values[1]
    assert len(set(values)) > 1


def test_labels_are_constants_from_wide_probabilities() -> None:
    logits = torch.tensor([[8.0, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    drawn = torch.cat([sample_labels(logits.expand(1000, 2), seeded(s)) for s in range(40)])
    assert not drawn.requires_grad
    # bfloat16 would round p = 0.99966 to 1.
    assert 0 < int(drawn.sum()) < 40


def test_labels_are_ignored_by_the_penalty() -> None:
    model, batch = make_model(), make_batch()
    labelled = {**batch, "labels": torch.tensor([0, 1, 2, 0, 1])}
    assert fisher_penalty(model, labelled, generator=seeded()) == fisher_penalty(model, batch, generator=seeded())


def test_checkpointing_without_reentry_gives_the_same_gradient() -> None:
    model, batch = make_model().train(), make_batch()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    expected = gradient(model, batch)
    model.activation_checkpointing_enable()
    with pytest.raises(InputError, match=r"call require_second_derivatives\(model\) first"):
        gradient(model, batch)
    require_second_derivatives(model)
    torch.testing.assert_close(gradient(model, batch), expected, rtol=1e-4, atol=1e-5)


def test_bf16_autocast_keeps_the_gradients_direction() -> None:
    model, batch = make_model(), make_batch()
    expected = gradient(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradient(model, batch)
    assert torch.cosine_similarity(found, expected, dim=0) > 0.99


@pytest.mark.parametrize("kind", ["tied", "frozen", "sparse-frequency", "hidden"])
def test_an_unusual_table_is_differentiated_whole(kind: str) -> None:
    model, batch = make_model(), make_batch()
    table = model.bert.embeddings.word_embeddings
    if kind == "tied":
        model.bert.embeddings.position_embeddings.weight = table.weight
        batch = {key: value for key, value in batch.items()}
    elif kind == "frozen":
        table.weight.requires_grad_(False)
    elif kind == "sparse-frequency":
        table.scale_grad_by_freq = True
    else:
        model.get_input_embeddings = None
    with unique_embedding_rows(model, batch["input_ids"]) as wrt:
        assert "forward" not in vars(table)
    assert all(t.is_leaf for t in wrt)
    assert len(wrt) == sum(p.requires_grad for p in model.parameters())


def test_other_ids_inside_the_context_are_refused() -> None:
    model, batch = make_model(), make_batch()
    with (
        unique_embedding_rows(model, batch["input_ids"]),
        pytest.raises(ValueError, match="was given a token id that it was not entered with"),
    ):
        model(**make_batch(seed=5))
    assert "forward" not in vars(model.bert.embeddings.word_embeddings)


def test_an_equal_copy_of_the_ids_is_accepted() -> None:
    model, batch = make_model(), make_batch()
    with penalty_forward(model, batch["input_ids"].clone()):
        inside = model(**batch).logits
    assert torch.equal(inside, model(**batch).logits)


def test_models_without_token_ids() -> None:
    model = torch.nn.Linear(3, 2)
    model.forward = lambda features: torch.nn.functional.linear(features, model.weight, model.bias)
    features = torch.randn(4, 3, generator=seeded())
    penalty = fisher_penalty(model, {"features": features}, generator=seeded())
    labels = sample_labels(model(features), seeded())
    residual = (torch.nn.functional.one_hot(labels, 2) - model(features).softmax(1)).detach()
    expected = (residual.T @ features / 4).square().sum() + residual.mean(0).square().sum()
    torch.testing.assert_close(penalty, expected)


def test_nothing_to_penalise() -> None:
    with pytest.raises(InputError, match="no parameter requires a gradient, so the Fisher penalty would be 0"):
        fisher_penalty(make_model().requires_grad_(False), make_batch(), generator=seeded())
