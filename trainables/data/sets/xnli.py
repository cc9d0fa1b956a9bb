"""XNLI (Conneau et al. 2018): premise, hypothesis; entailment, neutral or contradiction."""

from trainables.data.contract import HubFiles, Task

INFERENCE_LABELS = ("entailment", "neutral", "contradiction")

TASK = Task(
    name="xnli",
    labels=INFERENCE_LABELS,
    aliases={"contradictory": "contradiction"},  # the spelling of the machine-translated training files
    hub=HubFiles("facebook/xnli", columns=("premise", "hypothesis", "label")),
    languages=("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh"),
)
