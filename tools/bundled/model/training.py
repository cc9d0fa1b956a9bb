"""The pretraining run: text, model, optimiser, loop, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from transformers import BertConfig

from tools.bundled.model import corpus, pairs, tokenizer, warm_start
from tools.bundled.model.objective import Figures, PretrainingModel

SEED = 1
NUM_STEPS = 3600
NUM_RECORDS = 30_000
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 200
FINE_TUNING_DROPOUT = 0.1


class Progress(NamedTuple):
    """A finished step, counted from 1, and its figures."""

    step: int
    figures: Figures


def model_config(vocabulary_size: int) -> BertConfig:
    """Three layers of width 96 with four heads; no dropout during pretraining."""
    return BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        max_position_embeddings=tokenizer.MAX_LENGTH,
        hidden_act="relu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.04,
    )


def learning_rate(step: int, num_steps: int) -> float:
    """Warm up linearly, stay flat, then decay linearly to zero over the last 70 % of the steps; they count from 0.

    >>> [round(learning_rate(step, 3600), 6) for step in (0, 199, 1000, 3599)]
    [1e-05, 0.002, 0.002, 1e-06]
    """
    return LEARNING_RATE * min(1, (step + 1) / WARM_UP_STEPS) * min(1.0, (1 - step / num_steps) / 0.7)


def pretrain(
    folder: Path,
    *,
    seed: int = SEED,
    num_steps: int = NUM_STEPS,
    num_records: int = NUM_RECORDS,
    report: Callable[[Progress], None],
) -> None:
    """Train the mini model on the committed vocabulary; write a Hugging Face model folder, with weights in float16.

    Seeds torch's global generator. Equal arguments give equal bytes on one machine with one thread; other thread
    counts, processors and library versions may round differently.

    Args:
        folder: Made if it does not exist.
        num_steps: Number of batches to train on.
        num_records: Number of meanings in the text.
        report: Called after every step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    wordpiece = tokenizer.build()
    tokenizer.save(wordpiece, folder)
    text = corpus.encode(list(corpus.sentences(num_records, seed)), wordpiece)
    vocabulary_size = wordpiece.get_vocab_size()
    model = PretrainingModel(model_config(vocabulary_size))
    warm_start.start(model.bert, text)
    optimizer = _optimizer(model)
    step = 0
    while step < num_steps:
        for batch in pairs.batches(text, step / num_steps, rng):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, num_steps)
            loss, figures = model(pairs.collate(batch, vocabulary_size, rng))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            report(Progress(step, figures))
            if step == num_steps:
                break
    model.bert.config.hidden_dropout_prob = FINE_TUNING_DROPOUT
    model.bert.config.attention_probs_dropout_prob = FINE_TUNING_DROPOUT
    model.bert.half().save_pretrained(folder)


def _optimizer(model: nn.Module) -> torch.optim.AdamW:
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))
