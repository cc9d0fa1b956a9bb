"""A model that nobody has seen gets a fast right number or a slow right number; never a wrong one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tests.reference import double, fisher_trace_by_loop
from tests.trainables.curvature.cases import make_batch, make_model, one_at_a_time
from tests.zoo import PAD, VOCABULARY, make
from tests.zoo import batch as zoo_batch
from trainables.curvature import SlowPathWarning, fisher_trace, paths, reason_against_fast_path
from trainables.curvature.fast_path import norms, rules
from trainables.curvature.last_layer import last_layer_to_shorten
from trainables.curvature.loop import squared_norms
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


def index_too_far(model: Any) -> None:
    def look(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        output.shape[9 if len(output) > 1 else 0]

    model.classifier.register_forward_hook(look)


def use_decoder(model: Any) -> None:
    model.config.is_decoder = True
    model.config.use_cache = False


def prelu(model: Any) -> None:
    model.bert.pooler.activation = nn.PReLU()


def chunk_feed_forward(model: Any) -> None:
    for layer in model.bert.encoder.layer:
        layer.chunk_size_feed_forward = 3


def recur(model: Any) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.cell(x, x)

    model.dropout = Recurrent()


def mix_examples(model: Any) -> None:
    model.bert.pooler.register_forward_hook(lambda module, args, output: output - output.mean(0))


class Lie(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        return gradient * weight, (gradient * x).sum(0)


def hide_from_torch(model: Any) -> None:
    class Hidden(nn.Module):
        """Its operation on a parameter cannot be seen from outside."""

        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.full((16,), 1.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Lie.apply(x, self.gain)

    model.dropout = Hidden()


def scale_by_batch(model: Any) -> None:
    model.bert.pooler.register_forward_hook(lambda module, args, output: output * len(output))


@pytest.mark.parametrize(
    "change",
    [tie, swap, gate, rescale, replace_forward, normalise_weights, add_parameter],
)
def test_operations_count_whatever_their_module_is_called(change: Any) -> None:
    model, batch = make_model(), make_batch()
    change(model)
    estimate = fisher_trace(double(model), [batch], slow="error")
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), rtol=1e-10, atol=0.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (clip_embeddings, "is an embedding with max_norm or scale_grad_by_freq"),
        (prelu, "the function prelu of a parameter has no rule"),
        (recur, "is computed from parameters and has no rule"),
        (one_at_a_time, "on several examples at a time it raised ValueError: one example at a time"),
        (index_too_far, "it raised IndexError: tuple index out of range"),
        (use_decoder, "an example measured both ways differs by"),
        (chunk_feed_forward, "its operations differ from one forward pass to the next"),
        (mix_examples, "an example measured both ways differs by"),
        (hide_from_torch, "an example measured both ways differs by"),
        (scale_by_batch, "an example measured both ways differs by"),
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
    assert reason_against_fast_path(model) is not None or change in (chunk_feed_forward, use_decoder)
    if change is clip_embeddings:
        # Its gradient is not the derivative, by definition; both ways read the same one.
        assert estimate.value > 0
        return
    expected = fisher_trace_by_loop(model, batch)
    torch.testing.assert_close(estimate.per_example, expected, rtol=1e-4, atol=0.0)
    assert sum(estimate.per_layer.values()) == pytest.approx(estimate.value)
    with pytest.raises(InputError, match="allow it with slow='allow'"):
        fisher_trace(model, [batch], slow="error")


def test_a_rule_that_is_wrong_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "norms_by_gram", lambda *args: 1.001 * norms.norms_by_gram(*args))
    model, batch = make_model(), make_batch()
    with pytest.warns(SlowPathWarning, match="an example measured both ways differs by"):
        estimate = fisher_trace(model, [batch])
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), rtol=1e-4, atol=0.0)


def test_a_proof_holds_for_other_weights_and_not_for_another_structure() -> None:
    model, batch = make_model(), make_batch()
    loops = []
    loop = paths.squared_norms

    def counted(*args: Any, **settings: Any) -> Any:
        loops.append(1)
        return loop(*args, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "squared_norms", counted)
        fisher_trace(model, [batch])
        assert len(loops) == 2
        with torch.no_grad():
            model.classifier.weight.mul_(2.0)
        fisher_trace(model, [batch])
        assert len(loops) == 2
        rescale(model)
        changed = fisher_trace(model, [batch])
        assert len(loops) == 4
    torch.testing.assert_close(changed.per_example, fisher_trace_by_loop(model, batch), rtol=1e-4, atol=0.0)


class Gated(nn.Module):
    """A projection whose output is changed in place, which no rule notices, behind a gate that starts closed."""

    def __init__(self, old: nn.Module) -> None:
        super().__init__()
        self.old = old
        self.inner = nn.Linear(16, 16)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.inner(x)
        hidden += 1.0
        result: torch.Tensor = self.old(x) + self.gate * hidden
        return result


def test_what_had_no_gradient_in_a_proof_is_proven_again() -> None:
    model, batch = make_model(), make_batch()
    model.bert.encoder.layer[0].attention.self.value = Gated(model.bert.encoder.layer[0].attention.self.value)
    closed = fisher_trace(model, [batch], slow="error")
    torch.testing.assert_close(closed.per_example, fisher_trace_by_loop(model, batch), rtol=1e-4, atol=0.0)
    with torch.no_grad():
        model.bert.encoder.layer[0].attention.self.value.gate.fill_(3.0)
    with pytest.warns(SlowPathWarning, match="an example measured both ways differs by"):
        opened = fisher_trace(model, [batch])
    torch.testing.assert_close(opened.per_example, fisher_trace_by_loop(model, batch), rtol=1e-4, atol=0.0)


def test_a_proof_that_is_not_kept_measures_once() -> None:
    model, padded = make_model(), make_batch()
    value = Gated(model.bert.encoder.layer[0].attention.self.value)
    value.inner = nn.Linear(16, 16, bias=False)  # its output is no view, so changing it in place is noticed
    model.bert.encoder.layer[0].attention.self.value = value
    whole = {"input_ids": padded["input_ids"][:, :3], "attention_mask": torch.ones(len(padded["input_ids"]), 3)}
    for gate, inputs in ((3.0, padded), (0.0, whole)):
        with torch.no_grad():
            value.gate.fill_(gate)
        seen: list[int] = []
        found = fisher_trace(model, [inputs], slow="error", progress=lambda done, _, seen=seen: seen.append(done))
        assert seen == sorted(set(seen))
        torch.testing.assert_close(found.per_example, fisher_trace_by_loop(model, inputs), rtol=1e-4, atol=0.0)


class Expert(nn.Module):
    """A product on the positions with one token, whichever examples they belong to."""

    def __init__(self, old: nn.Module) -> None:
        super().__init__()
        self.old = old
        self.expert = nn.Linear(16, 16, bias=False)

    def forward(self, input_ids: torch.Tensor, **settings: Any) -> torch.Tensor:
        hidden = self.old(input_ids=input_ids, **settings)
        flat, chosen = hidden.flatten(0, -2), (input_ids.flatten() == 7).nonzero()[:, 0]
        result: torch.Tensor = flat.index_add(0, chosen, self.expert(flat[chosen])).view_as(hidden)
        return result


def test_positions_that_an_expert_was_given_are_no_examples() -> None:
    """Of the four examples, the two of a proof have their share of the expert's positions, the others more or less."""
    model = make_model()
    model.bert.embeddings = Expert(model.bert.embeddings)
    rows = [[2, 7, 7, 4, 5, 6, 8, 9], [2, 7, 7, 4], [2, 7, 4, 5, 6, 8], [2, 7, 7, 7, 5, 6]]
    ids = torch.tensor([row + [0] * (8 - len(row)) for row in rows])
    batch = {"input_ids": ids, "attention_mask": (ids > 0).long()}
    with pytest.warns(SlowPathWarning, match="does not see the examples one by one"):
        estimate = fisher_trace(model, [batch])
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("kind", ["convbert", "mobilebert"])
@pytest.mark.parametrize("size", [8, 32])
def test_padding_that_a_model_reads_is_left_as_it_was_given(kind: str, size: int) -> None:
    model = make(kind)
    lengths = torch.tensor([48, *([20, 21, 22, 30] * 8)[:30], 5])
    ids = torch.randint(4, VOCABULARY, (32, 48), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(48) < lengths.unsqueeze(1)).long()
    whole = {"input_ids": torch.where(mask > 0, ids, PAD), "attention_mask": mask}
    batches = []
    for start in range(0, 32, size):
        width = int(lengths[start : start + size].max())
        batches.append({key: value[start : start + size, :width] for key, value in whole.items()})
    found = fisher_trace(model, batches, slow="error").per_example
    expected = torch.cat([fisher_trace_by_loop(model, batch) for batch in batches])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0.0)


