"""Which methods flatten, and whether accuracy and flatness can be had together."""

from __future__ import annotations

from study.catalog.arms import (
    BASELINE,
    CONSISTENCY,
    DROPOUT_RATE,
    FISHER,
    FPEN,
    KL,
    L2,
    L2_WEIGHT,
    NOISE,
    NOISE_STRENGTH,
    on_xnli,
    rounded,
)
from study.config import Arm, StudyConfig
from study.search_space import Grid, LogUniform, Uniform, log_grid
from trainables.config.dotted_paths import with_values
from trainables.regularizers.presets import PRESETS


def views(bundled: bool = False) -> StudyConfig:
    """Do consistency losses work because they flatten the minimum, whichever view they use?

    Hypothesis: within each method ln Tr(F) falls with the weight and English accuracy falls with ln Tr(F); a method
    whose gain is the view's own, and not flatness, keeps its accuracy at equal Tr(F).

    Protocol: the base of ``xnli``; every published consistency loss (mvr, r_drop, r3f, smart, lnsr, xtune_r1, vat_d and
    parameter noise) at the same four weights from 0.1 to 10, and, for those whose public code draws independent dropout
    masks for its two passes, the same loss with shared masks, or with dropout off if the view changes the tokens, to
    isolate the view. Three seeds: 159 trials.

    Deviations from the paper: it has only the consistency loss of mvr. Deviations of the methods' public code from
    their formulas are in docs/methods.md.

    Cost: 159 fine-tunings of 3,125 steps, each two to three times as long as the baseline's: roughly 160 GPU-hours
    (estimated, not measured). Bundled: 34 minutes on two CPU cores (from measured steps).
    """
    weights = Grid(values=log_grid(0.1, 10, 4))
    isolated = {"mvr": "off", "r3f": "shared", "smart": "shared", "xtune_r1": "off", "vat_d": "shared"}
    arms = [BASELINE]
    for preset in PRESETS:
        method = {"stages.0.consistency.preset": preset}
        arms.append(Arm(name=preset, set=method, search={CONSISTENCY: weights}))
        if (dropout := isolated.get(preset)) is not None:
            apart = method | {"stages.0.consistency.dropout": dropout}
            arms.append(Arm(name=f"{preset}-{dropout}", set=apart, search={CONSISTENCY: weights}))
    return StudyConfig(name="views", base=on_xnli(bundled), seeds=3, arms=tuple(arms))


def lora(bundled: bool = False) -> StudyConfig:
    """When only low-rank updates are trained, which flatness goes with accuracy: theirs, or the merged weights'?

    Hypothesis: English accuracy falls with ln Tr(F) over the trained parameters (H1). A minimum that is flat in the
    updates need not be flat in the merged weights (Li et al. 2025, Flat-LoRA), so Tr(F) over the merged weights
    (fisher_trace.merged) is compared with it as merged_trace, given the family.

    Protocol: the base of ``xnli`` with LoRA of rank 8 and alpha 16 on query and value (Hu et al. 2022), which trains
    the updates and the head, at ten times the learning rate of full fine-tuning; baseline, the rank alone (1, 2, 4, 16
    and 32), kl and fpen with six weights, three seeds: 54 trials.

    Deviations from the paper: it trains all weights. The learning rate comes from no paper; the bundled one was chosen
    on one baseline trial per rate: English accuracy was .58, .81, .82 and .59 at 1e-3, 5e-3, 1e-2 and 2e-2. The grids
    are those of ``xnli``.

    Cost: 54 fine-tunings of 3,125 steps: at most 30 GPU-hours (estimated, not measured).
    Bundled: about 12 minutes on two CPU cores (estimated from single trials).
    """
    base = on_xnli(bundled)
    rates = {
        f"stages.{i}.optimizer.learning_rate": rounded(10 * stage.optimizer.learning_rate)
        for i, stage in enumerate(base.stages)
    }
    base = with_values(base, {"model.lora.rank": 8, **rates})
    ranks = Arm(name="rank", search={"model.lora.rank": Grid(values=(1, 2, 4, 16, 32))})
    return StudyConfig(name="lora", base=base, seeds=3, arms=(BASELINE, ranks, KL, FPEN))


def search(bundled: bool = False) -> StudyConfig:
    """Which mixture of regularisers gives the best trade between English accuracy and Tr(F)?

    Hypothesis: none to test; an adaptive search is not a sample, so its trials do not enter the correlations. It asks
    how far accuracy and flatness can be had together (the Pareto front), and which weight moves which (importances).

    Protocol: the base of ``xnli``; the baseline, and 60 trials that Optuna's TPE draws from the joint space of
    consistency weight, Fisher penalty weight, L2, embedding noise and dropout, for two objectives: high English
    validation accuracy and small log10 Tr(F). Every trial is trained to its end.

    Deviations from the paper: it varies one regulariser at a time.

    Cost: 61 fine-tunings of 3,125 steps with both a consistency loss and a Fisher penalty: roughly 80 GPU-hours
    (estimated, not measured). Bundled: 35 minutes on two CPU cores (from measured steps).
    """
    base = on_xnli(bundled)
    space = {
        CONSISTENCY: LogUniform(low=0.05, high=5),
        FISHER: LogUniform(low=1e-3, high=1),
        L2_WEIGHT: LogUniform(low=1e-5, high=1e-1),
        NOISE_STRENGTH: LogUniform(low=0.01, high=1),
        DROPOUT_RATE: Uniform(low=0.0, high=0.3, also=("model.dropout.attention",)),
    }
    joint = Arm(name="search", set=NOISE.set | L2.set, search=space, slots=60)
    return StudyConfig(name="search", base=base, arms=(BASELINE, joint))
