"""The consistency losses of the literature, as data: one entry of ``PRESETS`` per method.

Every divergence is in nats, summed over classes and averaged over examples, or, for hidden states, a mean square. CE
and CE' are the cross-entropies of the clean input and of the view. Where public code differs, ``deviation`` says how,
and ``conversions`` turns its coefficients into weights here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from trainables.plugins import Registry
from trainables.views.view import ViewConfig

Divergence = Literal["kl", "reverse_kl", "symmetric_kl", "half_symmetric_kl", "hidden_squared_error"]
StopGradient = Literal["none", "target", "clean", "embedding"]
Dropout = Literal["independent", "shared", "off"]


@dataclass(frozen=True)
class Conversion:
    """How a coefficient in public code translates into a weight here.

    Attributes:
        formula: The weight, in words: ``c`` is the coefficient, ``B`` the batch size, ``C`` the number of classes.
        weight: The same, from (c, B, C).
        objective: That code's whole objective as a multiple of ours.
    """

    code: str
    published: float
    formula: str
    weight: Callable[[float, int, int], float]
    objective: float = 1.0


@dataclass(frozen=True)
class Preset:
    """What a published method fixes.

    Attributes:
        formula: The loss in words.
        views: Its view, then the other views it publishes; fields not given are the kind's defaults.
        search: Range of weights to search.
        stop_gradient: Where no gradient flows, see :class:`ConsistencyConfig`.
        temperature: Divides the target's logits.
        view_share: Share of the cross-entropy that the view's own cross-entropy takes.
        deviation: What the public code does that the formula does not show.
        conversions: Coefficients of public code.
    """

    source: str
    formula: str
    views: tuple[ViewConfig, ...]
    divergence: Divergence
    weight: float
    search: tuple[float, float]
    dropout: Dropout = "independent"
    stop_gradient: StopGradient = "none"
    temperature: float = 1.0
    view_share: float = 0.0
    deviation: str = ""
    conversions: tuple[Conversion, ...] = ()


_OURS = {
    "mvr": Preset(
        source="Wang et al. 2021, equation 2",
        formula="0.5 CE + 0.5 CE' + w KL(p_clean || p_view)",
        views=(ViewConfig(kind="subword"),),
        divergence="kl",
        weight=0.6,
        search=(0.05, 5.0),
        view_share=0.5,
        deviation="one segmentation is drawn for all epochs and seeds, and single characters are rejected too",
        conversions=(Conversion("MVR, run_mv_classify.py", 0.6, "c", lambda c, b, k: c),),
    ),
    "r_drop": Preset(
        source="Liang et al. 2021",
        formula="0.5 (CE1 + CE2) + w/2 (KL(p1 || p2) + KL(p2 || p1)), p1 and p2 of two dropout masks",
        views=(ViewConfig(kind="second_dropout"),),
        divergence="half_symmetric_kl",
        weight=1.0,
        search=(0.1, 5.0),
        view_share=0.5,
        deviation="README and Hugging Face code sum the divergence over the batch beside a mean CE; fairseq and "
        "Hugging Face code do not halve CE1 + CE2; the RoBERTa code takes CE1 alone",
        conversions=(
            Conversion("R-Drop README", 1.0, "c B", lambda c, b, k: c * b),
            Conversion("R-Drop fairseq RoBERTa", 1.0, "c / 2", lambda c, b, k: c / 2, objective=2.0),
            Conversion("R-Drop Hugging Face BERT", 0.5, "c B / 2", lambda c, b, k: c * b / 2, objective=2.0),
        ),
    ),
    "r3f": Preset(
        source="Aghajanyan et al. 2020",
        formula="CE + w (KL(p_clean || p_view) + KL(p_view || p_clean)), view: word embeddings + noise",
        views=(
            ViewConfig(kind="embedding_uniform", strength=1e-5),
            ViewConfig(kind="embedding_gaussian", strength=1e-5),
        ),
        divergence="symmetric_kl",
        weight=1.0,
        search=(0.1, 5.0),
        stop_gradient="embedding",
        deviation="masks are independent, so that at 1e-5 the divergence is nearly all dropout (dropout=shared isolates"
        " the noise); padding is noised too",
        conversions=(Conversion("R3F fairseq", 1.0, "c", lambda c, b, k: c),),
    ),
    "smart": Preset(
        source="Jiang et al. 2020",
        formula="CE + w max (KL(p_clean || p_view) + KL(p_view || p_clean)) within a radius of each word embedding",
        views=(ViewConfig(kind="adversarial_embedding"),),
        divergence="symmetric_kl",
        weight=1.0,
        search=(0.1, 10.0),
        deviation="no projection, so that every token moves by 1; the embedding's output is embedded again; the ascent "
        "climbs log-odds, not the divergence; each target is stopped, so that the gradient is half as large near "
        "equality (stop_gradient=target has it)",
        conversions=(Conversion("SMART, mt-dnn SymKlCriterion", 1.0, "c", lambda c, b, k: c),),
    ),
    "lnsr": Preset(
        source="Hua et al. 2021; no public code, so results are LNSR-style",
        formula="CE + w sum over layers k > b of the mean squared change of h_k, view: layer b's output + noise",
        views=(ViewConfig(kind="hidden_noise", strength=0.05, scale="relative", layer=1, spread="one"),),
        divergence="hidden_squared_error",
        weight=1.0,
        search=(0.01, 10.0),
        dropout="shared",
        deviation="no public code: layer, weights and the mean over tokens and units are ours",
    ),
    "xtune_r1": Preset(
        source="Zheng et al. 2021",
        formula="CE + w (KL(sg p_clean || p_view) + KL(sg p_view || p_clean)), sg: constant",
        views=(ViewConfig(kind="subword", strength=0.3), ViewConfig(kind="embedding_gaussian", strength=0.075)),
        divergence="symmetric_kl",
        weight=1.67,
        search=(0.1, 5.0),
        stop_gradient="target",
        deviation="the divergence is averaged over classes; Gaussian rows never receive their noise",
        conversions=(Conversion("xTune, run_cls.py", 5.0, "c / C", lambda c, b, k: c / k),),
    ),
    "vat_d": Preset(
        source="Park et al. 2021",
        formula="CE + w KL(sharpened sg p_clean || p_view), view: 25 % of the tokens substituted",
        views=(ViewConfig(kind="token_substitution"),),
        divergence="kl",
        weight=1.0,
        search=(0.1, 5.0),
        stop_gradient="target",
        temperature=0.5,
        deviation="candidates are a masked language model's ten best, not the nearest embeddings; the gradient's sign "
        "takes the gradient's place; special tokens are excluded by id < 999; CE has labelled rows and the "
        "divergence unlabelled rows as well",
        conversions=(Conversion("VAT-D, train.py", 1.0, "c", lambda c, b, k: c),),
    ),
    "parameter_noise": Preset(
        source="Stickland and Murray 2021, equation 1",
        formula="CE + w KL(p_theta || p_theta+eps), eps ~ N(0, s^2); about w s^2 / 2 Tr(F) for small s",
        views=(ViewConfig(kind="parameter_noise", strength=1e-3),),
        divergence="kl",
        weight=1.0,
        search=(0.1, 100.0),
        dropout="off",
        deviation="no public code",
    ),
}
PRESETS: Registry[Preset] = Registry("presets", Preset, _OURS)
