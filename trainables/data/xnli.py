"""XNLI (Conneau et al. 2018): premise, hypothesis; entailment, neutral or contradiction."""

from trainables.data.contract import Task

INFERENCE_LABELS = ("entailment", "neutral", "contradiction")

TASK = Task(
    name="xnli",
    labels=INFERENCE_LABELS,
    aliases={"contradictory": "contradiction"},  # the spelling of the machine-translated training files
    hub_id="facebook/xnli",
    hub_columns=("premise", "hypothesis", "label"),
    bundled=None,
)
