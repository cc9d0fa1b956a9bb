"""PAWS-X (Yang et al. 2019): two sentences; 1 for a paraphrase, 0 for another meaning."""

from trainables.data.contract import Task

TASK = Task(
    name="pawsx",
    labels=("0", "1"),
    aliases={},
    hub_id="google-research-datasets/paws-x",
    hub_columns=("sentence1", "sentence2", "label"),
    bundled=None,
)
