"""A structured initialisation, without which so small a model does not learn to compare two sentences in minutes.

Embeddings are aligned across languages, and attention heads attend to what is alike in the other sentence.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import BertModel

from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.model.corpus import Corpus
from tools.bundled.model.tokenizer import NUM_SPECIAL

EMBEDDING_SCALE = 0.05
MAX_RECORDS = 20_000


def start(bert: BertModel, corpus: Corpus) -> None:
    """Overwrite a model's random initialisation in place; draws from torch's global generator."""
    with torch.no_grad():
        bert.embeddings.word_embeddings.weight.copy_(
            piece_embeddings(corpus, bert.config.vocab_size, bert.config.hidden_size)
        )
        _start_positions(bert)
        _start_heads(bert, _start_segments(bert))


def positive_pmi(corpus: Corpus, num_records: int, vocabulary_size: int) -> npt.NDArray[np.float32]:
    """Positive pointwise mutual information of pieces in the true wordings of a record, in nats.

    Over the first n = ``num_records`` records of the text, n_i of which have piece i in some language and n_ij both i
    and j, entry [i, j] is ``max(0, log(n * n_ij / (n_i * n_j)))``; a piece that never occurs counts as if it occurred
    once. Symmetric, ``[vocabulary_size, vocabulary_size]``.
    """
    counts = np.zeros((vocabulary_size, vocabulary_size), np.float32)
    for record in range(num_records):
        wordings = [corpus.wording(record, language, k) for language in range(len(LANGUAGES)) for k in (0, 1)]
        pieces = np.unique(np.concatenate(wordings))
        counts[np.ix_(pieces, pieces)] += 1
    occurrences = np.maximum(counts.diagonal().copy(), 1)
    ratios = counts * num_records / (occurrences[:, None] * occurrences[None])
    pmi: npt.NDArray[np.float32] = np.log(np.maximum(ratios, 1))
    return pmi


def piece_embeddings(corpus: Corpus, vocabulary_size: int, size: int) -> Tensor:
    """Embed the pieces by the leading singular vectors of their mutual information, with some noise.

    Pieces of different languages that occur in the same records come to lie together. Rows have length
    ``EMBEDDING_SCALE * sqrt(size)`` before the noise; special pieces are noise only. The first MAX_RECORDS records are
    used.

    Returns:
        ``[vocabulary_size, size]``.
    """
    pmi = positive_pmi(corpus, min(corpus.num_records, MAX_RECORDS), vocabulary_size)
    vectors, values, _ = np.linalg.svd(pmi, hermitian=True)
    rows = vectors[:, :size] * np.sqrt(values[:size])
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    rows[:NUM_SPECIAL] = 0
    aligned = torch.from_numpy(rows * EMBEDDING_SCALE * size**0.5).float()
    return aligned + 0.25 * EMBEDDING_SCALE * torch.randn(vocabulary_size, size)


def _start_positions(bert: BertModel) -> None:
    """Use sinusoids, as in the original Transformer."""
    weight, half = bert.embeddings.position_embeddings.weight, bert.config.hidden_size // 2
    positions = torch.arange(weight.shape[0])[:, None].float()
    frequencies = torch.exp(-math.log(200.0) * torch.arange(half) / half)
    waves = torch.cat([torch.sin(positions * frequencies), torch.cos(positions * frequencies)], dim=1)
    weight.copy_(0.03 * waves)


def _start_segments(bert: BertModel) -> Tensor:
    """Use opposite vectors for the two sentences; return their direction, ``[hidden_size]``, of length 1."""
    size = bert.config.hidden_size
    direction = torch.randn(size)
    direction /= direction.norm()
    bert.embeddings.token_type_embeddings.weight.copy_(
        torch.stack([direction, -direction]) * EMBEDDING_SCALE * size**0.5
    )
    return direction


def _start_heads(bert: BertModel, segment: Tensor) -> None:
    """Make half of the heads compare the two sentences.

    Query and key share a random projection, but the key negates the segment direction, so that a piece attends to what
    resembles it in the OTHER sentence; value and output are minus a projection, which removes what the two share.
    """
    size, num_heads = bert.config.hidden_size, bert.config.num_attention_heads
    head_size = size // num_heads
    flip = torch.eye(size) - 2 * torch.outer(segment, segment)
    for layer in bert.encoder.layer:
        attention, output = layer.attention.self, layer.attention.output.dense
        for head in range(num_heads // 2):
            rows = slice(head * head_size, (head + 1) * head_size)
            projection = torch.linalg.qr(torch.randn(size, head_size))[0].t() * (4.5 / size**0.5)
            values = torch.linalg.qr(torch.randn(size, head_size))[0]
            attention.query.weight[rows] = projection * 2.8
            attention.key.weight[rows] = (projection * 2.8) @ flip
            attention.value.weight[rows] = values.t() * 0.8
            output.weight[:, rows] = -values * 0.8
