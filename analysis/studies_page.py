"""The page of ``fisher-study compare``: the summaries in words, protocols side by side, and a forest plot for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.configurations import StudyTables
from analysis.numbers import plain
from analysis.page import figures, render
from analysis.page.document import Block, Figure, Paragraph, Table
from analysis.page.publication import publication
from analysis.page.style import POINTS, Axis
from analysis.report import SCHEMA_VERSION, Report
from analysis.rows import Rows, short_path, value_text
from analysis.sections import account
from analysis.studies import COMPARED, DIFFERENCE, Compared, compare, heterogeneity, study_id
from analysis.verdicts.declared import HYPOTHESES
from analysis.verdicts.statements import sentence
from analysis.verdicts.wording import capital
from study.store.uncollected import uncollected
from trainables.errors import InputError

OUT = "comparison"
SETTINGS = (
    "model.name", "model.revision", "model.num_hidden_layers", "model.precision", "data.name", "data.source",
    "data.languages", "data.stage2_examples", "data.split", "stages.0.epochs", "stages.0.batch_size",
    "stages.0.optimizer.learning_rate", "stages.1.epochs", "measure.estimator",
)  # fmt: skip
ROWS = {  # as measured, or else as requested
    "training rows": ("train_examples", "config.data.train_examples"),
    "English validation rows": ("validation_examples", "config.data.validation_examples"),
    "rows of Tr(F)": ("fisher_trace_examples", "config.measure.trace_examples"),
}
MEASURED = {
    "precision": "precision",
    "device": "device",
    "cpus": "CPUs a trial",
    "model_fingerprint": "fingerprint of the model",
    "data_fingerprint": "fingerprint of the data",
}
SUMMARY = "all studies"
READING = (
    "How to read this: each study's estimate is the headline of its own report, over its own configurations. A summary "
    "takes the studies for a sample of such studies (random effects): the mean of Fisher's z of the correlations, "
    "weighted by 1 / (error² + tau²), tau by Paule and Mandel, the interval by Hartung and Knapp and never narrower "
    "than without their factor. Its word follows the report's rules for an interval and p after Holm over H1 to H4; a "
    "decided one also has to hold given every control, summarised in the same way. Each study has its word after its "
    "controls."
)


@uncollected()
def write_comparison(folders: Sequence[str], out: str | None = None) -> Report:
    """Write the comparison of several studies: page, Markdown, numbers and figures.

    Args:
        folders: Local paths or URIs.
        out: Where to write; None means ``comparison`` in the working directory.

    Raises:
        InputError: No study is named, one cannot be read, or two are the same.
    """
    if not folders:
        raise InputError("compare takes the names or folders of studies: fisher-study compare STUDY STUDY")
    found = compare(folders)
    with publication((out or OUT).rstrip("/"), "comparison") as publish:
        document = compose(found)
        page = publish(document, lambda names: {"numbers.json": numbers_json(found, names)})
    told = [sentence(verdict, found.numbers) for verdict in found.verdicts]
    return Report(told, told[0], document.account, page)


def compose(found: Compared) -> render.Document:
    """What the page says."""
    sections: list[tuple[str, str, list[Block]]] = [("protocols", "Protocols side by side", _protocols(found))]
    for key in COMPARED:
        title = f"{key}: {HYPOTHESES[key].text}"
        sections.append((key, title, _forest(found, key)))
    lines = [
        f"{name}: {account.line(one.numbers, study.running)}"
        for name, study, one in zip(found.names, found.studies, found.found, strict=True)
    ]
    return render.Document(
        study=f"Comparison of {', '.join(found.names)}",
        running=any(study.running for study in found.studies),
        answer=found.verdicts[0].template,
        verdicts=found.verdicts,
        closing=" ".join(found.notes) or None,
        reading=READING,
        account=" ".join(lines),
        sections=sections,
        numbers=found.numbers,
    )


def _protocols(found: Compared) -> list[Block]:
    """Two tables, so that differences are not lost among settings that all studies share."""
    columns = [_protocol(study) for study in found.studies]
    different: list[list[str]] = []
    same: list[list[str]] = []
    for what in dict.fromkeys(name for column in columns for name in column):
        values = [column.get(what, "") for column in columns]
        if len(set(values)) > 1:
            different.append([plain(cell) for cell in (what, *values)])
        elif values[0]:
            same.append([plain(cell) for cell in (what, values[0])])
    blocks: list[Block] = [Table(["", *found.names], different, "What differs between the studies.")]
    if len(found.names) > 1:
        return [*blocks, Table(["", "every study"], same, "What all of them share.")]
    return [Table(["", *found.names], same, "The study.")]


def _protocol(study: StudyTables) -> dict[str, str]:
    trials, models = study.trials, study.models
    shown = {
        "configurations": str(trials["label"].nunique()),
        "families": ", ".join(study.families),
        "seeds": str(trials["seed"].nunique()),
        "planned trials": str(len(trials)),
        "models": str(len(models)),
        "fitted models": str(int(models["fitted"].sum())),
        "target languages": ", ".join(study.languages),
        "planned": str(study.study["created"]),
    }
    for path in SETTINGS:
        shown[short_path(path)] = _values(trials, f"config.{path}")
    for what, (counted, asked) in ROWS.items():
        shown[what] = _values(trials, counted) or _values(trials, asked)
    measured = [*MEASURED, *(str(column) for column in trials if str(column).startswith("version."))]
    return shown | {MEASURED.get(column, column): _values(trials, column) for column in measured}


def _values(trials: pd.DataFrame, column: str) -> str:
    """The distinct values of a column, in plan order."""
    if column not in trials:
        return ""
    return ", ".join(dict.fromkeys(map(value_text, trials[column].dropna())))


def _forest(found: Compared, key: str) -> list[Block]:
    numbers = found.numbers
    whole, predicted = numbers[key], f"{key}.prediction"
    lines = [(f"{name}: {found.words[key, name]}", study_id(key, name)) for name in found.names]
    lines += [] if whole.value is None else [(f"{SUMMARY}, mean", key)]
    drawn = [(label, number) for label, number in lines if number in numbers]
    drawn += [("a further study, 95 % prediction", predicted)] if predicted in numbers else []
    verdict = next(v for v in found.verdicts if v.hypothesis == key)
    blocks: list[Block] = [Paragraph(capital(verdict.template))]
    if whole.value is not None:
        blocks.append(Paragraph(heterogeneity(key, numbers)))
    rows = _rows(drawn, found)
    if rows.values:
        blocks.append(_figure(key, rows))
    table = [[plain(name), found.words[key, name], *_cells(study_id(key, name), found)] for name in found.names]
    if whole.value is not None:
        table.append([SUMMARY, verdict.word, f"{{{key}}}", f"{{{key}:p}}", f"{{{key}:n}} studies"])
    unit = "points of English accuracy" if key == DIFFERENCE else "r"
    caption = f"{key} in each study; the word is after Holm and the study's controls, p before."
    return [*blocks, Table(["", "word", f"{unit} [95 % interval]", "p", "n"], table, caption)]


def _cells(key: str, found: Compared) -> list[str]:
    if key not in found.numbers:
        return ["not measured", "", ""]
    unit = "seeds" if key.startswith(DIFFERENCE) else "configurations"
    return [f"{{{key}}}", f"{{{key}:p}}", f"{{{key}:n}} {unit}"]


def _rows(drawn: Sequence[tuple[str, str]], found: Compared) -> Rows:
    values: list[list[Any]] = []
    for place, (label, key) in enumerate(drawn):
        number = found.numbers[key]
        if number.value is not None:
            low, high = (number.value if end is None else end for end in (number.low, number.high))
            values.append([label, place, number.value, low, high, int(".in." not in key), found.numbers.quote(key)])
    return Rows(["label", "order", "value", "low", "high", "open", "text"], values)


def _figure(key: str, rows: Rows) -> Figure:
    if key == DIFFERENCE:
        ends = [*rows.column("low"), *rows.column("high"), -0.01, 0.01]
        title = "best Fisher penalty minus best consistency weight (points), 95 % interval"
        x, bands, dashed = Axis.over("value", title, ends, number=POINTS), (-0.01, 0.0, 0.01), "0 and one point"
    else:
        x = Axis("value", "correlation and its 95 % interval", -1.02, 1.02)
        bands, dashed = (-0.3, 0.0, 0.3), 'the bounds of "no association", -.3 and .3, and 0'
    caption = f"{key} in each study, with its word. Hollow: over all studies. Dashed: {dashed}."
    alternative = f"Forest plot of {key} over the studies; the table below has the same numbers."
    chart = figures.forest(f"forest_{key}", x, bands=bands)
    return Figure(f"forest-{key}", chart, {f"forest_{key}": rows}, caption, alternative)


def numbers_json(found: Compared, names: list[str]) -> bytes:
    """The content of numbers.json: the summaries' verdicts, each study's own verdicts, and every number on the page."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "studies": [
            {"name": name, "study": study.name, "created": study.study["created"]}
            for name, study in zip(found.names, found.studies, strict=True)
        ],
        "hypotheses": {
            v.hypothesis: {
                "declared": v.declared, "word": v.word, "sentence": sentence(v, found.numbers),
                "studies": {name: found.words[v.hypothesis, name] for name in found.names},
            } for v in found.verdicts
        },
        "notes": [found.numbers.text(note) for note in found.notes],
        "figures": names,
        "numbers": found.numbers.as_json(),
    }  # fmt: skip
    return (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
