"""The commands. Each only reads its options and calls what does the work, imported when it is called."""

from __future__ import annotations

import gc
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.report import Report

app = typer.Typer(
    name="fisher-study",
    help="Fine-tune a multilingual encoder under many regularisers, measure how curved each minimum is, "
    "and say whether flatness went with generalisation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Storage = Annotated[str, typer.Option(help="Folder or URI that holds the studies.")]
Address = Annotated[str, typer.Option(help="Ray cluster to join; 'local' starts Ray on this machine.")]
Concurrency = Annotated[int | None, typer.Option(min=1, help="Trials at a time; default: as many as fit.")]
Cpus = Annotated[float, typer.Option(min=0.01, help="CPUs, and so threads, of one trial.")]
Gpus = Annotated[float | None, typer.Option(min=0.0, help="GPUs of one trial; default: 1 where there are any.")]
Failures = Annotated[int, typer.Option(min=0, help="Further tries of a trial that raised or whose worker died.")]
TrialLimit = Annotated[
    str | None, typer.Option(metavar="2h", help="A try of a trial that takes longer ends as failed.")
]
Budget = Annotated[str | None, typer.Option(metavar="8h", help="End the sweep after this time; resume goes on.")]
Models = Annotated[
    Literal["none", "stage1", "all"], typer.Option(help="Save the classifiers, in models/ of the study's folder.")
]
Predictions = Annotated[
    bool, typer.Option("--save-predictions", help="Save the predictions, in predictions/ of the study's folder.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only errors and the summary at the end.")]
Study = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="Name of a study, or any study's folder.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")]


def _console(quiet: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough for whole rows in a file or a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, quiet=quiet)


def _location(study: str, storage: str) -> str:
    """The folder of a study that is given by its folder, or by its name in a storage."""
    from study.store.records import study_folder
    from study.store.storage import STUDY_FILE, open_store

    is_folder = "/" in study or open_store(study).exists(STUDY_FILE)
    return study if is_folder else study_folder(open_store(storage), study).location


def _told(written: Report) -> None:
    """Print what a page says, and where it is."""
    for line in written.sentences:
        typer.echo(line)
    typer.echo(f"report: {written.page}")


@contextmanager
def _reading() -> Iterator[None]:
    """Thousands of records are millions of objects without cycles: looking for some takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@app.command()
def run(
    study: Annotated[str, typer.Argument(metavar="NAME|FILE.py:FUNCTION", help="A named study, or one of your own.")],
    name: Annotated[str | None, typer.Option(help="Another name for this run of the study.")] = None,
    arms: Annotated[
        str | None, typer.Option(help='Arms to run, or single values: "baseline,kl=0.6,fpen=0.01".')
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats of every configuration.")] = None,
    bundled: Annotated[
        bool, typer.Option("--bundled", help="The same study on the bundled model, data and protocol.")
    ] = False,
    languages: Annotated[str | None, typer.Option(help="Target languages: de,es,zh.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change the base of every arm; repeatable.")
    ] = None,
    storage: Storage = "./studies",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and check the input; run nothing.")] = False,
    address: Address = "local",
    concurrency: Concurrency = None,
    cpus_per_trial: Cpus = 1.0,
    gpus_per_trial: Gpus = None,
    max_failures: Failures = 1,
    trial_time_limit: TrialLimit = None,
    time_budget: Budget = None,
    save_models: Models = "none",
    save_predictions: Predictions = False,
    quiet: Quiet = False,
) -> None:
    """Run a study, or what is left of it, and write its report."""
    from study.plan.loading import load_study
    from study.plan.planning import narrow, parse_settings
    from study.store.storage import open_store
    from study.sweep import launch
    from study.sweep.resources import Resources, parse_duration

    settings = [*(set_ or []), *([] if languages is None else [f"data.languages={languages}"])]
    chosen = narrow(load_study(study, bundled), name=name, arms=arms, seeds=seeds, values=parse_settings(settings))
    limits = parse_duration(trial_time_limit), parse_duration(time_budget)
    resources = Resources(
        address,
        concurrency,
        cpus_per_trial,
        gpus_per_trial,
        max_failures,
        *limits,
        save_models=save_models,
        save_predictions=save_predictions,
    )
    if dry_run:
        launch.preview(chosen, open_store(storage), resources, _console())
        return
    raise typer.Exit(launch.run(chosen, open_store(storage), resources, _console(quiet)))


@app.command()
def resume(
    name: Name,
    retry: Annotated[
        str | None, typer.Option(metavar="failed,diverged", help="Also run again the trials in these states.")
    ] = None,
    arms: Annotated[
        str | None, typer.Option(help='Arms or values to add to the plan: "fpen,kl=0.6"; nothing planned is changed.')
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Repeats of every configuration, to add to.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on although code, data or weights changed.")
    ] = False,
    storage: Storage = "./studies",
    address: Address = "local",
    concurrency: Concurrency = None,
    cpus_per_trial: Cpus = 1.0,
    gpus_per_trial: Gpus = None,
    max_failures: Failures = 1,
    trial_time_limit: TrialLimit = None,
    time_budget: Budget = None,
    save_models: Models = "none",
    save_predictions: Predictions = False,
    quiet: Quiet = False,
) -> None:
    """Run the planned trials that have no result yet."""
    from study.store.storage import open_store
    from study.sweep import launch
    from study.sweep.resources import Resources, parse_duration

    limits = parse_duration(trial_time_limit), parse_duration(time_budget)
    resources = Resources(
        address,
        concurrency,
        cpus_per_trial,
        gpus_per_trial,
        max_failures,
        *limits,
        save_models=save_models,
        save_predictions=save_predictions,
    )
    states = launch.parse_retry(retry)
    console = _console(quiet)
    code = launch.resume(
        name,
        open_store(storage),
        resources,
        console,
        retry=states,
        accept_changes=accept_changes,
        arms=arms,
        seeds=seeds,
    )
    raise typer.Exit(code)


@app.command(name="list")
def list_(storage: Storage = "./studies") -> None:
    """List the studies of a storage."""
    from study.browse.tables import studies_table
    from study.store.storage import open_store

    with _reading():
        shown = studies_table(open_store(storage))
    if isinstance(shown, str):
        typer.echo(shown)
    else:
        _console().print(shown)


@app.command()
def show(
    name: Name,
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
    from study.store.records import study_folder
    from study.store.results import load_store
    from study.store.storage import open_store

    check_options(trial, sort=sort, descending=descending, where=where, columns=columns, json=json, csv=csv)
    folder = study_folder(open_store(storage), name)
    with _reading():
        results = load_store(folder)
    if trial is not None:
        console = _console()
        for table in trial_tables(folder, results, find_trial(results, trial)):
            console.print(table)
            console.print()
        return
    chosen = select(results.trials, where=where or (), sort=sort, descending=descending, columns=columns)
    if json:
        typer.echo(browse.trials_json(chosen))
    elif csv:
        typer.echo(chosen.to_csv(index=False), nl=False)
    else:
        typer.echo(f"{name} (running)" if results.running else name)
        typer.echo(browse.columns_table(chosen) if columns else browse.trials_table(chosen))
        typer.echo(account_line(results.account) + (f"; {len(chosen)} shown" if where else ""))
        for file, reason in results.unreadable:
            typer.echo(f"unreadable: trials/{file}: {reason}")


@app.command()
def export(
    name: Name,
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
    from study.store.records import study_folder
    from study.store.storage import open_store
    from trainables.errors import InputError

    if (optuna is None) == (ro_crate is None):
        raise InputError("export takes one of --optuna sqlite:///FILE and --ro-crate FILE.zip")
    folder = study_folder(open_store(storage), name)
    if optuna is not None:
        url = export_optuna(folder, optuna)
        typer.echo(f"written; look at it with: {shlex.join(['optuna-dashboard', url])}")
    elif ro_crate is not None:
        typer.echo(f"written: {ro_crate}: {export_ro_crate(folder, ro_crate)}")


@app.command()
def report(
    study: Study,
    out: Annotated[str | None, typer.Option(help="Folder to write to; default: report/ in the study's folder.")] = None,
    storage: Storage = "./studies",
) -> None:
    """Write the report of a study from its records, also while it runs."""
    from analysis.report import write_report

    _told(write_report(_location(study, storage), out))


@app.command()
def compare(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FOLDER...", help="Names of studies, or any studies' folders.")
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder to write to; default: comparison/ here.")] = None,
    storage: Storage = "./studies",
) -> None:
    """Write one page of several studies: protocols side by side, and each hypothesis over all of them."""
    from analysis.studies_page import write_comparison

    _told(write_comparison([_location(study, storage) for study in studies or []], out))


@app.command()
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
    """Run drawn trials of a study again, and say which numbers are the same. Nothing is written."""
    from study.browse.verify import verify as run_again
    from study.plan.planning import parse_settings
    from study.store.storage import open_store

    folder = open_store(_location(study, storage))
    agrees = run_again(folder, _console(), trials, seed, tolerance, parse_settings(set_ or []))
    raise typer.Exit(0 if agrees else 1)


@app.command()
def trace(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Folder or hub id of a sequence classifier.")],
    data: Annotated[Path, typer.Option("--data", help="TSV without header: sentence [, sentence] [, label].")],
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
        _console(),
        checkpoint,
        data,
        {"columns": columns, "labels": labels, "tokenizer": tokenizer, "max_examples": max_examples,
         "max_length": max_length, "batch_size": batch_size, "estimator": estimator,
         "samples": samples, "seed": seed, "device": device},
        per_layer=per_layer,
        json=json,
        per_example=per_example,
    )  # fmt: skip
