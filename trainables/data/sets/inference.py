"""The bundled inference task, of XNLI's shape; its data card is in ``trainables/data/bundled``."""

from pathlib import Path

from trainables.data.contract import Task
from trainables.data.sets.xnli import INFERENCE_LABELS

TASK = Task("inference", INFERENCE_LABELS, bundled=Path(__file__).parents[1] / "bundled" / "inference")
