"""The commands. Each only reads its options and calls the code that does the work, which it imports when called."""

from __future__ import annotations

import typer

from study.cli.reading import compare, export, list_, report, show, trace, verify
from study.cli.sweeps import resume, run

app = typer.Typer(
    name="fisher-study",
    help="Fine-tune a multilingual encoder under many regularisers, measure how curved each minimum is, "
    "and say whether flatness went with generalisation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for _command in (run, resume, list_, show, export, report, compare, verify, trace):
    app.command(name=_command.__name__.strip("_"))(_command)
