"""Small encoders of each family, far from their initial state, and a batch with everything that is easily got wrong."""

from __future__ import annotations

from typing import Any

import torch
import transformers

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "electra")
VOCABULARY = 30
_PAD = {"roberta": 1, "xlm-roberta": 1}


def make_model(family: str = "bert", classes: int = 3, *, seed: int = 0, **settings: Any) -> Any:
    """Two layers of 16; weights, biases and LayerNorms moved at random, so that no part of the score is small."""
    common = {"vocab_size": VOCABULARY, "num_labels": classes, "max_position_embeddings": 64, **settings}
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    sizes = {key: value for key, value in sizes.items() if key not in settings}
    if family == "bert":
        config: Any = transformers.BertConfig(**sizes, **common)
    elif family == "electra":
        config = transformers.ElectraConfig(embedding_size=8, **sizes, **common)
    elif family == "roberta":
        config = transformers.RobertaConfig(type_vocab_size=1, **sizes, **common)
    elif family == "xlm-roberta":
        config = transformers.XLMRobertaConfig(type_vocab_size=1, **sizes, **common)
    else:
        config = transformers.DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, **common)
    torch.manual_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def refuse_batches(module: Any, args: Any, output: torch.Tensor) -> None:
    """A hook that makes a model refuse batches, so that it is measured by the loop."""
    if len(output) > 1:
        raise ValueError("one example at a time")


def one_at_a_time(model: Any) -> None:
    model.classifier.register_forward_hook(refuse_batches)


def make_batch(family: str = "bert", rows: int = 5, length: int = 9, seed: int = 0) -> dict[str, torch.Tensor]:
    """Lengths down to 2, repeated tokens, [PAD] inside the attended part, two token types where there are two."""
    generator = torch.Generator().manual_seed(seed)
    pad = _PAD.get(family, 0)
    ids = torch.randint(3, VOCABULARY, (rows, length), generator=generator)
    ids[:, 3] = ids[:, 1]
    ids[:, 4] = pad
    lengths = torch.tensor([length, 2, 5, length - 2, length - 1, 3])[torch.arange(rows) % 6]
    mask = (torch.arange(length) < lengths.unsqueeze(1)).long()
    batch = {"input_ids": torch.where(mask > 0, ids, pad), "attention_mask": mask}
    if family in ("bert", "electra"):
        batch["token_type_ids"] = (torch.arange(length) >= lengths.unsqueeze(1) // 2).long() * mask
    return batch
