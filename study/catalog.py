"""The named studies, one function each; the docstring is the hypothesis that the study tests, and its protocol.

Every function takes ``bundled``: the same arms and measurements on the bundled model, data and protocol, for a laptop.
A study of one's own is such a function in any file: ``fisher-study run my_study.py:my_function``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

from study.config import Arm, StudyConfig
from study.search_space import Grid, LogUniform, Uniform, log_grid
from trainables.config import (
    DataConfig,
    DropoutConfig,
    ExpansionConfig,
    MeasureConfig,
    ModelConfig,
    OptimizerConfig,
    Rival,
    StageConfig,
    TrialConfig,
)
from trainables.config.dotted_paths import with_values
from trainables.regularizers.presets import PRESETS

CONSISTENCY = "stages.0.consistency.weight"
FISHER = "stages.0.penalties.fisher.weight"
SHARE = "stages.0.penalties.fisher.share"
L2_WEIGHT = "stages.0.penalties.l2.weight"
NOISE = "stages.0.noise.strength"
DROPOUT = "model.dropout.hidden"
DECAY = "stages.0.optimizer.weight_decay"
SAM = "stages.0.optimizer.sam_rho"
TRAM = "stages.0.optimizer.tram_sigma"
RATE = "stages.0.optimizer.learning_rate"

EMBEDDING_NOISE = {"stages.0.noise.kind": "embedding_gaussian"}
MULTIPLES = (0.25, 0.5, 2.0, 4.0, 8.0)
"""Of the base's learning rate, which is the baseline; the largest is where fine-tuning an encoder begins to fail."""

# fmt: off
SIB200 = (
    "de", "es", "zh", "fr", "ar", "ru", "hi", "tr", "th", "sw", "fi", "ja", "ko", "vi", "id", "yo", "el", "he", "bn",
    "ta", "quy",
)
# fmt: on

BASELINE = Arm(name="baseline")
KL = Arm(name="kl", search={CONSISTENCY: Grid(values=(0.0, *log_grid(0.05, 5, 5)))})
FPEN = Arm(name="fpen", search={FISHER: Grid(values=log_grid(1e-3, 10, 6))})
LAZY = {"stages.0.penalties.l2.form": "lazy"}
"""The form of L2 whose weight is a dose under AdamW."""
L2 = Arm(name="l2", set=LAZY, search={L2_WEIGHT: Grid(values=log_grid(1e-5, 1e-1, 6))})


def _noise(count: int) -> Arm:
    return Arm(name="noise", set=EMBEDDING_NOISE, search={NOISE: Grid(values=log_grid(0.01, 1, count))})


def _families(base: TrialConfig) -> tuple[Arm, ...]:
    """The arms of both figures: six weights a family on METHODS' grids, without the value that the baseline has."""
    others = (0.05, 0.15, 0.2, 0.3, 0.4)
    # A null rate keeps the model's own, which is 0.1 for multilingual BERT.
    rates = (0.1, *others) if base.model.dropout.hidden == 0.0 else (0.0, *others)
    dropout = Arm(name="dropout", search={DROPOUT: Grid(values=rates, also=("model.dropout.attention",))})
    # Decay acts through learning rate times steps: 10 shrinks the weights by a quarter over the paper's stage.
    decay = Arm(name="decay", search={DECAY: Grid(values=log_grid(1e-3, 10, 6))})
    return BASELINE, KL, FPEN, L2, dropout, decay, _noise(6)


def _bundled(task: str, **data: Any) -> TrialConfig:
    """The bundled model and a bundled task, with the protocol that was tuned on the baseline's accuracy alone."""
    optimizer = OptimizerConfig(learning_rate=1e-3, weight_decay=0.01, warmup=0.1)
    second = OptimizerConfig(learning_rate=6e-4, weight_decay=0.01, warmup=0.1)
    settings = {"train_examples": 1_000, "validation_examples": 750, "max_length": 96, **data}
    return TrialConfig(
        model=ModelConfig(name="mini", dropout=DropoutConfig(hidden=0.0, attention=0.0, classifier=0.0)),
        data=DataConfig(name=task, source="bundled", **settings),
        stages=(StageConfig(epochs=5, optimizer=optimizer), StageConfig(epochs=2, optimizer=second)),
        measure=MeasureConfig(trace_examples=500),
    )


def _xnli(bundled: bool) -> TrialConfig:
    if bundled:
        return _bundled("inference")
    # Tr(F) of one example is heavy-tailed: of 500, the mean's standard error can be as large as the mean.
    return TrialConfig(data=DataConfig(name="xnli", train_examples=20_000), measure=MeasureConfig(trace_examples=2_000))


def _steps_an_epoch(base: TrialConfig) -> int:
    assert base.data.train_examples is not None
    return math.ceil(base.data.train_examples / base.stages[0].batch_size)


def quick(bundled: bool = True) -> StudyConfig:
    """Do flatter minima generalise better, in five minutes, on a bundled model and bundled data?

    Hypotheses: English validation accuracy falls with ln Tr(F) (Figure 1), and the gain of a second stage in German,
    Spanish and Chinese falls with ln Tr(F) (Figure 2).

    Protocol: the bundled mini multilingual BERT on the bundled inference task. 29 configurations, one seed: baseline,
    consistency of subword views (kl, weight 0 included), Fisher penalty (fpen, on every second step), L2 and embedding
    noise. Tr(F) on 500 English validation examples. The grids end where models still fit, at 95 % of the baseline's
    training accuracy (.968, so .920). They were chosen on the training accuracy of single trials: kl .4 gave .920,
    kl 1 .896; fpen .02 .919, fpen .03 .916; l2 .02 .927; noise .03 .950, noise .05 .876. Of L2 the zero-shot accuracy
    and Tr(F) at six weights had been seen before, when the form of the penalty was chosen.

    Deviations from the paper: a model of half a million parameters, generated sentences, dropout 0, learning rate 1e-3
    and weight decay 0.01, tuned on the baseline's accuracy alone; one seed, so seeds cannot be told from weights.

    Cost: about six minutes on two CPU cores (estimated from CPU seconds of single trials).
    """  # noqa: DOC201 (people read this text)
    base = with_values(
        _bundled("inference", stage2_examples=500),
        {
            # Words of the report should not depend on whether a machine has another number format.
            "model.precision": "float32",
            # English accuracy after every epoch, Tr(F) of training rows and the dear rivals are a fifth of the time.
            "measure.accuracy_every": None,
            "measure.trace_train": False,
            "measure.rivals": ("label_variance", "margin", "parameter_norm", "distance_from_pretrained"),
        },
    )
    every_second = {"stages.0.penalties.fisher.every": 2}
    arms = (
        BASELINE,
        Arm(name="kl", search={CONSISTENCY: Grid(values=(0.0, *log_grid(0.02, 0.3, 5)))}),
        Arm(name="fpen", set=every_second, search={FISHER: Grid(values=log_grid(5e-4, 0.012, 5))}),
        Arm(name="l2", set=LAZY, search={L2_WEIGHT: Grid(values=log_grid(1e-5, 0.015, 9))}),
        Arm(name="noise", set=EMBEDDING_NOISE, search={NOISE: Grid(values=log_grid(0.003, 0.03, 8))}),
    )
    return StudyConfig(name="quick", base=base, arms=arms)


def xnli(bundled: bool = False) -> StudyConfig:
    """Figure 1: does English accuracy on XNLI fall with ln Tr(F) across regularisers and their weights?

    Hypotheses: accuracy falls with ln Tr(F) (H1); ln Tr(F) falls with the weight of the consistency loss (H2); the
    best Fisher penalty does as well as the best consistency weight (H3).

    Protocol: multilingual BERT, 20,000 English examples drawn once, learning rate 2e-5, 5 epochs, batches of 32, no
    warm-up, measured at the end of training; baseline, kl, fpen, l2, dropout, weight decay and embedding noise with
    six weights each, three seeds: 111 trials. A second stage follows when data.stage2_examples is above 0.

    Deviations from the paper: subword views are fresh in every epoch and never reject a single character; families and
    seeds that its figure does not have.

    Cost: 111 fine-tunings of 3,125 steps, those of kl and fpen two to three times as long as the others: roughly 60
    GPU-hours on a current data-centre GPU (estimated, not measured).
    Bundled: 16 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    return StudyConfig(name="xnli", base=base, seeds=3, arms=_families(base))


def equal_fit(bundled: bool = False) -> StudyConfig:
    """Of models that fit their training data equally well, are the flatter ones more accurate in English?

    Hypothesis: accuracy falls with ln Tr(F) (H1), the cleanest form of Figure 1: regularisers also change how far
    training gets, and Tr(F) belongs to a minimum; here every model trains to one training loss.

    Protocol: the base and the families of ``xnli``, three seeds: 111 trials. The learning rate is constant after the
    warm-up, and training ends when the mean NLL of 500 training examples, in evaluation mode, looked at every ten
    steps, is below 0.3 nats. A model that has not come so far after 15 epochs (bundled: 12) is ``not_reached``: its
    numbers are kept, and it takes no part in the headline.

    Deviations from the paper: it trains every model for five epochs, with a rate that decays to zero.

    Cost: at most three times that of ``xnli``; a model that fits fast costs less than there (estimated, not measured).
    Bundled: at most about 40 minutes on two CPU cores (estimated, not measured).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    until = {"stages.0.until.train_nll": 0.3, "stages.0.until.max_epochs": 12 if bundled else 15}
    base = with_values(base, until)
    return StudyConfig(name="equal_fit", base=base, seeds=3, arms=_families(base))


def pawsx(bundled: bool = False) -> StudyConfig:
    """Figure 2: does a flatter English minimum on PAWS-X gain more from a second stage in another language?

    Hypothesis: the gain falls with ln Tr(F) (H4), on the mean of German, Spanish and Chinese and on each.

    Protocol: multilingual BERT, all English training examples, the settings of ``xnli``; then 1,000 of the 2,000
    validation rows of each language train 3 epochs without a regulariser, and every validation figure uses the other
    1,000. The same arms and seeds as ``xnli``: 111 trials. --languages takes any language of the data.

    Deviations from the paper: as ``xnli``; the rows of the second stage are drawn at random, pairs of one first
    sentence together (data.split=file_order takes the first half).

    Cost: 111 fine-tunings of 7,720 steps and three second stages of 96: roughly 140 GPU-hours (estimated, not
    measured). Bundled: 26 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    if bundled:
        base = _bundled("paraphrase", stage2_examples=750)
    else:
        data = DataConfig(name="pawsx", train_examples=None, stage2_examples=1_000)
        base = TrialConfig(data=data, measure=MeasureConfig(trace_examples=750))
    return StudyConfig(name="pawsx", base=base, seeds=3, arms=_families(base))


def sib200(bundled: bool = False) -> StudyConfig:
    """Both figures on real sentences in twenty-two languages, small enough for a laptop.

    Hypotheses: English accuracy falls with ln Tr(F) (H1), and so does the gain of a second stage (H4), on the mean of
    German, Chinese, Swahili, Yoruba and Quechua and on each.

    Protocol: a multilingual encoder of 12 layers, 384 wide, on the topics of SIB-200: 501 English sentences, 5 epochs
    of batches of 16, learning rate 2e-4; the other sentences validate (those left of the training split, dev and
    test), in English and 21 languages zero-shot. Then 100 of them train 3 epochs in each of five languages, and all
    validation figures use the other 403. Baseline, kl, fpen, l2, dropout, weight decay and embedding noise with six
    weights each; the grids end where single trials had still fitted, by training accuracy (of l2 none had been run).
    37 trials, one seed; more by resume --seeds. model.name and data.source take a folder, too.

    Deviations from the paper: another encoder, another task, more languages, one seed, and a second stage of 100
    examples.

    Cost: two to six hours on two CPU cores (estimated from measured steps; the dry run measures one on your machine).
    Bundled: 6 minutes on two CPU cores (estimated, not measured).
    """  # noqa: DOC201 (people read this text)
    if bundled:
        base = _bundled("inference", stage2_examples=250)
    else:
        optimizer = OptimizerConfig(learning_rate=2e-4, warmup=0.1)
        base = TrialConfig(
            model=ModelConfig(name="intfloat/multilingual-e5-small"),
            data=DataConfig(
                name="sib200",
                languages=SIB200,
                train_examples=501,
                stage2_examples=100,
                stage2_languages=("de", "zh", "sw", "yo", "quy"),
            ),
            stages=(
                StageConfig(epochs=5, batch_size=16, optimizer=optimizer),
                StageConfig(epochs=3, batch_size=16, optimizer=optimizer),
            ),
            # What costs more than Tr(F) itself is left to those who ask for it.
            measure=MeasureConfig(
                trace_examples=403,
                trace_train=False,
                accuracy_every=None,
                rivals=(
                    "label_variance",
                    "margin",
                    "parameter_norm",
                    "distance_from_pretrained",
                    "fisher_rao",
                    "relative_flatness",
                ),
            ),
        )
    least = 0.1 if bundled else 0.0  # the baseline's are 0 and the encoder's own, 0.1
    dropout = Grid(values=(least, 0.05, 0.15, 0.2, 0.25, 0.3), also=("model.dropout.attention",))
    arms = (
        BASELINE,
        Arm(name="kl", search={CONSISTENCY: Grid(values=(0.0, *log_grid(0.1, 2, 5)))}),
        Arm(name="fpen", search={FISHER: Grid(values=log_grid(3e-4, 3e-2, 6))}),
        Arm(name="l2", set=LAZY, search={L2_WEIGHT: Grid(values=log_grid(1e-6, 1e-3, 6))}),
        Arm(name="dropout", search={DROPOUT: dropout}),
        Arm(name="decay", search={DECAY: Grid(values=log_grid(0.02, 3, 6))}),
        Arm(name="noise", set=EMBEDDING_NOISE, search={NOISE: Grid(values=log_grid(0.005, 0.08, 6))}),
    )
    return StudyConfig(name="sib200", base=base, arms=arms)


def theory(bundled: bool = False) -> StudyConfig:
    """Equation 1: is E KL(p_theta || p_theta+eps) half the noise's variance times Tr(F), and for how large a noise?

    Hypothesis: the ratio of both sides is 1 for small noise (H5), before, during and after training, with and without
    a regulariser.

    Protocol: the base of ``xnli``; baseline, consistency weight 0.6 and Fisher penalty 0.01, three seeds. Before
    training, at the end of each epoch and at the end, 10 directions of N(0, 1) noise over all parameters at seven
    scales from 1e-6 to 1e-2, on 8 English validation examples, in float64.

    Deviations from the paper: it states the equation and shows no measurement of it.

    Cost: 9 fine-tunings of 3,125 steps; each of the 6 measurements takes 10 forward-mode products and 70 forward passes
    of 8 examples in float64: roughly 6 GPU-hours (estimated, not measured).
    Bundled: 3 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    expansion = ExpansionConfig(sigmas=_decades(-6, -2), draws=10, examples=8, every=_steps_an_epoch(base))
    base = base.model_copy(update={"measure": base.measure.model_copy(update={"expansion": expansion})})
    arms = (BASELINE, _at(KL, 0.6), _at(FPEN, 0.01))
    return StudyConfig(name="theory", base=base, seeds=3, arms=arms)


def trajectory(bundled: bool = False) -> StudyConfig:
    """Does a large early peak of Tr(F) go with worse final generalisation (Jastrzebski et al. 2021)?

    Hypothesis: final English accuracy falls with the ln of the largest Tr(F) of the first half of training, given
    family, and the early peak predicts it better than the final Tr(F).

    Protocol: the base of ``xnli``, Tr(F) on English validation rows five times an epoch; baseline, learning rates a
    quarter to eight times the base's, consistency and Fisher penalty with six weights each, three seeds: 54 trials.

    Deviations from the paper: none to name; it measures the end of training alone. Jastrzebski et al. train image
    classifiers from scratch, this fine-tunes an encoder.

    Cost: 54 fine-tunings of 3,125 steps, each with 25 measurements of 500 examples: roughly 45 GPU-hours (estimated,
    not measured). Bundled: 13 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    every = math.ceil(_steps_an_epoch(base) / 5)
    base = with_values(base, {"measure.trace_every": every, "measure.trace_examples": 200 if bundled else 500})
    return StudyConfig(name="trajectory", base=base, seeds=3, arms=(BASELINE, _rates(base), KL, FPEN))


def learning_rate(bundled: bool = False) -> StudyConfig:
    """Is Tr(F) more than a trace of the learning rate (Andriushchenko et al. 2023)?

    Hypothesis: within the consistency and the Fisher penalty family, English accuracy still falls with ln Tr(F) when
    the learning rate is held fixed; if flatness only follows the learning rate, the partial correlation vanishes.

    Protocol: the base of ``xnli``; baseline; the learning rate alone, a quarter to eight times the base's; consistency
    and Fisher penalty with four weights at half, one and two times the base's learning rate; three seeds: 90 trials.
    The report gives the headline correlation with the learning rate as a covariate beside the plain one.

    Deviations from the paper: it keeps one learning rate.

    Cost: 90 fine-tunings of 3,125 steps: roughly 65 GPU-hours (estimated, not measured).
    Bundled: 16 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    near = Grid(values=tuple(_round(multiple * base.stages[0].optimizer.learning_rate) for multiple in (0.5, 1, 2)))
    kl = Arm(name="kl", search={CONSISTENCY: Grid(values=log_grid(0.05, 5, 4)), RATE: near})
    fpen = Arm(name="fpen", search={FISHER: Grid(values=log_grid(1e-3, 1, 4)), RATE: near})
    return StudyConfig(name="learning_rate", base=base, seeds=3, arms=(BASELINE, _rates(base), kl, fpen))


def views(bundled: bool = False) -> StudyConfig:
    """Do consistency losses work because they flatten the minimum, whichever view they are taken on?

    Hypothesis: within each method ln Tr(F) falls with the weight and English accuracy falls with ln Tr(F); a method
    whose gain is the view's own, and not flatness, keeps its accuracy at equal Tr(F).

    Protocol: the base of ``xnli``; every published consistency loss (mvr, r_drop, r3f, smart, lnsr, xtune_r1, vat_d and
    parameter noise) at the same four weights from 0.1 to 10, and, for those whose public code draws independent dropout
    masks for its two passes, the same loss with shared masks, or with dropout off where the view changes the tokens:
    that part isolates the view. Three seeds: 159 trials.

    Deviations from the paper: it has the consistency loss of mvr alone. Deviations of the methods' public code from
    their formulas are in docs/methods.md.

    Cost: 159 fine-tunings of 3,125 steps, each two to three times as long as the baseline's: roughly 160 GPU-hours
    (estimated, not measured). Bundled: 34 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    weights = Grid(values=log_grid(0.1, 10, 4))
    isolated = {"mvr": "off", "r3f": "shared", "smart": "shared", "xtune_r1": "off", "vat_d": "shared"}
    arms = [BASELINE]
    for preset in PRESETS:
        method = {"stages.0.consistency.preset": preset}
        arms.append(Arm(name=preset, set=method, search={CONSISTENCY: weights}))
        if (dropout := isolated.get(preset)) is not None:
            apart = method | {"stages.0.consistency.dropout": dropout}
            arms.append(Arm(name=f"{preset}-{dropout}", set=apart, search={CONSISTENCY: weights}))
    return StudyConfig(name="views", base=_xnli(bundled), seeds=3, arms=tuple(arms))


def lora(bundled: bool = False) -> StudyConfig:
    """Where only low-rank updates are trained, which flatness goes with accuracy: theirs, or the merged weights'?

    Hypothesis: English accuracy falls with ln Tr(F) over the trained parameters (H1). Flat in the updates is not flat
    in the merged weights (Li et al. 2025, Flat-LoRA), so Tr(F) over the merged weights (fisher_trace.merged) is
    compared with it as merged_trace, given the family.

    Protocol: the base of ``xnli`` with LoRA of rank 8 and alpha 16 on query and value (Hu et al. 2022), which trains
    the updates and the head, at ten times the learning rate of full fine-tuning; baseline, the rank alone (1, 2, 4, 16
    and 32), kl and fpen with six weights, three seeds: 54 trials.

    Deviations from the paper: it trains all weights. The learning rate is that of no paper; the bundled one was chosen
    on one baseline trial each, whose English accuracy was .58, .81, .82 and .59 at 1e-3, 5e-3, 1e-2 and 2e-2. The
    grids are those of ``xnli``.

    Cost: 54 fine-tunings of 3,125 steps: at most 30 GPU-hours (estimated, not measured).
    Bundled: about 12 minutes on two CPU cores (estimated from single trials).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    rates = {
        f"stages.{i}.optimizer.learning_rate": _round(10 * stage.optimizer.learning_rate)
        for i, stage in enumerate(base.stages)
    }
    base = with_values(base, {"model.lora.rank": 8, **rates})
    ranks = Arm(name="rank", search={"model.lora.rank": Grid(values=(1, 2, 4, 16, 32))})
    return StudyConfig(name="lora", base=base, seeds=3, arms=(BASELINE, ranks, KL, FPEN))


def invariance(bundled: bool = False) -> StudyConfig:
    """How far do Tr(F) and its rivals move where the function stays: on rescaled twins of one trained model?

    Hypothesis: Tr(F), which is no invariant (Dinh et al. 2017), moves on twins whose queries are multiplied by a and
    whose keys are divided by a in every layer, and so do its spectrum and the rivals that gradients or distances make;
    the Fisher-Rao norm, normalized trace, relative flatness and adaptive sharpness do not. What is asked beyond that:
    whether Tr(F) moves as far as it does from one configuration to another.

    Protocol: the base of ``xnli``; baseline, consistency weight 0.6 and Fisher penalty 0.01, three seeds. After stage 0
    Tr(F) and every rival on the model and on its twins at a = 1/4, 1/2, 2 and 4, on the same rows; the weights are then
    put back. The largest change of a logit tells whether a twin is the same function.

    Deviations from the paper: it measures no twins.

    Cost: 9 fine-tunings of 3,125 steps, and five times Tr(F) and every rival, of which adaptive sharpness takes 21
    passes over 2,000 rows each time, twice as long as the fine-tuning: roughly 12 GPU-hours (estimated, not measured).
    Bundled: about 10 minutes on two CPU cores (estimated, not measured).
    """  # noqa: DOC201 (people read this text)
    base = with_values(_xnli(bundled), {"measure.twins": (-2, -1, 1, 2), "measure.rivals": get_args(Rival)})
    return StudyConfig(name="invariance", base=base, seeds=3, arms=(BASELINE, _at(KL, 0.6), _at(FPEN, 0.01)))


def intervene(bundled: bool = False) -> StudyConfig:
    """Does sharpening hurt and flattening help, at equal fit?

    Hypothesis: if flatness causes generalisation, each intervention moves ln Tr(F) and English accuracy in opposite
    directions: a penalty of negative weight sharpens and must lose accuracy, one of positive weight, an average of
    weights, SAM and TRAM must gain what they flatten. A correlation within flattening families alone cannot tell the
    two from a common cause (H1).

    Protocol: the base of ``xnli``; baseline; fpen with six weights; sharpen, the same penalty at weight -10, its
    gradient held to a share of the rest's at six shares from 0.05 to 0.8; average, the mean of the weights at the ends
    of all epochs, of one run and of three from one initialisation; sam and tram at four radii; kl with six weights;
    three seeds: 87 trials. Every arm trains in float32, as fpen, sharpen and tram do anyway, so that no difference is
    one of rounding. Equal fit is a training accuracy of at least 95 % of the baseline's. The report's section "Arms
    against the baseline" has each arm's changes with intervals over seeds.

    Deviations from the paper: it has the consistency loss and the Fisher penalty, and sharpens nothing. Averages are of
    epochs whose learning rate decays to zero, not of a constant or cyclic one. Radii of SAM and TRAM are those of no
    paper for this task.

    Seen before, on single trials of the bundled base with 500 English examples: Tr(F) of training rows was 172 for the
    baseline and 143, 228, 283 and 441 for sharpen at shares .1, .2, .4 and .8, whose training accuracy was .95, .96,
    .95 and .89 (baseline .96); Tr(F) of validation rows rose less (509 against 588, 624, 508 and 589).

    Cost: 87 fine-tunings of 3,125 steps; fpen, sharpen and three averaged runs take about three times as long as the
    baseline, tram two and a half times, sam and kl twice: roughly 150 GPU-hours in float32 (estimated, not measured).
    Bundled: 22 minutes on two CPU cores (estimated, not measured).
    """  # noqa: DOC201 (people read this text)
    arms = (
        BASELINE,
        KL,
        FPEN,
        Arm(name="sharpen", set={FISHER: -10.0}, search={SHARE: Grid(values=(0.05, 0.1, 0.2, 0.4, 0.6, 0.8))}),
        Arm(name="average", set={"stages.0.selection": "average"}, search={"stages.0.runs": Grid(values=(1, 3))}),
        Arm(name="sam", search={SAM: Grid(values=log_grid(0.01, 0.2, 4))}),
        Arm(name="tram", search={TRAM: Grid(values=log_grid(0.01, 1, 4))}),
    )
    base = with_values(_xnli(bundled), {"model.precision": "float32"})
    return StudyConfig(name="intervene", base=base, seeds=3, arms=arms)


def search(bundled: bool = False) -> StudyConfig:
    """Which mixture of regularisers gives the best trade between English accuracy and Tr(F)?

    Hypothesis: none to test; an adaptive search is no sample, so its trials stay outside the correlations. It asks how
    far accuracy and flatness can be had together (the Pareto front), and which weight moves which (importances).

    Protocol: the base of ``xnli``; the baseline, and 60 trials that Optuna's TPE draws from the joint space of
    consistency weight, Fisher penalty weight, L2, embedding noise and dropout, for two objectives: high English
    validation accuracy and small log10 Tr(F). Every trial is trained to its end.

    Deviations from the paper: it varies one regulariser at a time.

    Cost: 61 fine-tunings of 3,125 steps with both a consistency loss and a Fisher penalty: roughly 80 GPU-hours
    (estimated, not measured). Bundled: 35 minutes on two CPU cores (from measured steps).
    """  # noqa: DOC201 (people read this text)
    base = _xnli(bundled)
    space = {
        CONSISTENCY: LogUniform(low=0.05, high=5),
        FISHER: LogUniform(low=1e-3, high=1),
        L2_WEIGHT: LogUniform(low=1e-5, high=1e-1),
        NOISE: LogUniform(low=0.01, high=1),
        DROPOUT: Uniform(low=0.0, high=0.3, also=("model.dropout.attention",)),
    }
    joint = Arm(name="search", set=EMBEDDING_NOISE | LAZY, search=space, slots=60)
    return StudyConfig(name="search", base=base, arms=(BASELINE, joint))


def _rates(base: TrialConfig) -> Arm:
    rates = tuple(_round(multiple * base.stages[0].optimizer.learning_rate) for multiple in MULTIPLES)
    return Arm(name="lr", search={RATE: Grid(values=rates)})


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _at(arm: Arm, value: float) -> Arm:
    """An arm at a single value of its path."""
    ((path, _),) = arm.search.items()
    return Arm(name=arm.name, search={path: Grid(values=(value,))})


def _decades(first: int, last: int) -> tuple[float, ...]:
    """Seven noise scales between two powers of ten."""
    return tuple(float(f"{10 ** (first + (last - first) * i / 6):.2g}") for i in range(7))


# fmt: off
CATALOG: dict[str, Callable[..., StudyConfig]] = {
    function.__name__: function for function in (
        quick, xnli, pawsx, sib200, equal_fit, theory, trajectory, learning_rate, views, lora, intervene, invariance,
        search,
    )
}
# fmt: on
