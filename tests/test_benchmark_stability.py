"""The stability of words: which conditions there are, what is read of a report, and when a word may be quoted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.stability import CONDITIONS, HYPOTHESES, command, table, words


def report(folder: Path, name: str, word: str, unfinished: int = 0) -> None:
    """What a report says, as far as it is read."""
    found = {
        "hypotheses": {key: {"word": word} for key in (*HYPOTHESES, "H5")},
        "numbers": {"account.unfinished": {"value": unfinished}, "account.unreadable": {"value": 0}},
    }
    (folder / name / "report").mkdir(parents=True)
    (folder / name / "report" / "numbers.json").write_text(json.dumps(found))


def test_ten_conditions_differ_in_what_they_say() -> None:
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS) == 10
    ways = {(c.seed, tuple(c.environment.items()), c.threads) for c in CONDITIONS}
    assert len(ways) == 10
    assert len({condition.seed for condition in CONDITIONS}) == 5


def test_a_condition_that_began_goes_on(tmp_path: Path) -> None:
    condition = CONDITIONS[3]
    first = command(condition, tmp_path, ["--arms", "kl"])
    assert first[3:5] == ["run", "quick"]
    assert {"data.seed=3", "seed=3"} <= set(first)
    assert first[-2:] == ["--arms", "kl"]
    (tmp_path / condition.name).mkdir()
    (tmp_path / condition.name / "study.json").write_text("{}")
    again = command(condition, tmp_path, ["--arms", "kl"])
    assert again[3:5] == ["resume", condition.name]
    assert "--set" not in again


def test_words_are_those_of_a_finished_study(tmp_path: Path) -> None:
    assert words(tmp_path, "seed-0") is None
    report(tmp_path, "seed-0", "supported")
    assert words(tmp_path, "seed-0") == dict.fromkeys(HYPOTHESES, "supported")
    report(tmp_path, "seed-1", "supported", unfinished=1)
    assert words(tmp_path, "seed-1") is None


@pytest.mark.parametrize(
    ("count", "said"), [(10, "explained (10 of 10)"), (9, "explained (9 of 10)"), (8, "undecided")]
)
def test_a_word_is_quoted_where_it_stands_in_nine_of_ten(count: int, said: str) -> None:
    found = {
        condition.name: dict.fromkeys(HYPOTHESES, "explained" if number < count else "supported")
        for number, condition in enumerate(CONDITIONS)
    }
    last = table(found).splitlines()[-1]
    assert last.count(said) == len(HYPOTHESES)


def test_what_has_not_run_counts_against_a_word() -> None:
    found = {CONDITIONS[0].name: dict.fromkeys(HYPOTHESES, "supported")}
    assert "undecided" in table(found).splitlines()[-1]
    assert "supported" not in table(found).splitlines()[-1]
