"""Models without a rule are measured one example at a time, or not at all; never wrongly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.reference import double, fisher_trace_by_loop
from tests.trainables.curvature.cases import make_batch, make_model
from trainables.curvature import SlowPathWarning, fisher_trace
from trainables.curvature.families import family_of, last_layer_to_shorten
from trainables.curvature.ghost import GhostNorms, NoRule
from trainables.errors import InputError


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def tie(model: Any) -> None:
    model.bert.encoder.layer[1].output.dense.weight = model.bert.encoder.layer[0].output.dense.weight


def swap(model: Any) -> None:
    old = model.classifier
    model.classifier = Doubled(16, 3)
    model.classifier.load_state_dict(old.state_dict())


def gate(model: Any) -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.full((16,), 1.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.gain

    model.dropout = Gate()


def rescale(model: Any) -> None:
    model.bert.pooler.dense.register_forward_hook(lambda module, args, output: 3 * output)


def replace_forward(model: Any) -> None:
    dense = model.bert.pooler.dense
    dense.forward = lambda x: 3 * x


def normalise_weights(model: Any) -> None:
    nn.utils.parametrizations.weight_norm(model.bert.pooler.dense)


def clip_embeddings(model: Any) -> None:
    model.bert.embeddings.token_type_embeddings.scale_grad_by_freq = True


def add_parameter(model: Any) -> None:
    model.bert.pooler.dense.register_parameter("extra", nn.Parameter(torch.zeros(1)))


def use_decoder(model: Any) -> None:
    model.config.is_decoder = True
    model.config.use_cache = False


def prelu(model: Any) -> None:
    model.bert.pooler.activation = nn.PReLU()


def chunk_feed_forward(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        layer.chunk_size_feed_forward = 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (tie, r"layer\.1\.output\.dense\.weight is tied to bert\.encoder\.layer\.0"),
        (swap, r"module classifier is a .*Doubled"),
        (gate, r"module dropout is a .*Gate, which has no rule"),
        (rescale, r"module bert\.pooler\.dense has hooks"),
        (replace_forward, r"the forward method of bert\.pooler\.dense has been replaced"),
        (normalise_weights, r"module bert\.pooler\.dense is a .*Parametrized"),
        (clip_embeddings, "is an embedding with max_norm, scale_grad_by_freq"),
        (add_parameter, r"module bert\.pooler\.dense has parameters besides weight and bias"),
        (use_decoder, "configured as a decoder"),
        (prelu, r"module bert\.pooler\.activation is a PReLU with parameters of its own"),
        (chunk_feed_forward, r"module bert\.encoder\.layer\.0\.intermediate\.dense is used more than once"),
    ],
)
def test_a_model_that_the_rules_do_not_cover_takes_the_slow_path_and_is_right(change: Any, reason: str) -> None:
    model = make_model()
    change(model)
    batch = make_batch()
    with pytest.warns(SlowPathWarning, match=reason) as warned:
        estimate = fisher_trace(model, [batch])
    assert len(warned) == 1
    assert estimate.path == "slow"
    assert estimate.note is not None
    assert "about 4 times as long" in estimate.note
    if change is clip_embeddings:
        # Its gradient is not the derivative, by definition; both ways read the same one.
        assert estimate.value > 0
        return
    expected = fisher_trace_by_loop(model, batch)
    torch.testing.assert_close(estimate.per_example, expected, rtol=1e-4, atol=0.0)
    assert sum(estimate.per_layer.values()) == pytest.approx(estimate.value)
    with pytest.raises(InputError, match="allow it with slow='allow'"):
        fisher_trace(model, [batch], slow="error")


def test_a_compiled_module_takes_the_slow_path() -> None:
    model = make_model()
    model.bert.encoder.layer[0]._compiled_call_impl = model.bert.encoder.layer[0]._call_impl
    with pytest.warns(SlowPathWarning, match="forward method of bert.encoder.layer.0 has been replaced"):
        fisher_trace(model, [make_batch()])


class Bag(nn.Module):
    """A classifier that has nothing in common with transformers: mean of embeddings, one tied product."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 3)
        self.unused = nn.Linear(2, 2)
        self.output = output

    def forward(self, input_ids: torch.Tensor) -> Any:
        logits = self.table(input_ids).mean(1) @ self.table.weight[:3]
        return {"namespace": SimpleNamespace(logits=logits), "tuple": (logits, 1), "tensor": logits}[self.output]


