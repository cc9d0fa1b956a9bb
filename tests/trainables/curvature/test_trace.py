"""Exact Tr(F) against the definition: one example and one label at a time, in float64."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from tests.reference import double, fisher_trace_by_loop, fisher_trace_by_parameter
from tests.trainables.curvature.cases import FAMILIES, make_batch, make_model
from trainables.curvature import fisher_trace
from trainables.curvature.estimate import layer_group
from trainables.curvature.fast_path import rules
from trainables.curvature.fast_path.norms import NormSums
from trainables.curvature.fast_path.sharing import Source

EXACT = {"rtol": 1e-10, "atol": 0.0}
SINGLE = {"rtol": 1e-4, "atol": 0.0}


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_example_agrees_with_the_loop(family: str, classes: int) -> None:
    model, batch = make_model(family, classes), make_batch(family)
    expected = fisher_trace_by_loop(model, batch)
    in_double = fisher_trace(double(model), [batch])
    in_single = fisher_trace(model, [batch], slow="error")
    assert in_double.path == in_single.path == "fast"
    torch.testing.assert_close(in_double.per_example, expected, **EXACT)
    torch.testing.assert_close(in_single.per_example, expected, **SINGLE)
    assert in_single.num_classes == classes
    assert in_single.num_examples == 5


@pytest.mark.parametrize("family", FAMILIES)
def test_layer_groups_agree_with_the_loop_and_sum_to_the_whole(family: str) -> None:
    model, batch = make_model(family), make_batch(family)
    expected: dict[str, float] = {}
    entries: dict[str, int] = {}
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    for name, values in fisher_trace_by_parameter(model, batch).items():
        expected[layer_group(name)] = expected.get(layer_group(name), 0.0) + float(values.mean())
        entries[layer_group(name)] = entries.get(layer_group(name), 0) + sizes[name]
    estimate = fisher_trace(double(model), [batch])
    assert estimate.parameters_per_layer == entries
    assert estimate.per_layer == pytest.approx(expected, rel=1e-10)
    assert sum(estimate.per_layer.values()) == pytest.approx(estimate.value, rel=1e-12)
    pooler = ["pooler"] if family == "bert" else []
    assert list(estimate.per_layer) == ["embeddings", "layer.0", "layer.1", *pooler, "classifier"]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_implementations_agree(attention: str) -> None:
    model, batch = make_model(), make_batch()
    model.set_attn_implementation(attention)
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, fisher_trace_by_loop(model, batch), **SINGLE)


@pytest.mark.parametrize("gap", [10.0, 18.0, 25.0])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_confident_float32_model_keeps_its_trace(gap: float, place: int) -> None:
    model, batch = make_model(), make_batch()
    with torch.no_grad():
        model.classifier.weight.mul_(0.01)
        model.classifier.bias.zero_()
        model.classifier.bias[place] = gap
    expected = fisher_trace_by_loop(model, batch)
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, expected, **SINGLE)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "distilbert"])
def test_order_padding_and_batch_size_do_not_matter(family: str) -> None:
    model, batch = double(make_model(family)), make_batch(family, rows=12)
    whole = fisher_trace(model, [batch])
    pad = 1 if family == "xlm-roberta" else 0
    wider = {
        key: torch.nn.functional.pad(value, (0, 9), value=pad * (key == "input_ids")) for key, value in batch.items()
    }
    singles = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(12)]
    for batches in ([wider], singles, [{key: value[:7] for key, value in wider.items()}, *singles[7:]]):
        torch.testing.assert_close(fisher_trace(model, batches).per_example, whole.per_example, **EXACT)
    backwards = fisher_trace(model, [{key: value.flip(0) for key, value in batch.items()}])
    torch.testing.assert_close(backwards.per_example.flip(0), whole.per_example, **EXACT)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_ids_may_be_given_or_left_to_the_model(family: str) -> None:
    model, batch = double(make_model(family)), make_batch(family)
    expected = fisher_trace_by_loop(model, batch)
    counted = torch.arange(9).expand(5, 9) if family == "bert" else None
    if counted is not None:
        batch = {**batch, "position_ids": counted}
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, expected, **EXACT)
    bare = {"input_ids": make_batch(family)["input_ids"]}
    torch.testing.assert_close(fisher_trace(model, [bare]).per_example, fisher_trace_by_loop(model, bare), **EXACT)


def test_padding_on_the_left_is_not_trimmed() -> None:
    model = double(make_model())
    batch = {key: value.flip(1) for key, value in make_batch().items()}
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, fisher_trace_by_loop(model, batch), **EXACT)


def test_long_inputs_take_the_direct_product(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    direct = rules.norms_directly
    monkeypatch.setattr(rules, "norms_directly", lambda *a: calls.append(1) or direct(*a))
    model, batch = double(make_model()), make_batch(length=40, rows=3)
    estimate = fisher_trace(model, [batch])
    assert calls
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), **EXACT)


@pytest.mark.parametrize(
    "frozen",
    [
        "bert.embeddings",
        "bert.encoder.layer.0.attention",
        "bert.encoder.layer.1",
        "query.bias",
        "weight",
        "bias",
        "LayerNorm.weight",
        "word_embeddings",
    ],
)
def test_frozen_parameters_do_not_count(frozen: str) -> None:
    model, batch = double(make_model()), make_batch()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(frozen not in name)
    estimate = fisher_trace(model, [batch], slow="error")
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), **EXACT)
    assert estimate.num_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_fixed_sinusoidal_positions_do_not_count() -> None:
    model, batch = double(make_model("distilbert", sinusoidal_pos_embds=True)), make_batch("distilbert")
    model.distilbert.embeddings.position_embeddings.weight.requires_grad_(False)
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, fisher_trace_by_loop(model, batch), **EXACT)


def test_a_layer_norm_with_weight_zero_has_the_right_gradient() -> None:
    model, batch = double(make_model()), make_batch()
    with torch.no_grad():
        model.bert.encoder.layer[0].output.LayerNorm.weight[:3] = 0.0
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, fisher_trace_by_loop(model, batch), **EXACT)


def test_logistic_regression_by_hand() -> None:
    """With all but the classifier frozen, sum_y p_y ||grad||^2 = (1 - sum p^2) (||x||^2 + 1), x the pooled vector."""
    model, batch = double(make_model()), make_batch()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("classifier"))
    pooled = model.bert(**batch).pooler_output.detach()
    p = model(**batch).logits.softmax(1).detach()
    expected = (1 - p.square().sum(1)) * (pooled.square().sum(1) + 1)
    torch.testing.assert_close(fisher_trace(model, [batch]).per_example, expected, **EXACT)


def test_rounding_does_not_make_a_norm_negative() -> None:
    sums = NormSums({"classifier.weight": "classifier"}, Counter())
    sums.add(Source(torch.zeros(2), None, "classifier.weight"), torch.tensor([-1e-12, 2.0]))
    assert sums.found["classifier"].tolist() == [0.0, 2.0]


def test_an_example_without_curvature_has_none() -> None:
    model, batch = make_model(), make_batch()
    with torch.no_grad():
        model.classifier.bias[1] = 80.0
    estimate = fisher_trace(model, [batch])
    assert 0 <= estimate.value < 1e-20


def test_value_and_standard_error_are_those_of_the_examples() -> None:
    estimate = fisher_trace(make_model(), [make_batch(rows=6)])
    assert estimate.value == pytest.approx(float(estimate.per_example.mean()))
    assert estimate.standard_error == pytest.approx(float(estimate.per_example.std()) / 6**0.5)
    assert estimate.seconds > 0
    assert estimate.per_example.dtype == torch.float64


def test_one_example_has_no_standard_error() -> None:
    assert fisher_trace(make_model(), [make_batch(rows=1)]).standard_error != 0
    assert torch.tensor(fisher_trace(make_model(), [make_batch(rows=1)]).standard_error).isnan()


def test_progress_counts_the_examples() -> None:
    seen: list[tuple[int, int]] = []
    fisher_trace(make_model(), [make_batch(rows=3), make_batch(rows=4)], progress=lambda *a: seen.append(a))
    assert seen[-1] == (7, 7)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_two_measurements_are_equal_bit_for_bit() -> None:
    model, batch = make_model(), make_batch()
    assert torch.equal(fisher_trace(model, [batch]).per_example, fisher_trace(model, [batch]).per_example)
