"""The three pretraining losses, and the heads that they need, which are discarded afterwards."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from tools.bundled.model.pairs import Batch

PAIR_WEIGHT = 0.5
TAG_WEIGHT = 1.5
WRONG_PIECE_WEIGHT = 3.0
"""Compensates for the rarity of wrong pieces."""


class Figures(NamedTuple):
    """What to watch in a batch: a loss in nats per masked piece, and three accuracies as fractions."""

    masked_loss: float
    masked_accuracy: float
    pair_accuracy: float
    """NaN when no pair of the batch is asked whether its meanings are the same."""
    tag_accuracy: float
    """Mean of the accuracy on wrong pieces and the accuracy on right pieces."""


class PretrainingModel(nn.Module):
    """The encoder with its heads.

    The loss is the sum of three means, in nats:

    - over the masked pieces, the cross-entropy of the piece (translation language modelling, Conneau and Lample 2019);
    - over the pairs that are asked, the cross-entropy of same or other meaning on [CLS], times PAIR_WEIGHT;
    - over the tagged pieces, the binary cross-entropy of right or wrong (as in ELECTRA, Clark et al. 2020, but given
      the other sentence), times TAG_WEIGHT; wrong pieces count WRONG_PIECE_WEIGHT times.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        # The order of these lines determines the random draws that initialise the modules.
        self.bert = BertModel(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.pair = nn.Linear(config.hidden_size, 2)
        self.tag = nn.Linear(config.hidden_size, 1)

    def forward(self, batch: Batch) -> tuple[Tensor, Figures]:
        """Compute the loss of a batch, in nats, and the figures to watch."""
        output = self.bert(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids
        )
        hidden = output.last_hidden_state.reshape(-1, output.last_hidden_state.shape[-1])
        masked_loss, masked_accuracy = self._masked(hidden, batch)
        pair_loss, pair_accuracy = self._pairs(output.pooler_output, batch)
        tag_loss, tag_accuracy = self._tags(hidden, batch)
        loss = masked_loss + PAIR_WEIGHT * pair_loss + TAG_WEIGHT * tag_loss
        return loss, Figures(masked_loss.item(), masked_accuracy, pair_accuracy, tag_accuracy)

    def _masked(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, float]:
        features = self.norm(functional.gelu(self.dense(hidden[batch.masked_places])))
        logits = features @ self.bert.embeddings.word_embeddings.weight.t() + self.bias
        loss = functional.cross_entropy(logits, batch.masked_pieces)
        return loss, (logits.argmax(-1) == batch.masked_pieces).float().mean().item()

    def _pairs(self, pooled: Tensor, batch: Batch) -> tuple[Tensor, float]:
        asked = batch.same_meaning >= 0
        logits, labels = self.pair(pooled[asked]), batch.same_meaning[asked]
        loss = functional.cross_entropy(logits, labels) if len(labels) else logits.sum()
        return loss, (logits.argmax(-1) == labels).float().mean().item()

    def _tags(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, float]:
        tags = batch.tags.reshape(-1)
        tagged = tags >= 0
        logits, wrong = self.tag(hidden[tagged])[:, 0], tags[tagged].to(hidden.dtype)
        loss = functional.binary_cross_entropy_with_logits(
            logits, wrong, pos_weight=logits.new_tensor(WRONG_PIECE_WEIGHT)
        )
        found = (logits[wrong > 0] > 0).float().mean()
        spared = (logits[wrong == 0] <= 0).float().mean()
        return loss, ((found + spared) / 2).item()
