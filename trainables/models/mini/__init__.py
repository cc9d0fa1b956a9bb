"""The files of the mini multilingual BERT that was made for this project.

``FOLDER`` is an ordinary Hugging Face model folder. MODEL_CARD.md says what the model is and what it is not;
``python -m tools.bundled.model --out FOLDER`` in the source tree trains it again.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "files"
