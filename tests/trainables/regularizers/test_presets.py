"""Scales: a preset with the published coefficient, converted as stated, is the public code's own reduction."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy, kl_div

from trainables.config import StageConfig, TrialConfig
from trainables.config.dotted_paths import flatten, parse, with_values
from trainables.errors import InputError
from trainables.regularizers.consistency import ConsistencyConfig
from trainables.regularizers.presets import PRESETS
from trainables.training.objective import objective

# Two examples, three classes, probabilities (1/2, 1/4, 1/4), (1/4, 1/4, 1/2) against (1/4, 1/2, 1/4), uniform.
CLEAN = torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 2.0]], dtype=torch.float64) * math.log(2)
VIEW = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0]], dtype=torch.float64) * math.log(2)
LABELS = torch.tensor([0, 1])
KL_SUM = 0.25 * math.log(2) + (math.log(3) - 1.5 * math.log(2))
REVERSE_SUM = 0.25 * math.log(2) + (5 / 3 * math.log(2) - math.log(3))
CE, CE_VIEW = 1.5 * math.log(2), (2 * math.log(2) + math.log(3)) / 2


class GivenStep:
    """A step whose passes gave these logits."""

    labels = LABELS
    fisher_acts = False

    def __init__(self, clean, view):
        self._logits = {"main": clean, "view": view}

    def logits(self, role, mask):
        return self._logits[role]


def ours(clean, view, **consistency):
    return objective(GivenStep(clean, view), StageConfig(consistency=ConsistencyConfig(**consistency))).total


def kl(target, other, reduction):
    return kl_div(other.log_softmax(-1), target.softmax(-1), reduction=reduction)


def r3f(clean, view, coefficient):
    batch = len(LABELS)
    divergence = (kl(clean, view, "sum") + kl(view, clean, "sum")) / batch
    return (cross_entropy(clean, LABELS, reduction="sum") + coefficient * divergence * batch) / batch


def mt_dnn(clean, view, coefficient):
    divergence = kl(view.detach(), clean, "batchmean") + kl(clean.detach(), view, "batchmean")
    return cross_entropy(clean, LABELS) + coefficient * divergence


def r_drop_readme(clean, view, coefficient):
    divergence = (kl(clean, view, "none").sum() + kl(view, clean, "none").sum()) / 2
    return 0.5 * (cross_entropy(clean, LABELS) + cross_entropy(view, LABELS)) + coefficient * divergence


def r_drop_fairseq(clean, view, coefficient):
    ce = cross_entropy(clean, LABELS, reduction="sum") + cross_entropy(view, LABELS, reduction="sum")
    return (ce + coefficient * (kl(clean, view, "sum") + kl(view, clean, "sum")) / 2) / len(LABELS)


def r_drop_hugging_face(clean, view, coefficient):
    divergence = (kl(clean, view, "none").sum() + kl(view, clean, "none").sum()) / 2
    return cross_entropy(clean, LABELS) + cross_entropy(view, LABELS) + coefficient * divergence


def xtune(clean, view, coefficient):
    # torch's deprecated default averages over all B * C elements.
    divergence = kl(clean.detach(), view, "none").mean() + kl(view.detach(), clean, "none").mean()
    return cross_entropy(clean, LABELS) + coefficient * divergence


def mvr(clean, view, coefficient):
    ce = 0.5 * cross_entropy(clean, LABELS) + 0.5 * cross_entropy(view, LABELS)
    return ce + coefficient * kl(clean, view, "batchmean")


def vat_d(clean, view, coefficient):
    sharp = clean.detach().softmax(-1) ** 2
    sharp = sharp / sharp.sum(-1, keepdim=True)
    return cross_entropy(clean, LABELS) + coefficient * kl_div(view.log_softmax(-1), sharp, reduction="batchmean")


# Public code to its own reduction, and to its value on the batch above at the published coefficient, by hand.
REFERENCES = {
    "R3F fairseq": (r3f, CE + (KL_SUM + REVERSE_SUM) / 2),
    "SMART, mt-dnn SymKlCriterion": (mt_dnn, CE + (KL_SUM + REVERSE_SUM) / 2),
    "R-Drop README": (r_drop_readme, (CE + CE_VIEW) / 2 + (KL_SUM + REVERSE_SUM) / 2),
    "R-Drop fairseq RoBERTa": (r_drop_fairseq, CE + CE_VIEW + (KL_SUM + REVERSE_SUM) / 4),
    "R-Drop Hugging Face BERT": (r_drop_hugging_face, CE + CE_VIEW + (KL_SUM + REVERSE_SUM) / 4),
    "xTune, run_cls.py": (xtune, CE + 5 * (KL_SUM + REVERSE_SUM) / 6),
    "MVR, run_mv_classify.py": (mvr, (CE + CE_VIEW) / 2 + 0.6 * KL_SUM / 2),
    "VAT-D, train.py": (vat_d, None),
}
CONVERSIONS = [(name, conversion) for name, preset in PRESETS.items() for conversion in preset.conversions]


def converted(name, conversion, clean, view, **fields):
    weight = conversion.weight(conversion.published, len(LABELS), clean.shape[1])
    return conversion.objective * ours(clean, view, preset=name, weight=weight, **fields)


@pytest.mark.parametrize(("name", "conversion"), CONVERSIONS, ids=lambda value: getattr(value, "code", value))
def test_the_converted_coefficient_gives_the_public_codes_value(name, conversion):
    function, by_hand = REFERENCES[conversion.code]
    expected = function(CLEAN, VIEW, conversion.published).item()
    if by_hand is not None:
        assert expected == pytest.approx(by_hand, rel=1e-12)
    assert converted(name, conversion, CLEAN, VIEW).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "conversion"), CONVERSIONS, ids=lambda value: getattr(value, "code", value))
def test_and_its_gradient_where_the_same_parts_are_stopped(name, conversion):
    found, expected = ([t.clone().requires_grad_() for t in (CLEAN, VIEW)] for _ in range(2))
    stops = {"stop_gradient": "target"} if name == "smart" else {}  # mt-dnn's deviation
    converted(name, conversion, *found, **stops).backward()
    REFERENCES[conversion.code][0](*expected, conversion.published).backward()
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-12)
        assert a.grad.abs().max() > 1e-3


def test_smarts_public_gradient_is_half_of_the_formulas_near_equality():
    near = CLEAN + 1e-4 * VIEW
    grads = []
    for stop in ("none", "target"):
        clean = CLEAN.clone().requires_grad_()
        step = GivenStep(clean, near)
        ConsistencyConfig(preset="smart", stop_gradient=stop).penalty(step).backward()
        grads.append(clean.grad)
    assert torch.allclose(grads[1], grads[0] / 2, rtol=1e-3, atol=1e-12)


def test_the_table_of_scales():
    weights = {c.code: c.weight(1.0, 32, 3) for _, c in CONVERSIONS}
    assert weights == {
        "MVR, run_mv_classify.py": 1.0,
        "R-Drop README": 32.0,
        "R-Drop fairseq RoBERTa": 0.5,
        "R-Drop Hugging Face BERT": 16.0,
        "R3F fairseq": 1.0,
        "SMART, mt-dnn SymKlCriterion": 1.0,
        "xTune, run_cls.py": pytest.approx(1 / 3),
        "VAT-D, train.py": 1.0,
    }
    assert set(REFERENCES) == set(weights)


def test_null_is_the_presets_choice_and_given_fields_override_it():
    loss = ConsistencyConfig(preset="r3f").resolved()
    assert (loss.weight, loss.divergence, loss.dropout, loss.stop_gradient) == (
        1.0, "symmetric_kl", "independent", "embedding",
    )  # fmt: skip
    assert (loss.view.kind, loss.view.strength, loss.view.scale) == ("embedding_uniform", 1e-5, "absolute")
    gaussian = ConsistencyConfig(preset="r3f", view={"kind": "embedding_gaussian"}).resolved()
    assert gaussian.view.strength == 1e-5  # published beside the uniform one
    other = ConsistencyConfig(
        preset="r3f", divergence="kl", temperature=2, stop_gradient="none", dropout="off", view={"strength": 0.5}
    ).resolved()
    assert (other.divergence, other.temperature, other.stop_gradient, other.dropout) == ("kl", 2, "none", "off")
    assert (other.view.kind, other.view.strength) == ("embedding_uniform", 0.5)
    free = ConsistencyConfig(preset="mvr", view={"kind": "hidden_noise", "layer": 0}).resolved()
    assert (free.view.layer, free.view.strength, free.view.spread) == (0, 0.05, "up")


def test_strength_is_searched_without_naming_the_presets_view():
    config = with_values(
        TrialConfig(), {"stages.0.consistency.preset": "smart", "stages.0.consistency.view.strength": "0.01"}
    )
    assert config.stages[0].consistency.resolved().view.strength == 0.01
    assert config.stages[0].consistency.resolved().view.kind == "adversarial_embedding"
    assert flatten(config)["stages.0.consistency.view.kind"] is None


def test_configurations_of_earlier_records_mean_what_they_meant():
    earlier = TrialConfig().model_dump(mode="json")
    earlier["stages"][0]["consistency"] = {
        "preset": "mvr", "weight": 0.6, "dropout": "independent", "view": {"kind": "subword", "strength": None},
    }  # fmt: skip
    earlier["stages"][0]["noise"] = {"kind": "embedding_gaussian", "strength": 0.1}
    stage = parse(earlier).stages[0]
    assert stage.consistency.resolved() == ConsistencyConfig().resolved()
    assert stage.noise.resolved().scale == "absolute"


def test_expanded_shows_every_choice_and_every_conversion():
    expanded = ConsistencyConfig(preset="r_drop", weight=2).expanded()
    assert expanded["weight"] == 2
    assert expanded["dropout"] == "independent"
    assert expanded["view_share"] == 0.5
    assert "R-Drop README: coefficient c is weight c B;" in expanded["conversion"]
    assert "R-Drop fairseq RoBERTa: coefficient c is weight c / 2 of 2 times the objective" in expanded["conversion"]
    smart = ConsistencyConfig(preset="smart").expanded()
    assert {name: value for name, value in smart.items() if name.startswith("view.")} == {
        "view.kind": "adversarial_embedding",
        "view.strength": 1e-5,
        "view.start": 1e-5,
        "view.steps": 1,
        "view.step_size": 1e-3,
        "view.norm": "inf",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"consistency.preset": "mixup"}, "unknown consistency preset 'mixup'; known are mvr, r_drop, r3f, smart"),
        ({"consistency.view.kind": "crop"}, "unknown view 'crop'; known are subword"),
        ({"noise.kind": "parameter_noise"}, "view parameter_noise needs strength: there is no default"),
        ({"noise.strength": 0.1}, "a view needs its kind: subword"),
        ({"noise.kind": "second_dropout"}, "noise.kind=second_dropout would change nothing"),
        ({"noise.kind": "subword", "noise.steps": 2}, "view subword does not use steps; its fields are: strength"),
        ({"consistency.preset": "r_drop", "consistency.view.strength": 1}, "view second_dropout does not use strength"),
        ({"consistency.preset": "smart", "consistency.view.layer": 1}, "adversarial_embedding does not use layer"),
        ({"noise.kind": "token_substitution", "noise.strength": 2}, "token_substitution is at most 1, got 2"),
        ({"consistency.dropout": "shared"}, "needs a view that keeps the tokens in place, and 'subword'"),
        ({"consistency.preset": "r_drop", "consistency.dropout": "off"}, "leaves the view 'second_dropout' nothing"),
        ({"consistency.divergence": "hidden_squared_error"}, "'hidden_squared_error' needs a view that keeps"),
        ({"consistency.preset": "lnsr", "consistency.temperature": 2}, "temperature is of predictions"),
        ({"consistency.temperature": 0}, "temperature: input should be greater than 0"),
    ],
)
def test_contradictions_are_one_clear_error(values, message):
    with pytest.raises(InputError, match=message) as caught:
        with_values(TrialConfig(), {f"stages.0.{path}": value for path, value in values.items()})
    assert "\n" not in str(caught.value)


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ConsistencyConfig().weight = 1
