"""What only a class can know: the prediction of some encoders reads the first position of the last layer.

There the last layer is computed at that position alone, with the same values. Every other class is computed as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

FirstToken = Callable[[Any, Tensor, Tensor | None], Tensor]
"""A layer's output at the first position only, from (layer, hidden states, attention mask)."""


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


_LAYERS: dict[str, tuple[str, FirstToken]] = {
    "bert.modeling_bert.BertForSequenceClassification": ("bert.encoder.layer", _bert_first_token),
    "electra.modeling_electra.ElectraForSequenceClassification": ("electra.encoder.layer", _bert_first_token),
    "ernie.modeling_ernie.ErnieForSequenceClassification": ("ernie.encoder.layer", _bert_first_token),
    "roberta.modeling_roberta.RobertaForSequenceClassification": ("roberta.encoder.layer", _bert_first_token),
    "camembert.modeling_camembert.CamembertForSequenceClassification": ("roberta.encoder.layer", _bert_first_token),
    "xlm_roberta.modeling_xlm_roberta.XLMRobertaForSequenceClassification": (
        "roberta.encoder.layer", _bert_first_token
    ),
    "distilbert.modeling_distilbert.DistilBertForSequenceClassification": (
        "distilbert.transformer.layer", _distilbert_first_token
    ),
}  # fmt: skip
_PREFIX = "transformers.models."
# Output recorders, and requires_grad on the word embedding for checkpointing.
_HARMLESS = ("transformers.utils.output_capturing", "transformers.modeling_utils")


def last_layer_to_shorten(model: nn.Module) -> tuple[nn.Module, FirstToken] | None:
    """The last encoder layer, when only its first position can have an influence.

    Args:
        model: Any model.

    Returns:
        The layer and how to shorten it; None unless the model is exactly of a class that is known, not a decoder, with
        attention that is eager or sdpa, and without anything that might look at the other positions.
    """
    kind = type(model)
    known = _LAYERS.get(f"{kind.__module__}.{kind.__qualname__}".removeprefix(_PREFIX))
    config: Any = getattr(model, "config", None)
    if known is None or getattr(config, "is_decoder", False) or config._attn_implementation not in ("eager", "sdpa"):
        return None
    home = ".".join(kind.__module__.split(".")[:3])
    for module in model.modules():
        own = f"{type(module).__module__}.".startswith(("torch.nn.", f"{home}.", "transformers.activations."))
        if not own or "forward" in vars(module) or _foreign_hooks(module):
            return None
    layers: Any = model.get_submodule(known[0])
    return layers[-1], known[1]


def _foreign_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks other than transformers' own, which record outputs and never change them."""
    kinds = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    hooks = [hook for kind in kinds for hook in kind.values()]
    return any(getattr(hook, "__module__", "") not in _HARMLESS for hook in hooks)


@contextmanager
def shortened(model: nn.Module) -> Iterator[None]:
    """Within the context, a last layer of which only the first position counts computes that alone.

    Args:
        model: Any model.

    Yields:
        Nothing.
    """
    found = last_layer_to_shorten(model)
    if found is None:
        yield
        return
    layer, first_token = found

    def forward(hidden: Tensor, mask: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        return first_token(layer, hidden, mask)

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward
