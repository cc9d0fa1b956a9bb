"""The bundled paraphrase task, of PAWS-X's shape; its data card is in ``trainables/data/bundled``."""

from pathlib import Path

from trainables.data.contract import Task

TASK = Task("paraphrase", ("0", "1"), bundled=Path(__file__).parents[1] / "bundled" / "paraphrase")
