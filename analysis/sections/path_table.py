"""The table of the second stage's path: what equation 1 predicts, what was measured, and how both go with outcomes."""

from __future__ import annotations

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.page.document import Table
from analysis.sections import shared

OUTCOMES = {"gain": "stage2.{}.gain", "english_lost": "english_lost.{}"}
PREDICTORS = {"curvature": "ln_path_curvature.{}", "kl": "ln_path_kl_en.{}"}
MEANS = ("path_curvature", "path_kl_en", "direction", "path_curvature_target")
HEADINGS = (
    "language", "models", "curvature (nats)", "KL (nats)", "direction", "curvature, target (nats)",
    "r: curvature, gain", "r: KL, gain", "r: curvature, English lost", "r: KL, English lost",
)  # fmt: skip


def numbers(tables: StudyTables) -> dict[str, Number]:
    """Correlations ``path.LANG.PREDICTOR.OUTCOME`` over configurations, for each language whose path was measured."""
    return {
        f"path.{language}.{predictor}.{outcome}": shared.correlate(tables, x.format(language), y.format(language))
        for language in _measured(tables)
        for outcome, y in OUTCOMES.items()
        for predictor, x in PREDICTORS.items()
    }


def rows(tables: StudyTables) -> list[list[str]]:
    """For each language whose path was measured: language, fitted models, and their means."""
    found = []
    for language in _measured(tables):
        columns = [f"stage2.{language}.{name}" for name in MEANS]
        models = tables.models.loc[tables.usable(*columns[:2], adaptive=True).index].reindex(columns=columns)
        means = [models[column].astype(float).mean() for column in columns]
        found.append([language, str(len(models)), *("" if mean != mean else f"{mean:.3g}" for mean in means)])
    return found


def table(lines: list[list[str]], known: Numbers) -> Table:
    """The table of :func:`rows`, with correlations and their p where they could be computed."""
    shown = []
    for line in lines:
        keys = [f"path.{line[0]}.{predictor}.{outcome}" for outcome in OUTCOMES for predictor in PREDICTORS]
        cells = [f"{{{key}}} ({{{key}:p}})" if known[key].value is not None else "" for key in keys]
        shown.append([*line, *cells])
    caption = (
        "The path of the second stage, means over models. Curvature: 1/2 Delta' F Delta at the parameters before it, "
        "which equation 1 takes for the KL of the predictions before and after on the same English rows; direction: "
        "curvature along the path relative to a random direction. r: correlation of the ln with the gain or with "
        "English accuracy lost, given family; p unadjusted."
    )
    return Table(HEADINGS, shown, caption)


def _measured(tables: StudyTables) -> list[str]:
    return [name for name in tables.languages if tables.has(*(x.format(name) for x in PREDICTORS.values()))]