def test_an_end_token_stays_in_the_rehearsal_of_long_examples() -> None:
    model = make("bart")
    inputs = {key: rows[[0, 3]] for key, rows in zoo_batch("bart", length=25, left=False).items()}
    assert int(inputs["attention_mask"].sum(1).min()) > 20
    found = fisher_trace(model, [inputs], slow="error").per_example
    torch.testing.assert_close(found, fisher_trace_by_loop(model, inputs), rtol=1e-4, atol=0.0)


def test_sparse_attention_is_left_as_found() -> None:
    settings = {"attention_type": "block_sparse", "block_size": 4, "num_random_blocks": 1}
    model = make("big_bird", max_position_embeddings=128, **settings)
    ids = torch.randint(4, VOCABULARY, (3, 96), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(96) < torch.tensor([[96], [90], [94]])).long()
    inputs = {"input_ids": ids, "attention_mask": mask}
    before = model(**inputs).logits
    found = [fisher_trace(model, [inputs]).per_example for _ in range(2)]
    assert model.bert.encoder.attention_type == "block_sparse"
    assert torch.equal(model(**inputs).logits, before)
    expected = [
        float(fisher_trace_by_loop(model, {key: value[[i]] for key, value in inputs.items()})) for i in range(3)
    ]
    for one in found:
        torch.testing.assert_close(one, torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=0.0)


