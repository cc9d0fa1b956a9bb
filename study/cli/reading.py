"""The commands that start no sweep: tables, exports, pages, and recomputation."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.cli.shared import Storage, Study, console, opened
from study.store.uncollected import uncollected

if TYPE_CHECKING:
    from analysis.report import Report


def _told(written: Report) -> None:
    """Print what a report or comparison says, and where it is."""
    for line in written.sentences:
        typer.echo(line)
    typer.echo(f"report: {written.page}")


def list_(storage: Storage = "./studies") -> None:
    """List the studies of a storage."""
    from study.browse.tables import studies_table
    from study.store.storage import open_store

    with uncollected():
        shown = studies_table(open_store(storage))
    if isinstance(shown, str):
        typer.echo(shown)
    else:
        console().print(shown)


def show(
    study: Study,
    trial: Annotated[str | None, typer.Argument(metavar="TRIAL", help="A trial's id or label.")] = None,
    sort: Annotated[str | None, typer.Option(metavar="COLUMN", help="Sort by it; -COLUMN: the largest first.")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="With --sort: the largest first.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only such rows; also != < <= > >=; repeatable."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Only these columns of the trials table.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The trials table as JSON, every column.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="The trials table as CSV, every column.")] = False,
    storage: Storage = "./studies",
) -> None:
    """Show the trials of a study, or one trial."""
    from study.browse import tables as browse
    from study.browse.selection import check_options, select
    from study.browse.trial_view import find_trial, trial_tables
    from study.store.account import account_line
    from study.store.results import load_store

    check_options(trial, sort=sort, descending=descending, where=where, columns=columns, json=json, csv=csv)
    folder = opened(study, storage)
    with uncollected():
        results = load_store(folder)
    if trial is not None:
        shown = console()
        for table in trial_tables(folder, results, find_trial(results, trial)):
            shown.print(table)
            shown.print()
        return
    chosen = select(results.trials, where=where or (), sort=sort, descending=descending, columns=columns)
    if json:
        typer.echo(browse.trials_json(chosen))
    elif csv:
        typer.echo(chosen.to_csv(index=False), nl=False)
    else:
        name = results.study["study"]
        typer.echo(f"{name} (running)" if results.running else name)
        typer.echo(browse.columns_table(chosen) if columns else browse.trials_table(chosen))
        typer.echo(account_line(results.account) + (f"; {len(chosen)} shown" if where else ""))
        for file, reason in results.unreadable:
            typer.echo(f"unreadable: trials/{file}: {reason}")


def export(
    study: Study,
    optuna: Annotated[
        str | None, typer.Option("--optuna", metavar="sqlite:///FILE", help="SQLite file to write an Optuna study to.")
    ] = None,
    ro_crate: Annotated[
        Path | None, typer.Option("--ro-crate", metavar="FILE.zip", help="File to write an RO-Crate to.")
    ] = None,
    storage: Storage = "./studies",
) -> None:
    """Write a study as an Optuna study, for optuna-dashboard, or as an RO-Crate, for an archive."""
    from study.browse.export import export_optuna
    from study.browse.ro_crate import export_ro_crate
    from trainables.errors import InputError

    if (optuna is None) == (ro_crate is None):
        raise InputError("export takes one of --optuna sqlite:///FILE and --ro-crate FILE.zip")
    folder = opened(study, storage)
    if optuna is not None:
        url = export_optuna(folder, optuna)
        typer.echo(f"written; look at it with: {shlex.join(['optuna-dashboard', url])}")
    elif ro_crate is not None:
        typer.echo(f"written: {ro_crate}: {export_ro_crate(folder, ro_crate)}")


def report(
    study: Study,
    out: Annotated[str | None, typer.Option(help="Folder to write to; default: report/ in the study's folder.")] = None,
    storage: Storage = "./studies",
) -> None:
    """Write the report of a study from its records, even while it runs."""
    from analysis.report import write_report

    _told(write_report(opened(study, storage).location, out))


def compare(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FOLDER...", help="Names of studies, or any studies' folders.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder to write to; default: comparison/ here.")] = None,
    storage: Storage = "./studies",
) -> None:
    """Write one page on several studies: their protocols side by side, and each hypothesis over all of them."""
    from analysis.studies_page import write_comparison

    _told(write_comparison([opened(study, storage).location for study in studies or []], out))


def verify(
    study: Study,
    trials: Annotated[int, typer.Option(min=1, help="Trials to draw among the finished ones.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest relative difference that agrees.")] = 1e-6,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Where the model and the data lie here; repeatable."),
    ] = None,
    storage: Storage = "./studies",
) -> None:
    """Run randomly drawn trials of a study again, and say which numbers are the same. Nothing is written."""
    from study.browse.verify import verify as run_again
    from study.plan.narrowing import parse_settings

    folder = opened(study, storage)
    agrees = run_again(folder, console(), trials, seed, tolerance, parse_settings(set_ or []))
    raise typer.Exit(0 if agrees else 1)


def trace(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Folder or hub id of a sequence classifier.")],
    data: Annotated[Path, typer.Option("--data", help="TSV: sentence [, sentence] [, label]; a header may stand.")],
    columns: Annotated[
        str | None,
        typer.Option(metavar="first=1,second=none,label=2", help="Which column is which, where it is in doubt."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="names|numbers", help="How empirical reads labels, where it is in doubt.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Folder or hub id of the tokenizer, if not the checkpoint's.")
    ] = None,
    max_examples: Annotated[int | None, typer.Option(min=1, help="Only the first so many lines.")] = None,
    max_length: Annotated[int, typer.Option(min=8, help="Pieces of an example at the most.")] = 128,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples at a time.")] = 32,
    estimator: Annotated[
        str,
        typer.Option(
            metavar="auto|exact|signs|monte-carlo|empirical",
            help="All labels, random signs over them, sampled or observed labels; auto: exact up to five, signs above.",
        ),
    ] = "auto",
    samples: Annotated[int, typer.Option(min=1, help="Draws an example for signs and monte-carlo.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of those draws.")] = 0,
    per_layer: Annotated[bool, typer.Option("--per-layer", help="Also the split by layer.")] = False,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")] = "cpu",
    json: Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON.")] = None,
    per_example: Annotated[Path | None, typer.Option(help="Also write each example's value as CSV.")] = None,
) -> None:
    """Measure Tr(F) of any saved classifier on a file of sentences."""
    from study.browse.trace_view import show_trace

    show_trace(
        console(),
        checkpoint,
        data,
        {"columns": columns, "labels": labels, "tokenizer": tokenizer, "max_examples": max_examples,
         "max_length": max_length, "batch_size": batch_size, "estimator": estimator,
         "samples": samples, "seed": seed, "device": device},
        per_layer=per_layer,
        json=json,
        per_example=per_example,
    )  # fmt: skip
