"""Tiny random models of many architectures, every one a sequence classifier of transformers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

VOCABULARY = 40
PAD, END = 1, 2
_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 64, "num_labels": 3, "pad_token_id": PAD, "eos_token_id": END,
    "bos_token_id": 0, "layer_norm_eps": 1e-5,
}  # fmt: skip
_DECODER = {"num_key_value_heads": 1, "head_dim": 8}
_DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 16}
_GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
_XLM = {"emb_dim": 16, "n_layers": 2, "n_heads": 2}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": PAD}
_BART = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "decoder_start_token_id": END,
}  # fmt: skip
ZOO: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 8},
    "bart": _BART,
    "bert": {},
    "big_bird": {"attention_type": "original_full"},
    "biogpt": {},
    "bloom": {"n_layer": 2, "n_head": 2},
    "camembert": {"type_vocab_size": 1},
    "canine": {"num_hash_functions": 2, "num_hash_buckets": 32, "downsampling_rate": 2, "local_transformer_stride": 8},
    "convbert": {"embedding_size": 16},
    "data2vec-text": {},
    "deberta": _DEBERTA,
    "deberta-v2": {
        **_DEBERTA,
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "electra": {"embedding_size": 8},
    "ernie": {},
    "esm": {"position_embedding_type": "rotary", "mask_token_id": 3, "token_dropout": False},
    "eurobert": {"num_key_value_heads": 2, "head_dim": 8},
    "falcon": {},
    "flaubert": _XLM,
    "funnel": {
        "d_model": 16,
        "n_head": 2,
        "d_head": 8,
        "d_inner": 24,
        "block_sizes": [1, 1],
        "num_hidden_layers": None,
    },
    "gemma": _DECODER,
    "gemma2": _DECODER,
    "gemma3_text": _DECODER,
    "gpt2": _GPT,
    "gpt_neox": {},
    "gptj": {**_GPT, "rotary_dim": 4},
    "llama": _DECODER,
    "longformer": {"attention_window": 8},
    "mbart": _BART,
    "megatron-bert": {},
    "mistral": _DECODER,
    "mobilebert": {"embedding_size": 16, "true_hidden_size": 16, "intra_bottleneck_size": 16, "hidden_size": 16},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 24, "classifier_pooling": "mean"},
    "mpnet": {},
    "mt5": _T5,
    "nomic_bert": {"type_vocab_size": 2},
    "olmo2": _DECODER,
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16},
    "phi": {},
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": _DECODER,
    "rembert": {"input_embedding_size": 8, "output_embedding_size": 8},
    "roberta": {},
    "roberta-prelayernorm": {},
    "roformer": {"embedding_size": 16},
    "squeezebert": {"q_groups": 1, "k_groups": 1, "v_groups": 1, "embedding_size": 16},
    "t5": _T5,
    "umt5": _T5,
    "xlm": {**_XLM, "n_langs": 1},
    "xlm-roberta": {},
    "xlm-roberta-xl": {},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24, "max_position_embeddings": None},
    "xmod": {"languages": ["en_XX", "de_DE"], "adapter_reduction_factor": 2, "default_language": "de_DE"},
}

SLOW = {
    "funnel": "the function einsum of a parameter",
    "longformer": "is computed from parameters and has no rule",
    "xlnet": "is computed from parameters and has no rule",
}
NO_TABLE = {"canine", "longformer"}
"""Their embeddings are not rows of one table, or change with the pieces that they add: some terms refuse them."""
# In float64, in which the reference is computed, they give no number where padding stands on the left.
_RIGHT_ONLY = ("bloom", "gemma2", "longformer")


def configured(kind: str, **settings: Any) -> Any:
    """The configuration of a tiny model."""
    sizes = _SIZES | ZOO[kind] | settings
    return AutoConfig.for_model(kind, **{key: value for key, value in sizes.items() if value is not None})


def make(kind: str, classes: int = 3, attention: str | None = None, **settings: Any) -> Any:
    """Weights, biases and gains moved at random, so that no part of the score is small; no dropout."""
    config = configured(kind, num_labels=classes, **settings)
    for name in vars(config):
        if name.endswith(("dropout", "dropout_prob", "pdrop", "dropout_rate")) and isinstance(
            vars(config)[name], float
        ):
            setattr(config, name, 0.0)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def batch(kind: str, rows: int = 5, length: int = 11, left: bool = True) -> dict[str, torch.Tensor]:
    """Ragged lengths, repeated tokens, padding on the right and on the left, one end token an example."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, VOCABULARY, (rows, length), generator=generator)
    ids[:, 1] = ids[:, 0]
    number = torch.arange(rows)
    lengths = torch.tensor([length, 3, 7, length - 1, 5])[number % 5]
    place = torch.arange(length).expand(rows, -1)
    ids[number, lengths - 1] = END
    mask = (place < lengths.unsqueeze(1)).long()
    ids = torch.where(mask > 0, ids, PAD)
    shift = torch.where(number % 2 == 1, lengths, 0) * (left and kind not in _RIGHT_ONLY)
    order = (place + shift.unsqueeze(1)) % length
    return {"input_ids": ids.gather(1, order), "attention_mask": mask.gather(1, order)}
