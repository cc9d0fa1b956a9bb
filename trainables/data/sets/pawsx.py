"""PAWS-X (Yang et al. 2019): two sentences; 1 for a paraphrase, 0 for another meaning."""

from trainables.data.contract import HubFiles, Task

TASK = Task(
    name="pawsx",
    labels=("0", "1"),
    hub=HubFiles("google-research-datasets/paws-x", columns=("sentence1", "sentence2", "label")),
    languages=("de", "en", "es", "fr", "ja", "ko", "zh"),
)
