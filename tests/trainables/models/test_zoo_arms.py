"""Every arm of ``xnli`` and every view that looks for a module, one training step each, on tiny random models."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from study.catalog import xnli
from tests.zoo import NO_TABLE, ZOO, make
from trainables.config import ENGLISH, DropoutConfig, StageConfig
from trainables.config.dotted_paths import with_values
from trainables.errors import InputError
from trainables.examples import Examples
from trainables.models.dropout import FIELDS, acting, can_act, set_dropout
from trainables.seeding import Streams
from trainables.tokenization.encoding import Encoder
from trainables.training.micro_batch import MicroBatch
from trainables.training.stage import train_stage

REFUSED = {
    **{(kind, "hidden_noise"): "has no list of encoder layers" for kind in ("albert", "flaubert", "funnel", "xlm")},
    ("squeezebert", "hidden_noise"): "passes over the hook of its SqueezeBertModule",
    **{
        ("xlnet", kind): "not one of each of the"
        for kind in ("noise", "hidden_noise", "adversarial_embedding", "token_substitution")
    },
}
"""Architectures whose layers are shared or are not called as modules, or that put pieces before examples."""
VIEWS = {
    "hidden_noise": {"strength": 0.5},
    "adversarial_embedding": {"strength": 0.5, "start": 0.5, "step_size": 0.5},
    "token_substitution": {"strength": 0.9},
}
STAGE = {"stages.0.epochs": 1, "stages.0.batch_size": 2}
BASE = with_values(xnli(bundled=True).base, STAGE)
ARMS = {arm.name: arm.points(BASE)[-1][1] for arm in xnli(bundled=True).arms} | {
    kind: with_values(BASE, {"stages.0.noise.kind": kind} | {f"stages.0.noise.{k}": v for k, v in values.items()})
    for kind, values in VIEWS.items()
}


@pytest.fixture(scope="module")
def examples(tiny_assets, tiny_config) -> Examples:
    """Two rows without token types, which not every architecture takes."""
    tokenizer = replace(tiny_assets.model(tiny_config).tokenizer, uses_token_types=False)
    return Examples(tiny_assets.rows(tiny_config).train.take(range(2)), Encoder(tokenizer, 24))


@pytest.fixture(scope="module")
def pieces(tiny_model) -> int:
    return len((tiny_model / "vocab.txt").read_text(encoding="utf-8").splitlines())


def with_dropout(model: PreTrainedModel, dropout: DropoutConfig) -> PreTrainedModel:
    """The same weights with other rates of dropout."""
    rates = {"model_type": model.config.model_type}
    set_dropout(rates, dropout, "tiny")
    config = copy.deepcopy(model.config)
    for field, rate in rates.items():
        if field != "model_type":
            setattr(config, field, rate)
    dropped = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    dropped.load_state_dict(model.state_dict())
    return dropped


def moved_by_the_view(model: PreTrainedModel, examples: Examples, stage: StageConfig) -> bool:
    step = MicroBatch(model, examples, [0, 1], stage.terms, Streams(0), "0.en", 0, 0)
    return not torch.allclose(step.logits("main", None), step.logits("clean", None), atol=1e-6)


@pytest.mark.parametrize("kind", sorted(ZOO.keys() - NO_TABLE))
def test_every_arm_and_view_takes_a_step(kind: str, examples: Examples, pieces: int) -> None:
    tiny = make(kind, 2, "eager", vocab_size=pieces, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    start = [parameter.detach().clone() for parameter in tiny.parameters()]
    for name, config in ARMS.items():
        model, stage, message = copy.deepcopy(tiny), config.stages[0], REFUSED.get((kind, name))
        if name == "dropout":
            assert can_act({"model_type": kind}, config.model.dropout)
            model = with_dropout(model, config.model.dropout)
        if message is not None:
            with pytest.raises(InputError, match=message) as refusal:
                moved_by_the_view(model, examples, stage)
            assert "\n" not in str(refusal.value), name
            continue
        if stage.noise is not None:
            assert moved_by_the_view(model, examples, stage), name
        done = train_stage(model, examples, examples, stage, Streams(0), 0, ENGLISH, lambda point: None)
        assert done.steps == 1, name
        assert all(torch.isfinite(parameter).all() for parameter in model.parameters()), name
        assert any(not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True)), name


@pytest.mark.parametrize("kind", ZOO)
def test_a_rate_of_dropout_acts_where_the_table_says_so(kind: str, examples: Examples, pieces: int) -> None:
    tiny = make(kind, 2, "eager", vocab_size=pieces, pad_token_id=0, bos_token_id=2, eos_token_id=3)
    inputs = examples.inputs([0, 1], torch.device("cpu"))
    found = acting({"model_type": kind})
    for role in FIELDS:
        if role not in found:
            with pytest.raises(InputError, match=f"model.dropout.{role}: tiny has no such dropout"):
                with_dropout(tiny, DropoutConfig(**{role: 0.6}))
            continue
        off = dict.fromkeys(found, 0.0)
        still, dropped = (with_dropout(tiny, DropoutConfig(**off | {role: rate})).train() for rate in (0.0, 0.6))
        with torch.no_grad():
            torch.manual_seed(0)
            assert not torch.equal(dropped(**inputs).logits, still(**inputs).logits), role
