"""The Fisher penalty: the squared norm of a batch's mean score at labels sampled from the model, differentiable.

    E = || (1/B) sum_i grad log p(yhat_i | x_i) ||^2,   yhat_i ~ p(. | x_i)

(Jastrzebski et al. 2021, "Catastrophic Fisher explosion".) Scores have mean zero under the model's own labels, so the
mean of E over the labels is Tr(F) / B for every batch size B. This module provides the parts from which a training
objective builds loss and penalty on one forward pass:

    require_second_derivatives(model)                              # once, before the first step
    with penalty_forward(model, batch["input_ids"]) as wrt:
        logits = model(**batch).logits
    labels = sample_labels(logits, generator)
    penalty = squared_mean_score(logits, labels, wrt)
    (cross_entropy(logits, targets) + weight * penalty).backward()

The weight acts on the unscaled E, as in Stickland and Murray (2021), so ``weight / B`` acts on Tr(F). Training keeps it
comparable over micro-batches in ``regularizers/fisher_penalty.py`` (b/B) and ``training/gradient.py`` (their mean), and
over steps in ``training/objective.py`` (``every``).

The labels are constants, so the gradient is not that of Tr(F), which has a further term for the labels' distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.curvature.cotangents import labels_at
from trainables.curvature.lean import SumOfSquares, lean_gelu
from trainables.curvature.loop import logits_of
from trainables.curvature.second_derivatives import refuse_first_derivatives_only, refuse_wrappers
from trainables.errors import InputError


def fisher_penalty(
    model: nn.Module, batch: Mapping[str, Tensor], *, generator: torch.Generator, create_graph: bool = True
) -> Tensor:
    """The Fisher penalty of a batch, with a separate forward pass, in the mode that the model is in.

    For callers outside training: a training run applies the parts below to the forward pass of its cross-entropy.

    The double backward is exact. In units of the matrix products of a forward pass, an ordinary step costs 3, this call
    3, and the gradient of its result 6.

    Args:
        model: Parameters that do not require a gradient do not count.
        batch: Model inputs ``[B, ...]``, on the model's device; ``labels`` are ignored.
        generator: CPU generator of the sampled labels; no other generator is touched, dropout's included.
        create_graph: False gives only the value, for logging.

    Returns:
        The penalty, a scalar (squared nats per squared parameter unit) that can be differentiated once more.

    Raises:
        InputError: The model has no second derivative, or is not a classifier.

    Example:
        >>> from transformers import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(
        ...     vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))
        >>> penalty = fisher_penalty(model, {"input_ids": torch.tensor([[1, 5, 7]])}, generator=torch.Generator())
        >>> penalty.backward()
        >>> bool(model.classifier.weight.grad.abs().sum() > 0)
        True
    """
    refuse_wrappers(model)
    config: Any = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", "eager") != "eager" and _is_checkpointed(model):
        raise InputError(
            "with gradient checkpointing the forward pass is repeated with fused attention, which has no second "
            "derivative: call require_second_derivatives(model) first"
        )
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    # The fused kernels have no second derivative; eager attention is not affected.
    with penalty_forward(model, batch.get("input_ids")) as wrt, sdpa_kernel(SDPBackend.MATH):
        logits = logits_of(model(**inputs))
    return squared_mean_score(logits, sample_labels(logits, generator), wrt, create_graph=create_graph)


def _is_checkpointed(model: nn.Module) -> bool:
    return model.training and any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


@contextmanager
def penalty_forward(model: nn.Module, input_ids: Tensor | None) -> Iterator[list[Tensor]]:
    """Within the context, a forward pass has the same values and a cheaper second derivative.

    Args:
        input_ids: Token ids of the whole batch, even if it is passed through in parts.

    Yields:
        What :func:`unique_embedding_rows` yields, for :func:`squared_mean_score`, even after the context has ended.
    """
    with lean_gelu(model), unique_embedding_rows(model, input_ids) as wrt:
        yield wrt


@contextmanager
def unique_embedding_rows(model: nn.Module, input_ids: Tensor | None) -> Iterator[list[Tensor]]:
    """Within the context, the word embedding reads the batch's distinct rows instead of the whole table.

    A score then contains only those rows: with mBERT's 119,547 rows, the penalty costs 2.9 plain steps instead of 3.9,
    with equal norm and gradient. The rows are a differentiable selection of the table, so a later ``backward()``
    reaches ``table.weight`` automatically. A table that is tied, missing or of an unusual kind is left alone, and all
    its entries are differentiated.

    Args:
        input_ids: All token ids of the forward passes inside the context, which may take the batch in parts; None
            leaves the table alone.

    Yields:
        The tensors with respect to which a score is differentiated: each trainable parameter, with the rows replacing
        the table.

    Raises:
        ValueError: A forward pass in the context has a token id that is not in ``input_ids``.
    """
    trainable: list[Tensor] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    table = _plain_table(model)
    if table is None or input_ids is None:
        yield trainable
        return
    unique = torch.unique(input_ids)
    rows = table.weight.index_select(0, unique)
    at = (unique == table.padding_idx).nonzero() if table.padding_idx is not None else unique[:0]
    padding = int(at[0]) if len(at) else None

    def lookup(ids: Tensor) -> Tensor:
        local = torch.searchsorted(unique, ids).clamp(max=len(unique) - 1)
        if not torch.equal(unique[local], ids):
            raise ValueError("inside unique_embedding_rows the model was given a token id that it was not entered with")
        return nn.functional.embedding(local, rows, padding)

    table.forward = lookup  # type: ignore[assignment, method-assign]
    try:
        yield [rows if parameter is table.weight else parameter for parameter in trainable]
    finally:
        del table.forward


def _plain_table(model: nn.Module) -> nn.Embedding | None:
    """The word embedding if its rows can replace it: it is trainable, used nowhere else, and an ordinary lookup."""
    getter: Any = getattr(model, "get_input_embeddings", None)
    table = getter() if getter is not None else None
    if type(table) is not nn.Embedding or "forward" in vars(table) or not table.weight.requires_grad:
        return None
    if table.max_norm is not None or table.scale_grad_by_freq or table.sparse:
        return None
    uses = sum(parameter is table.weight for _, parameter in model.named_parameters(remove_duplicate=False))
    return table if uses == 1 else None


def sample_labels(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One label per example, ``[B]``, sampled from the model's own prediction; constant under differentiation.

    Args:
        logits: ``[B, num_classes]`` of any floating type; probabilities are taken in float32 or better.
        generator: CPU generator of the labels; no other generator is touched, so dropout does not change.

    Example:
        >>> sample_labels(torch.tensor([[0.0, 50.0]]), torch.Generator())
        tensor([1])
    """
    uniforms = torch.rand(logits.shape[0], 1, generator=generator, dtype=torch.float64)
    return labels_at(logits, uniforms.to(logits.device))[:, 0]


