"""The second stage: gain, distance travelled, English accuracy kept, the gain given the accuracy before, and the path.

On the path: what equation 1 predicts, what was measured, and how both go with outcomes.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers, Style
from analysis.page.document import Block, Found, Missing, Paragraph, Section, Table
from analysis.sections import shared

_MEASURED = {
    "distance": "distance travelled (L2 norm)",
    "english_kept": "change of English accuracy (points)",
}
PATH_OUTCOMES = {"gain": "stage2.{}.gain", "english_lost": "english_lost.{}"}
PATH_PREDICTORS = {"curvature": "ln_path_curvature.{}", "kl": "ln_path_kl_en.{}"}
PATH_MEANS = ("path_curvature", "path_kl_en", "direction", "path_curvature_target")
PATH_HEADINGS = (
    "language", "models", "curvature (nats)", "KL (nats)", "direction", "curvature, target (nats)",
    "r: curvature, gain", "r: KL, gain", "r: curvature, English lost", "r: KL, English lost",
)  # fmt: skip


def compute(tables: StudyTables) -> Found | Missing:
    """Means over models (stage2.mean.WHAT), and correlations with ln Tr(F) over configurations (stage2.WHAT).

    For each language whose path was measured, also correlations path.LANGUAGE.PREDICTOR.OUTCOME over configurations.
    """
    if not tables.has("gain"):
        return Missing("no complete trial has a second stage in every target language.")
    measured = [name for name in _MEASURED if tables.has(name, "ln_trace")]
    numbers = {f"stage2.mean.{name}": _mean(tables, name) for name in ("gain", *measured)}
    for name in measured:
        numbers[f"stage2.{name}"] = shared.correlate(tables, "ln_trace", name)
    numbers |= {
        f"path.{language}.{predictor}.{outcome}": shared.correlate(tables, x.format(language), y.format(language))
        for language in _with_path(tables)
        for outcome, y in PATH_OUTCOMES.items()
        for predictor, x in PATH_PREDICTORS.items()
    }
    return Found(numbers, tables)


def _with_path(tables: StudyTables) -> list[str]:
    return [name for name in tables.languages if tables.has(*(x.format(name) for x in PATH_PREDICTORS.values()))]


def _means(tables: StudyTables, columns: list[str], *needed: str) -> tuple[str, list[float]]:
    """How many fitted models have all columns in ``needed``, and the means of ``columns`` over them, NaN if absent."""
    models = tables.models.loc[tables.usable(*needed, adaptive=True).index].reindex(columns=columns)
    return str(len(models)), [models[column].astype(float).mean() for column in columns]


def _by_language(tables: StudyTables) -> Table:
    parts = ("accuracy_before", "accuracy_after", "gain", "distance", "accuracy_en_after")
    table = []
    for language in tables.languages:
        columns = [f"stage2.{language}.{part}" for part in parts]
        if tables.has(columns[2]):
            models, means = _means(tables, columns, columns[2])
            shown = [
                f"{value:.3g}" if part == "distance" else f"{100 * value:.2f}"
                for part, value in zip(parts, means, strict=True)
            ]
            table.append([language, models, *("" if text == "nan" else text for text in shown)])
    headings = ["language", "models", "before (%)", "after (%)", "gain (points)", "distance", "English after (%)"]
    return Table(headings, table, "The second stage by language, means over models.")


def _paths(tables: StudyTables, numbers: Numbers) -> list[Table]:
    """A table of paths by language, if any was measured."""
    lines = []
    for language in _with_path(tables):
        columns = [f"stage2.{language}.{name}" for name in PATH_MEANS]
        models, means = _means(tables, columns, *columns[:2])
        keys = [f"path.{language}.{predictor}.{outcome}" for outcome in PATH_OUTCOMES for predictor in PATH_PREDICTORS]
        cells = ["" if mean != mean else f"{mean:.3g}" for mean in means]
        cells += [f"{{{key}}} ({{{key}:p}})" if numbers[key].value is not None else "" for key in keys]
        lines.append([language, models, *cells])
    caption = (
        "The path of the second stage, means over models. Curvature: 1/2 Delta' F Delta at the parameters before it, "
        "which equation 1 takes for the KL of the predictions before and after on the same English rows; direction: "
        "curvature along the path relative to a random direction. r: correlation of the ln with the gain or with "
        "English accuracy lost, given family; p unadjusted."
    )
    return [Table(PATH_HEADINGS, lines, caption)] if lines else []


def _mean(tables: StudyTables, column: str) -> Number:
    values = tables.usable(column, adaptive=True)[column]
    style: Style = "general" if column == "distance" else "points"
    if not len(values):
        return replace(shared.mean(values, style), value=None, reason="no model fitted its training data")
    return shared.mean(values, style)


def draw(result: Found, numbers: Numbers) -> list[Block]:
    """Sentences, up to two panels, and up to two tables by language."""
    tables = result.tables
    measured = [name for name in _MEASURED if f"stage2.{name}" in numbers]
    gained = numbers["stage2.mean.gain"].value is not None
    text = [
        "The second stage changes accuracy by {stage2.mean.gain} points on average over languages "
        "(fitted models: {stage2.mean.gain:n})."
        if gained
        else "There is no mean gain of the second stage: {stage2.mean.gain:reason}."
    ]
    if (given := numbers.get("H4.given.accuracy_before")) is not None and given.value is not None:
        text.append(
            "Given the accuracy before it, the correlation of the gain and ln Tr(F) is {H4.given.accuracy_before}, "
            "{H4.given.accuracy_before:p}."
        )
    if gained and "distance" in measured:
        text.append("Distance travelled and ln Tr(F): {stage2.distance}, {stage2.distance:p}.")
    if gained and "english_kept" in measured:
        text.append(
            "English accuracy changes by {stage2.mean.english_kept} points; with ln Tr(F): {stage2.english_kept}, "
            "{stage2.english_kept:p}."
        )
    blocks: list[Block] = [Paragraph(" ".join(text))]
    if measured:
        panels = [(name, "fisher_trace", _MEASURED[name]) for name in measured]
        chart = shared.against_trace(tables, panels, "", same=False, zero=False)
        caption = "Distance travelled (all parameters) and English kept, against Tr(F); means over languages."
        alternative = (
            "Scatter plots of distance and change of English accuracy against the trace of the Fisher information."
        )
        blocks.append(shared.marks("second-stage", chart, tables, caption, alternative))
    return [*blocks, _by_language(tables), *_paths(tables, numbers)]


SECTION = Section("Second stage", compute, draw)
