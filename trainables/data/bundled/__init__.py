"""The data set that was written for this project: two tasks in four languages from one small grammar.

``FOLDER/TASK/SPLIT-LANGUAGE.tsv`` holds the rows, in the format of XTREME's files: sentence1, sentence2, label.
DATA_CARD.md says what they are and what they are not. For views, ``FOLDER/TASK/translations/LANGUAGE.tsv`` translates
the training rows, and ``FOLDER/dictionaries/en-LANGUAGE.txt`` the words. ``tools/bundled`` makes them all.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
DICTIONARIES = {language: FOLDER / "dictionaries" / f"en-{language}.txt" for language in ("de", "es", "zh")}
