"""What has no second derivative is refused before the first step, with a remedy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.trainables.curvature.cases import make_batch, make_model
from trainables.curvature import fisher_penalty, require_second_derivatives, squared_mean_score
from trainables.curvature.second_derivatives import refuse_first_derivatives_only
from trainables.errors import InputError

LABELS = torch.tensor([0, 1, 2, 0, 1])


def penalty_gradient(model: Any) -> torch.Tensor:
    parameters = list(model.parameters())
    penalty = squared_mean_score(model(**make_batch()).logits, LABELS, parameters)
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(penalty, parameters)])


def test_attention_is_set_to_eager() -> None:
    model = make_model()
    assert model.config._attn_implementation == "sdpa"
    require_second_derivatives(model)
    assert model.config._attn_implementation == "eager"
    require_second_derivatives(model)
    assert penalty_gradient(model).norm() > 0


def test_eager_and_math_agree() -> None:
    model = make_model()
    with sdpa_kernel(SDPBackend.MATH):
        expected = penalty_gradient(model)
    require_second_derivatives(model)
    found = penalty_gradient(model)
    assert (found - expected).norm() / expected.norm() < 1e-5


@pytest.mark.parametrize("train", [False, True])
def test_fused_attention_is_refused_before_the_backward_pass(train: bool) -> None:
    model = make_model(attention_probs_dropout_prob=0.0).train(train)
    with pytest.raises(InputError, match="through fused attention: load the model with attn_implementation='eager'"):
        penalty_gradient(model)


def test_a_model_that_keeps_its_attention_is_refused() -> None:
    model = make_model()
    model.set_attn_implementation = lambda implementation: None
    with pytest.raises(InputError, match="BertForSequenceClassification keeps sdpa: load it with attn_impl"):
        require_second_derivatives(model)


@pytest.mark.parametrize("wrapper", ["DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"])
def test_wrappers_are_refused(wrapper: str) -> None:
    kind = type(wrapper, (nn.Sequential,), {})
    for use in (require_second_derivatives, lambda m: fisher_penalty(m, {}, generator=torch.Generator())):
        with pytest.raises(InputError, match=f"needs the bare model, not a {wrapper}"):
            use(kind(make_model()))


def test_compiled_models_are_refused() -> None:
    model = make_model()
    with pytest.raises(InputError, match="torch.compile has no second derivative"):
        require_second_derivatives(torch.compile(model, backend="eager"))
    model.bert.encoder.layer[1].compile(backend="eager")
    with pytest.raises(InputError, match="train with a Fisher penalty without torch.compile"):
        require_second_derivatives(model)


def test_reentrant_checkpointing_is_refused() -> None:
    model = make_model()
    model.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(InputError, match="reentrant gradient checkpointing has no second derivative"):
        require_second_derivatives(model)
    model.activation_checkpointing_enable({"use_reentrant": False})
    require_second_derivatives(model)


def test_sparse_embeddings_are_refused() -> None:
    with pytest.raises(InputError, match="build the embedding with sparse=False"):
        require_second_derivatives(nn.Sequential(nn.Embedding(3, 2, sparse=True)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CompiledFunction", "a torch.compile'd function: train the model without torch.compile"),
        ("CheckpointFunction", "a reentrant checkpoint: enable gradient checkpointing with use_reentrant=False"),
    ],
)
def test_graphs_with_a_node_of_one_derivative_are_refused(name: str, message: str) -> None:
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient

    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    once: Any = type(name, (torch.autograd.Function,), body)
    with pytest.raises(InputError, match=message):
        refuse_first_derivatives_only(once.apply(torch.ones(1, requires_grad=True)) * 2)


def test_a_tensor_without_a_graph_is_accepted() -> None:
    refuse_first_derivatives_only(torch.ones(1))
