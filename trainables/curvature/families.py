"""Which models the fast path has rules for, and what it may skip in them.

A family is one entry of ``FAMILIES``. Everything that the rules rely on is checked here, before a number is computed:
what cannot be checked goes the slow way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

LEAVES: tuple[type[nn.Module], ...] = (nn.Linear, nn.Embedding, nn.LayerNorm)
INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})


@dataclass(frozen=True)
class Family:
    """A sequence classifier whose prediction reads the first position of the last layer.

    Attributes:
        layers: Dotted path of the encoder layers inside the model.
        first_token: A layer's output at the first position only, from (layer, hidden states, attention mask).
        positions: ``counted`` when position ids default to 0, 1, 2, ..., shared by the batch, and must be given for
            each example; ``from_ids`` when the model makes them for each example itself.
    """

    layers: str
    first_token: Callable[[Any, Tensor, Tensor | None], Tensor]
    positions: Literal["counted", "from_ids"]


def _attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, heads: int) -> Tensor:
    """Attention of the first position to all, ``[batch, 1, hidden]``, as the model's eager implementation has it."""
    query, key, value = (part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in (query, key, value))
    scores = torch.matmul(query, key.mT) * module.scaling
    if mask is not None:
        mask = mask[:, :, :1]
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(scores.softmax(-1), value).transpose(1, 2).flatten(-2)


def _bert_first_token(layer: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    first, attention = hidden[:, :1], layer.attention.self
    query, key, value = attention.query(first), attention.key(hidden), attention.value(hidden)
    context = _attend(attention, query, key, value, mask, attention.num_attention_heads)
    out: Tensor = layer.feed_forward_chunk(layer.attention.output(context, first))
    return out


def _distilbert_first_token(layer: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    first, attention = hidden[:, :1], layer.attention
    query, key, value = attention.q_lin(first), attention.k_lin(hidden), attention.v_lin(hidden)
    context = _attend(attention, query, key, value, mask, attention.n_heads)
    middle = layer.sa_layer_norm(attention.out_lin(context) + first)
    out: Tensor = layer.output_layer_norm(layer.ffn(middle) + middle)
    return out


FAMILIES: dict[str, Family] = {
    "bert.modeling_bert.BertForSequenceClassification": Family("bert.encoder.layer", _bert_first_token, "counted"),
    "electra.modeling_electra.ElectraForSequenceClassification": Family(
        "electra.encoder.layer", _bert_first_token, "counted"
    ),
    "distilbert.modeling_distilbert.DistilBertForSequenceClassification": Family(
        "distilbert.transformer.layer", _distilbert_first_token, "counted"
    ),
    "roberta.modeling_roberta.RobertaForSequenceClassification": Family(
        "roberta.encoder.layer", _bert_first_token, "from_ids"
    ),
    "xlm_roberta.modeling_xlm_roberta.XLMRobertaForSequenceClassification": Family(
        "roberta.encoder.layer", _bert_first_token, "from_ids"
    ),
}
_PREFIX = "transformers.models."
# Output recorders, and requires_grad on the word embedding for checkpointing.
_HARMLESS = ("transformers.utils.output_capturing", "transformers.modeling_utils")


def family_of(model: nn.Module) -> Family | None:
    """The family of exactly this class; a subclass may compute something else.

    Args:
        model: Any model.

    Returns:
        The family, or None.
    """
    kind = type(model)
    return FAMILIES.get(f"{kind.__module__}.{kind.__qualname__}".removeprefix(_PREFIX))


def reason_against(model: nn.Module) -> str | None:
    """Why the fast path must not measure a model.

    Args:
        model: Any model.

    Returns:
        The first reason found, or None when the rules hold.
    """
    if family_of(model) is None:
        return f"{type(model).__name__} has no rule"
    config: Any = model.config
    if config.is_decoder if hasattr(config, "is_decoder") else False:
        return "the model is configured as a decoder"
    home = ".".join(type(model).__module__.split(".")[:3])
    for name, module in model.named_modules():
        kind = type(module)
        if not f"{kind.__module__}.".startswith(("torch.nn.", f"{home}.", "transformers.activations.")):
            return f"module {name} is a {kind.__module__}.{kind.__qualname__}, which has no rule"
        if "forward" in vars(module) or module._compiled_call_impl is not None:
            return f"the forward method of {name or 'the model'} has been replaced"
        if next(module.parameters(recurse=False), None) is not None and (reason := _reason_against_leaf(module)):
            return f"module {name} {reason}"
    seen: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            return f"{name} is tied to {seen[id(parameter)]}"
        seen[id(parameter)] = name
    return None


def _reason_against_leaf(module: nn.Module) -> str | None:
    if type(module) not in LEAVES:
        return f"is a {type(module).__name__} with parameters of its own, which has no rule"
    if set(dict(module.named_parameters(recurse=False))) - {"weight", "bias"}:
        return "has parameters besides weight and bias"
    if _foreign_hooks(module):
        return "has hooks, which may change what the rules see"
    if isinstance(module, nn.Embedding) and (module.max_norm is not None or module.scale_grad_by_freq or module.sparse):
        return "is an embedding with max_norm, scale_grad_by_freq or sparse gradients"
    return None


def _foreign_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks other than transformers' own, which record outputs and never change them."""
    kinds = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    hooks = [hook for kind in kinds for hook in kind.values()]
    return any(getattr(hook, "__module__", "") not in _HARMLESS for hook in hooks)


def last_layer_to_shorten(model: nn.Module, family: Family) -> nn.Module | None:
    """The last encoder layer, when only its first position can have an influence.

    Args:
        model: A model of the family.
        family: The family.

    Returns:
        The layer; None when somebody's hook might look at the other positions, or attention is neither eager nor sdpa.
    """
    config: Any = model.config
    if config._attn_implementation not in ("eager", "sdpa"):
        return None
    if any(_foreign_hooks(module) for module in model.modules()):
        return None
    layers: Any = model.get_submodule(family.layers)
    last: nn.Module = layers[-1]
    return last


@contextmanager
def shortened(layer: nn.Module, family: Family) -> Iterator[None]:
    """Within the context, a layer computes its first position only.

    Args:
        layer: From :func:`last_layer_to_shorten`.
        family: Its family.

    Yields:
        Nothing.
    """

    def forward(hidden: Tensor, mask: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        return family.first_token(layer, hidden, mask)

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward
