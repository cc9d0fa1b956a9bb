"""What else could explain the correlation: learning rate, path of training, parameterisation, a common cause."""

from __future__ import annotations

import math

from study.catalog.arms import (
    BASELINE,
    CONSISTENCY,
    FISHER,
    FPEN,
    KL,
    RATE,
    on_xnli,
    rates_arm,
    rounded,
    steps_an_epoch,
)
from study.config import Arm, StudyConfig
from study.search_space import Grid, log_grid
from trainables.config import RIVALS
from trainables.config.dotted_paths import with_values


def trajectory(bundled: bool = False) -> StudyConfig:
    """Does a large early peak of Tr(F) go with worse final generalisation (Jastrzebski et al. 2021)?

    Hypothesis: final English accuracy falls with the ln of the largest Tr(F) of the first half of training, given
    family, and the early peak predicts it better than the final Tr(F).

    Protocol: the base of ``xnli``, Tr(F) on English validation rows five times an epoch; baseline, learning rates a
    quarter to eight times the base's, consistency and Fisher penalty with six weights each, three seeds: 54 trials.

    Deviations from the paper: none to name; it measures only the end of training. Jastrzebski et al. train image
    classifiers from scratch; this study fine-tunes an encoder.

    Cost: 54 fine-tunings of 3,125 steps, each with 25 measurements of 500 examples: roughly 45 GPU-hours (estimated,
    not measured). Bundled: 13 minutes on two CPU cores (from measured steps).
    """
    base = on_xnli(bundled)
    every = math.ceil(steps_an_epoch(base) / 5)
    base = with_values(base, {"measure.trace_every": every, "measure.trace_examples": 200 if bundled else 500})
    return StudyConfig(name="trajectory", base=base, seeds=3, arms=(BASELINE, rates_arm(base), KL, FPEN))


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
    """
    base = on_xnli(bundled)
    near = Grid(values=tuple(rounded(multiple * base.stages[0].optimizer.learning_rate) for multiple in (0.5, 1, 2)))
    kl = Arm(name="kl", search={CONSISTENCY: Grid(values=log_grid(0.05, 5, 4)), RATE: near})
    fpen = Arm(name="fpen", search={FISHER: Grid(values=log_grid(1e-3, 1, 4)), RATE: near})
    return StudyConfig(name="learning_rate", base=base, seeds=3, arms=(BASELINE, rates_arm(base), kl, fpen))


def invariance(bundled: bool = False) -> StudyConfig:
    """How far do Tr(F) and its rivals move when the function does not: on rescaled twins of one trained model?

    Hypothesis: Tr(F), which is not invariant (Dinh et al. 2017), moves on twins whose queries are multiplied by a and
    whose keys are divided by a in every layer, and so do its spectrum and the rivals built from gradients or distances;
    the Fisher-Rao norm, normalized trace, relative flatness and adaptive sharpness do not. The study also asks whether
    Tr(F) moves as far as it does from one configuration to another.

    Protocol: the base of ``xnli``; baseline, consistency weight 0.6 and Fisher penalty 0.01, three seeds. After stage 0
    Tr(F) and every rival are measured on the model and on its twins at a = 1/4, 1/2, 2 and 4, on the same rows; then
    the weights are restored. The largest change of a logit tells whether a twin is the same function.

    Deviations from the paper: it measures no twins.

    Cost: 9 fine-tunings of 3,125 steps, each with Tr(F) and every rival five times; adaptive sharpness takes 21 passes
    over 2,000 rows each time, twice as long as the fine-tuning: roughly 12 GPU-hours (estimated, not measured).
    Bundled: about 10 minutes on two CPU cores (estimated, not measured).
    """
    base = with_values(on_xnli(bundled), {"measure.twins": (-2, -1, 1, 2), "measure.rivals": RIVALS})
    return StudyConfig(name="invariance", base=base, seeds=3, arms=(BASELINE, KL.only(0.6), FPEN.only(0.01)))


def intervene(bundled: bool = False) -> StudyConfig:
    """Does sharpening hurt and flattening help, at equal fit?

    Hypothesis: if flatness causes generalisation, each intervention moves ln Tr(F) and English accuracy in opposite
    directions: a penalty of negative weight sharpens and must lose accuracy; a penalty of positive weight, an average
    of weights, SAM and TRAM must gain accuracy as they flatten. A correlation within flattening families alone cannot
    tell causation from a common cause (H1).

    Protocol: the base of ``xnli``; baseline; fpen with six weights; sharpen, the same penalty at weight -10, its
    gradient limited to a share of the rest's, at six shares from 0.05 to 0.8; average, the mean of the weights at the
    ends of all epochs, of one run and of three from one initialisation; sam and tram at four radii; kl with six
    weights; three seeds: 87 trials. Every arm trains in float32, as fpen, sharpen and tram do anyway, so that rounding
    explains no difference. Equal fit is a training accuracy of at least 95 % of the baseline's. The report's section
    "Arms against the baseline" gives each arm's changes with intervals over seeds.

    Deviations from the paper: it has the consistency loss and the Fisher penalty, and sharpens nothing. Averages are
    over epochs whose learning rate decays to zero, not over a constant or cyclic one. The radii of SAM and TRAM come
    from no paper on this task.

    Seen before, on single trials of the bundled base with 500 English examples: Tr(F) of training rows was 172 for the
    baseline and 143, 228, 283 and 441 for sharpen at shares .1, .2, .4 and .8, whose training accuracy was .95, .96,
    .95 and .89 (baseline .96); Tr(F) of validation rows rose less (509 against 588, 624, 508 and 589).

    Cost: 87 fine-tunings of 3,125 steps; fpen, sharpen and three averaged runs take about three times as long as the
    baseline, tram two and a half times, sam and kl twice: roughly 150 GPU-hours in float32 (estimated, not measured).
    Bundled: 22 minutes on two CPU cores (estimated, not measured).
    """
    shares = {"stages.0.penalties.fisher.share": Grid(values=(0.05, 0.1, 0.2, 0.4, 0.6, 0.8))}
    arms = (
        BASELINE,
        KL,
        FPEN,
        Arm(name="sharpen", set={FISHER: -10.0}, search=shares),
        Arm(name="average", set={"stages.0.selection": "average"}, search={"stages.0.runs": Grid(values=(1, 3))}),
        Arm(name="sam", search={"stages.0.optimizer.sam_rho": Grid(values=log_grid(0.01, 0.2, 4))}),
        Arm(name="tram", search={"stages.0.optimizer.tram_sigma": Grid(values=log_grid(0.01, 1, 4))}),
    )
    base = with_values(on_xnli(bundled), {"model.precision": "float32"})
    return StudyConfig(name="intervene", base=base, seeds=3, arms=arms)