def test_a_compiled_module_takes_the_slow_path() -> None:
    model = make_model()
    model.bert.encoder.layer[0]._compiled_call_impl = model.bert.encoder.layer[0]._call_impl
    with pytest.warns(SlowPathWarning, match="bert.encoder.layer.0 is compiled"):
        fisher_trace(model, [make_batch()])


class Bag(nn.Module):
    """A classifier that has nothing in common with transformers: mean of embeddings, one tied product."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 3)
        self.unused = nn.Linear(2, 2)
        self.output = output

    def forward(self, input_ids: torch.Tensor) -> Any:
        logits = torch.einsum("bd,dc->bc", self.table(input_ids).mean(1), self.table.weight[:3])
        return {"namespace": SimpleNamespace(logits=logits), "tuple": (logits, 1), "tensor": logits}[self.output]


@pytest.mark.parametrize("output", ["namespace", "tuple", "tensor"])
def test_any_classifier_can_be_measured(output: str) -> None:
    torch.manual_seed(0)
    model = Bag(output)
    batch = {"input_ids": make_batch()["input_ids"]}
    reference = Bag("namespace")
    reference.load_state_dict(model.state_dict())
    with pytest.warns(SlowPathWarning, match="is computed from parameters and has no rule"):
        estimate = fisher_trace(model, [batch])
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(reference, batch), rtol=1e-4, atol=0.0)
    assert list(estimate.per_layer) == ["other"]


def test_sparse_gradients_are_summed_by_row_first() -> None:
    table = nn.Embedding(9, 3, sparse=True)
    logits = table(torch.tensor([[3, 3, 4]])).sum(1)
    found = squared_norms(table, logits, torch.ones(1, 3), last=True)
    assert found["weight"].item() == 3 * 2**2 + 3


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
    one_at_a_time(model)
    seen: list[tuple[int, int]] = []
    with pytest.warns(SlowPathWarning):
        fisher_trace(model, [make_batch(rows=2)], progress=lambda *a: seen.append(a))
    assert seen == [(1, 2), (2, 2)]


def test_a_hook_that_may_look_at_all_positions_keeps_the_last_layer_whole() -> None:
    model, batch = double(make_model()), make_batch()
    found = last_layer_to_shorten(model)
    assert found is not None
    assert found[0] is model.bert.encoder.layer[1]
    shapes = []
    model.bert.encoder.register_forward_hook(lambda module, args, output: shapes.append(output[0].shape))
    assert last_layer_to_shorten(model) is None
    estimate = fisher_trace(model, [batch])
    assert estimate.path == "fast"
    assert shapes
    assert all(shape[1] > 1 for shape in shapes)
    torch.testing.assert_close(estimate.per_example, fisher_trace_by_loop(model, batch), rtol=1e-10, atol=0.0)


def test_attention_of_another_kind_keeps_the_last_layer_whole() -> None:
    model = make_model()
    model.config._attn_implementation = "flex_attention"
    assert last_layer_to_shorten(model) is None


def test_gradient_checkpointing_stays_on_the_fast_path() -> None:
    model, batch = make_model(), make_batch()
    expected = fisher_trace(model, [batch]).per_example
    model.activation_checkpointing_enable()
    model.train()
    estimate = fisher_trace(model, [batch], slow="error")
    assert torch.equal(estimate.per_example, expected)
    assert model.bert.encoder.layer[0].gradient_checkpointing
