"""The first two layers of a real encoder on real sentence pairs; skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.curvature.cases import refuse_batches
from trainables.curvature import SlowPathWarning, fisher_trace, kl_expansion


@pytest.fixture(scope="module")
def encoder(shared: Path) -> tuple[Any, list[dict[str, torch.Tensor]]]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = shared / "models" / "multilingual-e5-small-pruned"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, dtype="float32", num_hidden_layers=2
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = (shared / "data" / "xnli" / "dev-zh.tsv").read_text(encoding="utf-8").splitlines()[:4]
    pairs = [line.split("\t")[:2] for line in lines]
    encoded = tokenizer([a for a, _ in pairs], [b for _, b in pairs], padding=True, return_tensors="pt")
    return model.eval(), [dict(encoded)]


def test_fast_and_slow_path_agree(encoder: tuple[Any, list[dict[str, torch.Tensor]]]) -> None:
    model, batches = encoder
    fast = fisher_trace(model, batches, slow="error")
    handle = model.classifier.register_forward_hook(refuse_batches)
    with pytest.warns(SlowPathWarning):
        slow = fisher_trace(model, batches)
    handle.remove()
    torch.testing.assert_close(fast.per_example, slow.per_example, rtol=1e-4, atol=0.0)
    assert fast.per_layer == pytest.approx(slow.per_layer, rel=1e-4)


def test_equation_one(encoder: tuple[Any, list[dict[str, torch.Tensor]]]) -> None:
    model, batches = encoder
    # Nine tenths of the parameters, and of the test's time.
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    expansion = kl_expansion(model, batches, [1e-6, 1e-1], draws=2)
    assert ((expansion.ratio[:, 0] - 1).abs() < 0.02).all()
    assert expansion.leaves(0.05) == 1e-1
