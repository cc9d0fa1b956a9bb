"""The account of a study: how many trials were planned, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from study.store.records import StudyRecord, TrialRecord

UNFINISHED = "unfinished"
UNREADABLE = "unreadable"
STATES = ("complete", "not_reached", "diverged", "failed", UNFINISHED, UNREADABLE)
RARE = frozenset({"not_reached", UNREADABLE})
"""States that a table leaves out when no trial has them."""


def trial_states(
    study: StudyRecord, records: Mapping[str, TrialRecord], unreadable: Mapping[str, str]
) -> dict[str, str]:
    """Trial id to state, in plan order: the record's state; unreadable if damaged, unfinished if there is none."""
    found: dict[str, str] = {trial_id: record.state for trial_id, record in records.items()}
    found = dict.fromkeys(unreadable, UNREADABLE) | found
    return {row.trial_id: found.get(row.trial_id, UNFINISHED) for row in study.plan}


def account(states: Iterable[str]) -> dict[str, int]:
    """The number of trials ``planned``, then the number in each state; these sum to the first.

    Example:
        >>> account(["complete", "failed", "complete"])["complete"]
        2
    """
    count = Counter(states)
    return {"planned": count.total(), **{state: count[state] for state in STATES}}


def account_line(counts: Mapping[str, int]) -> str:
    """The account in one line, which leaves out the states that no trial is in, except complete.

    Example:
        >>> account_line(account(["complete", "failed", "complete"]))
        '3 trials planned: 2 complete, 1 failed'
    """
    states = [f"{n} {state}" for state, n in counts.items() if state == "complete" or (n and state != "planned")]
    planned = counts["planned"]
    return f"{planned} {'trial' if planned == 1 else 'trials'} planned: {', '.join(states)}"
