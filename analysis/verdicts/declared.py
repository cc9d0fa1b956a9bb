"""What is declared: what each hypothesis says, over which models it is tested, and which controls it must survive.

One table, fixed before looking at the data and printed in the report; nothing else in the package names a control.
"""

from __future__ import annotations

from dataclasses import dataclass

LEARNING_RATE = "config.stages.0.optimizer.learning_rate"
BEFORE = "accuracy_before"
SAME_ROWS = f"{BEFORE}.same_rows"
CORRECTED = f"{BEFORE}.corrected"
TOGETHER = "all"  # holds all controls fixed at once
TOGETHER_CORRECTED = f"{TOGETHER}.corrected"
FITTED = "fitted models"
EVERY = "all complete models"


@dataclass(frozen=True)
class Control:
    """A variable that must not explain a headline.

    Attributes:
        key: KEY in the id ``H1.given.KEY``.
        column: The column of the models that contains it.
        name: NAME in a sentence that says "at equal NAME".
        setting: Whether it is a setting, not a measurement; a setting that never varies is not mentioned.
    """

    key: str
    column: str
    name: str
    setting: bool = False


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis as declared before looking at the data.

    Attributes:
        population: The models that it is tested over.
        outcome: The column that is declared to fall with ln Tr(F); only for hypotheses with controls.
        controls: The controls that a significant headline must survive, each alone and all together.
    """

    text: str
    population: str
    outcome: str = ""
    controls: tuple[Control, ...] = ()


TRAINING_NLL = Control("train_nll", "train_nll", "training NLL")
TRAINING_ACCURACY = Control("train_accuracy", "train_accuracy", "training accuracy")
HYPOTHESES = {
    "H1": Hypothesis(
        "English validation accuracy falls with ln Tr(F)",
        FITTED,
        "accuracy.en",
        (
            TRAINING_NLL,
            TRAINING_ACCURACY,
            Control("label_variance", "measure.label_variance", "label variance"),
            Control("learning_rate", LEARNING_RATE, "learning rate", setting=True),
        ),
    ),
    "H2": Hypothesis("ln Tr(F) falls with the consistency weight", FITTED),
    "H3": Hypothesis("the best Fisher penalty does as well as the best consistency weight", EVERY),
    "H4": Hypothesis(
        "the gain of the second stage falls with ln Tr(F)",
        FITTED,
        "gain",
        (Control(BEFORE, "accuracy_before", "accuracy before it"), TRAINING_NLL, TRAINING_ACCURACY),
    ),
    "H5": Hypothesis("the KL ratio of equation 1 is 1 for small noise", EVERY),
}


def control_name(hypothesis: str, control: str) -> str:
    """The NAME of a control (what follows ``given.`` in its id) in a sentence that says "at equal NAME".

    Example:
        >>> control_name("H1", "train_nll"), control_name("H4", "accuracy_before.corrected")
        ('training NLL', 'accuracy before it (its error of measurement taken out)')
    """
    names = {one.key: one.name for one in HYPOTHESES[hypothesis].controls}
    return (
        names.get(control)
        or {
            SAME_ROWS: f"{names.get(BEFORE)} (on the rows of the gain)",
            CORRECTED: f"{names.get(BEFORE)} (its error of measurement taken out)",
            TOGETHER: "values of all controls together",
            TOGETHER_CORRECTED: "values of all controls together (the error of the accuracy before taken out)",
        }[control]
    )
