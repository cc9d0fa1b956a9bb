"""The bundled paraphrase task, of PAWS-X's shape; its data card is in ``trainables/data/bundled``."""

from pathlib import Path

from trainables.data.contract import Task

TASK = Task(
    name="paraphrase",
    labels=("0", "1"),
    aliases={},
    hub_id=None,
    hub_columns=("", "", ""),
    bundled=Path(__file__).parent / "bundled" / "paraphrase",
)
