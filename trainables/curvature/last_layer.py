"""Knowledge about model classes: some encoders predict from the first position of the last layer only.

For these classes, the last layer is computed at that position alone, with the same values. Others are left unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

FirstToken = Callable[[Any, Tensor, Tensor | None, dict[str, Any]], Any]
"""A layer's output at the first position only, from (layer, hidden states, attention mask, further arguments)."""


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of the first position to all, ``[batch, 1, hidden]``, as in the model's eager implementation."""
    scores = torch.matmul(query, key.mT) / math.sqrt(query.shape[-1])
    if mask is not None:
        mask = mask[:, :, :1]
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    return torch.matmul(scores.softmax(-1), value).transpose(1, 2).flatten(-2)


def _attend_by_head(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    query, key, value = (part.view(*part.shape[:2], heads, -1).transpose(1, 2) for part in (query, key, value))
    return _attend(query, key, value, mask)


def _self_attend(module: Any, hidden: Tensor, mask: Tensor | None) -> Tensor:
    query, key, value = module.query(hidden[:, :1]), module.key(hidden), module.value(hidden)
    return _attend_by_head(query, key, value, module.num_attention_heads, mask)


def _bert(layer: Any, hidden: Tensor, mask: Tensor | None, _: dict[str, Any]) -> Any:
    context = _self_attend(layer.attention.self, hidden, mask)
    return layer.feed_forward_chunk(layer.attention.output(context, hidden[:, :1]))


def _rembert(layer: Any, hidden: Tensor, mask: Tensor | None, _: dict[str, Any]) -> Any:
    return (_bert(layer, hidden, mask, _),)


def _xlm_roberta_xl(layer: Any, hidden: Tensor, mask: Tensor | None, _: dict[str, Any]) -> Any:
    context = _self_attend(layer.attention.self, layer.attention.self_attn_layer_norm(hidden), mask)
    return layer.feed_forward_chunk(layer.attention.output(context, hidden[:, :1]))


def _modernbert(layer: Any, hidden: Tensor, mask: Tensor | None, settings: dict[str, Any]) -> Any:
    joint = layer.attn.Wqkv(layer.attn_norm(hidden))
    query, key, value = joint.view(*hidden.shape[:2], 3, -1, layer.attn.head_dim).transpose(1, 3).unbind(2)
    query, key = apply_rotary_pos_emb(query, key, *settings["position_embeddings"])
    first = hidden[:, :1] + layer.attn.Wo(_attend(query[:, :, :1], key, value, mask))
    return first + layer.mlp(layer.mlp_norm(first))


def _distilbert(layer: Any, hidden: Tensor, mask: Tensor | None, _: dict[str, Any]) -> Any:
    first, attention = hidden[:, :1], layer.attention
    query, key, value = attention.q_lin(first), attention.k_lin(hidden), attention.v_lin(hidden)
    context = _attend_by_head(query, key, value, attention.n_heads, mask)
    middle = layer.sa_layer_norm(attention.out_lin(context) + first)
    return layer.output_layer_norm(layer.ffn(middle) + middle)


_LAYERS: dict[str, tuple[str, FirstToken]] = {
    "bert.modeling_bert.BertForSequenceClassification": ("bert.encoder.layer", _bert),
    "electra.modeling_electra.ElectraForSequenceClassification": ("electra.encoder.layer", _bert),
    "ernie.modeling_ernie.ErnieForSequenceClassification": ("ernie.encoder.layer", _bert),
    "roberta.modeling_roberta.RobertaForSequenceClassification": ("roberta.encoder.layer", _bert),
    "camembert.modeling_camembert.CamembertForSequenceClassification": ("roberta.encoder.layer", _bert),
    "xlm_roberta.modeling_xlm_roberta.XLMRobertaForSequenceClassification": (
        "roberta.encoder.layer", _bert
    ),
    "rembert.modeling_rembert.RemBertForSequenceClassification": ("rembert.encoder.layer", _rembert),
    "xlm_roberta_xl.modeling_xlm_roberta_xl.XLMRobertaXLForSequenceClassification": (
        "roberta.encoder.layer", _xlm_roberta_xl
    ),
    "modernbert.modeling_modernbert.ModernBertForSequenceClassification": ("model.layers", _modernbert),
    "distilbert.modeling_distilbert.DistilBertForSequenceClassification": (
        "distilbert.transformer.layer", _distilbert
    ),
}  # fmt: skip
_PREFIX = "transformers.models."
# Output recorders, and requires_grad on the word embedding for checkpointing.
_HARMLESS = ("transformers.utils.output_capturing", "transformers.modeling_utils")


def last_layer_to_shorten(model: nn.Module) -> tuple[nn.Module, FirstToken] | None:
    """The last encoder layer, if only its first position can affect the prediction.

    Returns:
        The layer and how to shorten it; None unless the model is exactly of a known class, is not a decoder, has eager
        or sdpa attention, and has no pooling or anything else that might read the other positions.
    """
    kind = type(model)
    known = _LAYERS.get(f"{kind.__module__}.{kind.__qualname__}".removeprefix(_PREFIX))
    config: Any = getattr(model, "config", None)
    if known is None or getattr(config, "is_decoder", False) or config._attn_implementation not in ("eager", "sdpa"):
        return None
    if getattr(config, "classifier_pooling", "cls") != "cls":
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
    """Within the context, a last layer of which only the first position counts computes only that position."""
    found = last_layer_to_shorten(model)
    if found is None:
        yield
        return
    layer, first_token = found

    def forward(
        hidden: Tensor, mask: Tensor | None = None, *_: Any, attention_mask: Tensor | None = None, **settings: Any
    ) -> Any:
        return first_token(layer, hidden, attention_mask if mask is None else mask, settings)

    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward
