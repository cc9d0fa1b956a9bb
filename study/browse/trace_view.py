"""What ``fisher-study trace`` shows and writes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from study.browse.targets import aside, require_parent
from study.browse.telling import say
from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.curvature import TraceEstimate


def show_trace(
    console: Console,
    checkpoint: str,
    data: Path,
    options: Mapping[str, Any],
    *,
    per_layer: bool,
    json: Path | None,
    per_example: Path | None,
) -> None:
    """Measure, print, and write what was asked for; progress goes to the error stream.

    Args:
        checkpoint: Folder or hub id.
        options: Further arguments of ``trace_checkpoint``.
        json: File to which the result is also written, as JSON.
        per_example: File to which each example's value is also written, as CSV.

    Raises:
        InputError: Wrong input, or a file that cannot be written; raised before anything is measured where possible.
    """
    for target in filter(None, (json, per_example)):
        require_parent(target)
        if target.is_dir():
            raise InputError(f"cannot write {target}: it is a folder")
        if target.exists() and data.exists() and target.samefile(data):
            raise InputError(f"cannot write {target}: it is the file to read")
    from trainables.checkpoint_trace import trace_checkpoint
    from trainables.cpus import limit_torch
    from trainables.curvature import SlowPathWarning

    limit_torch()
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    stderr = Console(stderr=True)
    with (
        Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", SlowPathWarning)  # reported below, with the number
        task = bar.add_task("measuring", total=None)
        found = trace_checkpoint(
            checkpoint, data, progress=lambda done, total: bar.update(task, completed=done, total=total), **options
        )
    estimate = found.estimate
    say(console, f"{data}: {found.read}")
    console.print(f"{found.title}: {_value(estimate)} (standard error over examples)")
    console.print(
        f"{estimate.num_examples} examples, {estimate.num_classes} classes, {estimate.num_parameters:,} parameters, "
        f"{estimate.path} path, {estimate.seconds:.1f} s"
    )
    if (whole := found.merged) is not None:
        where = f"over all {whole.num_parameters:,} weights, the adapter merged into them"
        console.print(f"the same {where}: {_value(whole)}")
    if per_layer:
        table = Table("layer", "trace", "share", box=None)
        for name, part in estimate.per_layer.items():
            table.add_row(name, f"{part:.6g}", f"{part / estimate.value:.1%}" if estimate.value else "")
        console.print(table)
    for warning in found.warnings:
        say(console, f"note: {warning}")
    for file, text in ((json, found.to_json(per_layer)), (per_example, found.to_csv())):
        if file is not None:
            with aside(file) as unfinished:
                unfinished.write_text(text, encoding="utf-8")


def _value(estimate: TraceEstimate) -> str:
    error = f" ± {estimate.standard_error:.3g}" if estimate.num_examples > 1 else ""
    return f"{estimate.value:.6g}{error}"