def squared_mean_score(logits: Tensor, labels: Tensor, wrt: list[Tensor], *, create_graph: bool = True) -> Tensor:
    """``|| (1/b) sum_i grad log p(labels_i | x_i) ||^2`` of b examples, with respect to given tensors.

    Args:
        logits: ``[b, num_classes]`` with a graph, which is kept.
        wrt: Tensors that the logits depend on; the squares of all their gradients are summed.
        create_graph: Whether the result can be differentiated; in units of a forward pass, this call costs 2 and that
            later differentiation 6.

    Raises:
        InputError: ``wrt`` is empty, or the graph has a part without a second derivative.

    Example:
        >>> bias = torch.zeros(2, requires_grad=True)
        >>> squared_mean_score(bias.expand(4, 2), torch.tensor([1, 1, 1, 0]), [bias]).item()
        0.125
    """
    if not wrt:
        raise InputError("no parameter requires a gradient, so the Fisher penalty would be 0: unfreeze some")
    if create_graph:
        refuse_first_derivatives_only(logits)
    # Float32 or better: in bfloat16, a confident model's score is 0.
    wide = logits if logits.dtype == torch.float64 else logits.float()
    loss = nn.functional.cross_entropy(wide, labels)
    # autograd.grad, never backward() and .grad, which would make the penalty a constant.
    gradients = torch.autograd.grad(loss, wrt, create_graph=create_graph, retain_graph=True, allow_unused=True)
    used = [gradient for gradient in gradients if gradient is not None]
    total: Tensor = SumOfSquares.apply(*used)  # type: ignore[no-untyped-call]
    return total
