"""One trial in the terminal: what it changes in the base trial, what it found, where it ran, what went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
from rich.markup import escape
from rich.table import Table

from study.browse.tables import table
from study.store.records import TrialRecord
from study.store.results import StudyResults
from study.store.storage import Store
from trainables.config import ENGLISH, TrialConfig
from trainables.config.dotted_paths import flatten, parse
from trainables.errors import InputError
from trainables.measuring.measurements import DEFINITIONS, defined_as

RECORDED = ("complete", "not_reached", "diverged", "failed")
BY_LANGUAGE = {
    "accuracy": "accuracy.LANG",
    "nll": "nll.LANG",
    "ece": "ece.LANG",
    "test": "test.accuracy.LANG",
    "test F1": "test.f1.LANG",
    "Tr(F)": "fisher_trace.LANG",
    "stage 2: before": "stage2.LANG.accuracy_before",
    "after": "stage2.LANG.accuracy_after",
    "gain": "stage2.LANG.gain",
    "test after": "stage2.LANG.test_accuracy",
    "English after": "stage2.LANG.accuracy_en_after",
}


def find_trial(results: StudyResults, name: str) -> str:
    """The id of the trial with this id, start of an id, or label; InputError unless exactly one matches."""
    trials = results.trials
    labelled = trials.label == name
    match = trials[labelled if labelled.any() else trials.trial_id.str.startswith(name)]
    if len(match) == 1:
        return str(match.trial_id.iloc[0])
    if match.empty:
        raise InputError(
            f"study {results.study['study']} has no trial {name!r}; name one by its id, the beginning of it, or its "
            f"label (the same command without a trial lists them)"
        )
    ids = ", ".join(f"{row.trial_id} (seed {row.seed})" for row in match.itertuples())
    raise InputError(f"{name!r} may be any of {ids}; name one by its id")


def trial_tables(folder: Store, results: StudyResults, trial_id: str) -> list[Table]:
    """Everything that is known about one trial, most interesting first."""
    row = results.trials.set_index("trial_id").loc[trial_id]
    shown = ("label", "seed", "state", "reason")
    facts = [(name, "" if pd.isna(row[name]) else escape(str(row[name]))) for name in shown]
    head = table("", "", rows=[("trial", trial_id), *facts], left=("",))
    head.show_header = False
    config = parse(results.configs[trial_id])
    tables = [head, _changes(parse(results.study["config"]["base"]), config), *_losses(config)]
    if row["state"] not in RECORDED:
        return tables
    record = TrialRecord.model_validate_json(folder.child("trials").read(f"{trial_id}.json"))
    measured = [
        (name, f"{value:.6g}", DEFINITIONS.get(defined_as(name) or "", ""))
        for name, value in record.measurements.items()
    ]
    where = [(name, escape(str(value))) for name, value in record.provenance.items()]
    tables += [
        *_languages(config, record.measurements),
        table("measurement", "value", "definition", rows=measured, left=("measurement", "definition")),
        table("provenance", "value", rows=where, left=("provenance", "value")),
    ]
    if record.error is not None:
        tables.append(table("error", rows=[(escape(record.error.log_tail),)], left=("error",)))
    return [one for one in tables if one.row_count]


def _changes(base: TrialConfig, config: TrialConfig) -> Table:
    before = flatten(base)
    rows = [
        (path, escape(json.dumps(before[path])), escape(json.dumps(value)))
        for path, value in flatten(config).items()
        if value != before[path]
    ]
    return table("configuration", "base", "this trial", rows=rows, left=("configuration",))


def _losses(config: TrialConfig) -> list[Table]:
    """Each stage's consistency loss, with every setting that its preset fills in."""
    stages = config.stages if config.data.stage2_examples else config.stages[:1]
    tables = []
    for number, stage in enumerate(stages):
        if stage.consistency is not None:
            name = f"stages.{number}.consistency"
            rows = [(part, escape(str(value))) for part, value in stage.consistency.expanded().items() if value != ""]
            tables.append(table(name, "expanded", rows=rows, left=(name, "expanded")))
    return tables


def _languages(config: TrialConfig, measurements: Mapping[str, float]) -> list[Table]:
    """What was measured in each language, one row per language."""
    languages = (ENGLISH, *config.data.languages)
    columns = {
        header: {language: measurements.get(template.replace("LANG", language)) for language in languages}
        for header, template in BY_LANGUAGE.items()
    }
    columns["Tr(F)"][ENGLISH] = measurements.get("fisher_trace")
    columns = {header: values for header, values in columns.items() if any(v is not None for v in values.values())}
    if not columns:
        return []
    rows = []
    for language in languages:
        cells = [values[language] for values in columns.values()]
        rows.append((language, *("" if value is None else f"{value:.4g}" for value in cells)))
    return [table("language", *columns, rows=rows, left=("language",))]
