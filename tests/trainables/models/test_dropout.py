"""Which rates of dropout a family has, and how its configuration calls them."""

import pytest

from trainables.config import DropoutConfig
from trainables.errors import InputError
from trainables.models.dropout import acting, can_act, dropout_notes, set_dropout, without_effect

BERT = {
    "hidden": ("hidden_dropout_prob",),
    "attention": ("attention_probs_dropout_prob",),
    "classifier": ("classifier_dropout",),
}
ARM = DropoutConfig(hidden=0.3, attention=0.3)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        *[({"model_type": kind}, BERT) for kind in ("bert", "xlm-roberta", "xlm-roberta-xl", "camembert", "ernie")],
        ({"model_type": "nomic_bert"}, BERT),
        ({"model_type": "rembert"}, BERT | {"classifier": ("classifier_dropout_prob",)}),
        *[({"model_type": kind}, {k: BERT[k] for k in ("hidden", "attention")}) for kind in ("mpnet", "roformer")],
        *[
            ({"model_type": kind}, {"attention": ("attention_dropout",)})
            for kind in ("eurobert", "qwen3", "llama", "gemma3_text")
        ],
        (
            {"model_type": "modernbert"},
            {
                "hidden": ("embedding_dropout", "mlp_dropout"),
                "attention": ("attention_dropout",),
                "classifier": ("classifier_dropout",),
            },
        ),
        ({"model_type": "deberta-v2"}, BERT | {"classifier": ("cls_dropout", "pooler_dropout")}),
        ({"model_type": "gpt2"}, {"hidden": ("embd_pdrop", "resid_pdrop"), "attention": ("attn_pdrop",)}),
        ({"model_type": "falcon"}, {"hidden": ("hidden_dropout",)}),
        ({"model_type": "falcon", "alibi": True}, {"hidden": ("hidden_dropout",), "attention": ("attention_dropout",)}),
        ({"model_type": "mpt"}, {}),
        (
            {"model_type": "gpt_neo"},
            {"hidden": ("embed_dropout", "resid_dropout"), "attention": ("attention_dropout",)},
        ),
        ({"model_type": "openai-gpt"}, {"hidden": ("embd_pdrop", "resid_pdrop"), "attention": ("attn_pdrop",)}),
        *[({"model_type": kind}, {"hidden": ("hidden_dropout_prob",)}) for kind in ("mra", "yoso")],
        (
            {"model_type": "starcoder2"},
            {"hidden": ("embedding_dropout", "residual_dropout"), "attention": ("attention_dropout",)},
        ),
        ({"model_type": "seed_oss"}, {"hidden": ("residual_dropout",), "attention": ("attention_dropout",)}),
        *[
            (
                {"model_type": kind},
                {
                    "hidden": ("dropout_rate",),
                    "attention": ("attention_dropout",),
                    "classifier": ("classifier_dropout_rate",),
                },
            )
            for kind in ("t5gemma", "t5gemma2")
        ],
        ({"model_type": "phi3"}, {"hidden": ("resid_pdrop",), "attention": ("attention_dropout",)}),
        (
            {"model_type": "reformer"},
            {
                "hidden": ("hidden_dropout_prob",),
                "attention": ("local_attention_probs_dropout_prob", "lsh_attention_probs_dropout_prob"),
                "classifier": ("classifier_dropout",),
            },
        ),
    ],
)
def test_the_rates_that_act(settings, expected):
    assert acting(settings) == expected


def test_a_rate_is_set_under_every_name_that_the_family_has():
    settings = {"model_type": "modernbert", "mlp_dropout": 0.0}
    set_dropout(settings, DropoutConfig(hidden=0.3, attention=0.2, classifier=0.1), "some model")
    rates = {"embedding_dropout": 0.3, "mlp_dropout": 0.3, "attention_dropout": 0.2, "classifier_dropout": 0.1}
    assert settings == {"model_type": "modernbert", **rates}


def test_what_a_family_lacks_is_said_where_another_rate_acts():
    settings = {"model_type": "llama"}
    set_dropout(settings, ARM, "some model")
    assert settings == {"model_type": "llama", "attention_dropout": 0.3}
    assert can_act(settings, ARM)
    assert without_effect(settings, ARM) == ["hidden"]
    (line,) = dropout_notes(settings, ARM, "some model")
    assert line == (
        "model some model has no rate of hidden dropout of its own, so model.dropout.hidden changes nothing in it"
    )


def test_a_rate_of_0_every_family_has():
    off = DropoutConfig(hidden=0.0, attention=0.0, classifier=0.0)
    settings = {"model_type": "mpt"}
    set_dropout(settings, off, "some model")
    assert settings == {"model_type": "mpt"}
    assert can_act(settings, off)
    assert dropout_notes(settings, off, "some model") == []


def test_dropout_that_cannot_act_is_refused_by_its_setting():
    assert not can_act({"model_type": "mpt"}, ARM)
    with pytest.raises(InputError, match=r"model.dropout.hidden: some model has no such dropout .*; leave it null"):
        set_dropout({"model_type": "mpt"}, ARM, "some model")


def test_a_model_type_that_transformers_does_not_know_is_not_refused_for_its_dropout():
    set_dropout({"model_type": "no such type"}, ARM, "some model")
    assert can_act({"model_type": "no such type"}, ARM)
