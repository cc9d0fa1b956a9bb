"""What a run says at its end: the answer, the account, the page, what to type next, and the exit code."""

from __future__ import annotations

import shlex
import signal
from collections import Counter
from collections.abc import Mapping

from rich.console import Console

from study.account import UNFINISHED, UNREADABLE, account, account_line, trial_states
from study.config import StudyConfig
from study.interruption import TIME_BUDGET, Interruption
from study.plan import draft
from study.records import REPORT_PAGE, STUDY_FILE, StudyRecord, read_study, read_trials
from study.storage import Store

COMPLETE, FAULT, INCOMPLETE = 0, 1, 3
"""Exit codes: every planned trial complete; something stopped the sweep; some trials failed or diverged."""


def resume_command(folder: Store, options: str = "") -> str:
    """What to type to go on with a study.

    Args:
        folder: The study's folder.
        options: Further options.

    Returns:
        A shell command.
    """
    storage, _, name = folder.location.rpartition("/")
    return shlex.join(["fisher-study", "resume", name, "--storage", storage or "/", *options.split()])


def finish(folder: Store, console: Console, interruption: Interruption) -> int:
    """Say what came out of a sweep and what to do next; write the report unless it was interrupted.

    Args:
        folder: The study's folder.
        console: Where to say it.
        interruption: Whether and why it ended early.

    Returns:
        The exit code.
    """
    console.quiet = False  # --quiet is about what comes before
    if interruption.reason is not None and not folder.exists(STUDY_FILE):
        if isinstance(interruption.reason, int):
            console.print("interrupted before anything was written")
            return 128 + interruption.reason
        console.print(
            f"interrupted ({interruption.reason}); delete the folder and run the study again",
            soft_wrap=True,
            markup=False,
        )
        return FAULT
    record = read_study(folder)
    records, unreadable = read_trials(folder)
    counts = account(trial_states(record, records, unreadable).values())
    if interruption.reason is not None:
        reason = interruption.reason
        why = signal.Signals(reason).name if isinstance(reason, int) else reason
        console.print(f"interrupted ({why}). {account_line(counts)}", soft_wrap=True, markup=False)
        console.print(f"go on with: {resume_command(folder)}", soft_wrap=True, markup=False)
        # A used-up budget is asked for, like the SIGTERM that a cluster would send at that time.
        number = signal.SIGTERM if reason == TIME_BUDGET else reason
        return 128 + number if isinstance(number, int) else FAULT
    _report(folder, counts, console)
    return _exit_code(counts, folder, console)


def answer_again(record: StudyRecord, folder: Store, console: Console) -> int:
    """Say what a study that was finished before has to say; write its report only when it is missing or old.

    Args:
        record: The study.
        folder: Its folder.
        console: Where to say it.

    Returns:
        The exit code.
    """
    console.quiet = False
    records, unreadable = read_trials(folder)
    counts = account(trial_states(record, records, unreadable).values())
    trials = folder.child("trials")
    newest = max((trials.modified(f"{trial_id}.json") or 0.0 for trial_id in records), default=0.0)
    written = folder.modified(REPORT_PAGE)
    if written is None or written < newest:
        _report(folder, counts, console)
    else:
        console.print(f"{record.study} is finished. {account_line(counts)}", soft_wrap=True, markup=False)
        console.print(f"report: {folder.location}/{REPORT_PAGE}", soft_wrap=True, markup=False)
    return _exit_code(counts, folder, console)


def _report(folder: Store, counts: Mapping[str, int], console: Console) -> None:
    if not counts["complete"]:
        console.print(account_line(counts), soft_wrap=True, markup=False)
        return
    from analysis.report import write_report

    report = write_report(folder.location, None)
    for line in report.sentences:
        console.print(line, soft_wrap=True, markup=False)
    console.print(account_line(counts), soft_wrap=True, markup=False)
    console.print(f"report: {report.page}", soft_wrap=True, markup=False)


def _exit_code(counts: Mapping[str, int], folder: Store, console: Console) -> int:
    if counts[UNFINISHED] or counts[UNREADABLE]:
        console.print(f"the sweep ended early; go on with: {resume_command(folder)}", soft_wrap=True, markup=False)
        return FAULT
    if again := [state for state in ("failed", "diverged") if counts[state]]:
        command = resume_command(folder, f"--retry {','.join(again)}")
        console.print(
            f"'fisher-study show' gives the reasons; try them again with: {command}", soft_wrap=True, markup=False
        )
        return INCOMPLETE
    return COMPLETE


def print_power(study: StudyConfig, console: Console) -> None:
    """Say what a plan can find out, before it is paid for.

    Args:
        study: The planned study.
        console: Where to say it.
    """
    from analysis.power import planned_power

    # Slots are left out as in the headline: an adaptive search picks them by their outcome, so they are no sample.
    arms = {row.label: row.arm for row in draft(study) if row.slot is None}
    groups = [count for count in Counter(arms.values()).values() if count > 1]
    if not groups:
        console.print("power: none, since no family has two configurations or more")
        return
    found = ", ".join(f"{power:.2f} at {r:g}" for r, power in planned_power(groups).items())
    design = f"{sum(groups)} configurations in {len(groups)} families"
    console.print(
        f"power of the headline test by within-family correlation: {found} ({design})", soft_wrap=True, markup=False
    )