@pytest.mark.parametrize("output", ["namespace", "tuple", "tensor"])
def test_any_classifier_can_be_measured(output: str) -> None:
    torch.manual_seed(0)
    model = Bag(output)
    batch = {"input_ids": make_batch()["input_ids"]}
    reference = Bag("namespace")
    reference.load_state_dict(model.state_dict())
    with pytest.warns(SlowPathWarning, match="Bag has no rule"):
        estimate = fisher_trace(model, [batch])
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(reference, batch), rtol=1e-4, atol=0.0)
    assert list(estimate.per_layer) == ["other"]


def test_sparse_gradients_are_summed_by_row_first() -> None:
    torch.manual_seed(0)
    model, dense = Bag("namespace"), Bag("namespace")
    dense.load_state_dict(model.state_dict())
    model.table.sparse = True
    model.forward = lambda input_ids: SimpleNamespace(logits=model.table(input_ids).mean(1))
    dense.forward = lambda input_ids: SimpleNamespace(logits=dense.table(input_ids).mean(1))
    batch = {"input_ids": torch.tensor([[3, 3, 4], [5, 5, 5]])}
    with pytest.warns(SlowPathWarning):
        found = fisher_trace(model, [batch]).per_example
    with pytest.warns(SlowPathWarning):
        torch.testing.assert_close(found, fisher_trace(dense, [batch]).per_example)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"inputs_embeds": torch.randn(2, 4, 16)}, "the inputs are inputs_embeds, and only"),
        ({"input_ids": torch.tensor([[3, 4], [5, 6]]), "attention_mask": torch.ones(2, 2, 2)}, "not of the form"),
    ],
)
def test_unusual_inputs_take_the_slow_path(inputs: dict[str, torch.Tensor], reason: str) -> None:
    with pytest.warns(SlowPathWarning, match=reason):
        estimate = fisher_trace(make_model(), [inputs])
    assert estimate.num_examples == 2


def test_the_slow_path_reports_progress() -> None:
    model = make_model()
    rescale(model)
    seen: list[tuple[int, int]] = []
    with pytest.warns(SlowPathWarning):
        fisher_trace(model, [make_batch(rows=2)], progress=lambda *a: seen.append(a))
    assert seen == [(1, 2), (2, 2)]


def test_position_ids_that_the_batch_shares_are_refused_by_the_rules() -> None:
    model = make_model().requires_grad_(False)
    with (
        GhostNorms(model, {"bert.embeddings.position_embeddings.weight": "embeddings"}, 2) as ghost,
        pytest.raises(NoRule, match="position_embeddings does not see the examples one by one"),
    ):
        ghost.forward(make_batch())


def test_a_hook_that_may_look_at_all_positions_keeps_the_last_layer_whole() -> None:
    model, batch = double(make_model()), make_batch()
    family = family_of(model)
    assert family is not None
    assert last_layer_to_shorten(model, family) is model.bert.encoder.layer[1]
    shapes = []
    model.bert.encoder.register_forward_hook(lambda module, args, output: shapes.append(output[0].shape))
    assert last_layer_to_shorten(model, family) is None
    estimate = fisher_trace(model, [batch])
    assert estimate.path == "fast"
    assert shapes
    assert all(shape[1] > 1 for shape in shapes)
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), rtol=1e-10, atol=0.0)


def test_attention_of_another_kind_keeps_the_last_layer_whole() -> None:
    model = make_model()
    model.config._attn_implementation = "flex_attention"
    family = family_of(model)
    assert family is not None
    assert last_layer_to_shorten(model, family) is None


def test_gradient_checkpointing_stays_on_the_fast_path() -> None:
    model, batch = make_model(), make_batch()
    expected = fisher_trace(model, [batch]).per_example
    model.activation_checkpointing_enable()
    model.train()
    estimate = fisher_trace(model, [batch], slow="error")
    assert torch.equal(estimate.per_example, expected)
    assert model.bert.encoder.layer[0].gradient_checkpointing
