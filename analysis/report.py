"""From a study's folder to its report: numbers first, then verdicts, figures, page and files, all published at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from analysis.configurations import StudyTables, tables
from analysis.numbers import Number, Numbers
from analysis.page import render
from analysis.page.document import Block, Missing, Paragraph
from analysis.page.publication import publication
from analysis.page.tables import table_files
from analysis.sections import SECTIONS, account, regret
from analysis.statistics.association import NO_FAMILY
from analysis.verdicts import statements
from analysis.verdicts.headlines import EVERYTHING
from analysis.verdicts.margins import Verdict
from study.store.results import load
from study.store.storage import inside
from study.store.uncollected import uncollected

SCHEMA_VERSION = 1
READING = (
    "How to read this: a configuration (mean over its seeds) is one unit, and families are compared only within "
    "themselves. Within a family the correlation runs over doses of one regulariser, so it cannot separate Tr(F) from "
    "the dose; only the correlation over seeds within configurations can."
)


@dataclass(frozen=True)
class Report:
    """What a report says, and where it is.

    Attributes:
        sentences: One per hypothesis that was measured, of which the first is the answer (H1); then advice, if models
            collapsed; last, what choosing by flatness would have cost or gained, if that rule could choose.
        account: The account of trials in one line.
        page: Path or URI of report.html.
    """

    sentences: list[str]
    answer: str
    account: str
    page: str


@dataclass(frozen=True)
class Findings:
    """All that is computed before anything is drawn: each section's result or why it has none, numbers, verdicts."""

    results: dict[str, Any]
    numbers: Numbers
    verdicts: list[Verdict]

    def sentences(self) -> list[str]:
        """One sentence for each hypothesis that was measured, and for H1 in any case."""
        told = [v for v in self.verdicts if v.word != "not measured" or v.hypothesis == "H1"]
        return [statements.sentence(verdict, self.numbers) for verdict in told]


def compute(study: StudyTables) -> Findings:
    """All numbers of a report."""
    results = {key: SECTIONS[key].compute(study) for key in SECTIONS.known()}
    merged: dict[str, Number] = {}
    for result in results.values():
        merged |= result.numbers
    merged |= {
        key: replace(number, reason=study.unfitted)
        for key, number in merged.items()
        if number.reason == NO_FAMILY and not key.endswith(f".{EVERYTHING}")
    }
    numbers = statements.adjust(Numbers(merged))
    return Findings(results, numbers, statements.verdicts(numbers))


@uncollected()
def write_report(folder: str, out: str | None = None) -> Report:
    """Write the report of a study: page, Markdown, numbers, tables and figures.

    Folders are local paths or URIs; if ``out`` is None, the report goes to ``report`` inside the study's folder.
    """
    target = inside(folder, "report") if out is None else out.rstrip("/")
    study = tables(load(folder))
    with publication(target, "report") as publish:
        found = compute(study)
        document = compose(study, found)
        page = publish(
            document,
            lambda figures: {
                "numbers.json": numbers_json(study, found, figures),
                **table_files(study.trials, study.curves),
            },
        )
    sentences = found.sentences()
    advice = account.advice(found.results["account"], found.numbers)
    closing = regret.closing(found.results["regret"], found.numbers)
    told = [*sentences, *filter(None, (advice, closing and found.numbers.text(closing)))]
    return Report(told, sentences[0], document.account, page)


def compose(study: StudyTables, found: Findings) -> render.Document:
    """What the report says, section by section; each section without data becomes one line at the end."""
    sections: list[tuple[str, str, list[Block]]] = []
    absent: list[Block] = []
    for key, result in found.results.items():
        section = SECTIONS[key]
        if isinstance(result, Missing):
            absent.append(Paragraph(f"{section.title}: {result.reason}"))
        else:
            sections.append((key, section.title, section.draw(result, found.numbers)))
    if absent:
        sections.append(("absent", "Not in this report", absent))
    return render.Document(
        study=study.name,
        running=study.running,
        answer=found.verdicts[0].template,
        verdicts=found.verdicts,
        closing=regret.closing(found.results["regret"], found.numbers),
        reading=READING,
        account=account.line(found.numbers, study.running),
        sections=sections,
        numbers=found.numbers,
    )


def numbers_json(study: StudyTables, found: Findings, figures: list[str]) -> bytes:
    """The content of numbers.json: the verdicts and every number that the report quotes."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "hypotheses": {
            v.hypothesis: {
                "declared": v.declared, "word": v.word, "sentence": statements.sentence(v, found.numbers)
            } for v in found.verdicts
        },
        "figures": figures,
        "numbers": found.numbers.as_json(),
    }  # fmt: skip
    return (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
