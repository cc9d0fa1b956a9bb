"""From blocks to HTML and Markdown. All digits come from the numbers; on the page, each shows what it rests on."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.numbers import Numbers
from analysis.page.composition import finish
from analysis.page.document import Block, Figure, Paragraph, Table
from analysis.rows import Rows
from analysis.verdicts.margins import Verdict
from analysis.verdicts.wording import capital

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Document:
    """Everything that a report says; answer, closing and reading are templates, and the account is one line of text.

    ``closing`` is the summary's last sentence, if it has one; sections are (key, title, blocks) in page order.
    """

    study: str
    running: bool
    answer: str
    verdicts: Sequence[Verdict]
    closing: str | None
    reading: str
    account: str
    sections: Sequence[tuple[str, str, Sequence[Block]]]
    numbers: Numbers


def page(document: Document, library: str) -> str:
    """The report as one HTML file; ``library`` is Vega, Vega-Lite and vega-embed as one script."""

    def fill(template: str) -> Markup:
        return Markup(document.numbers.text(html.escape(template, quote=False), _marker(document.numbers)))

    rows: dict[str, Any] = {}
    charts: dict[str, Any] = {}
    sections = []
    for key, title, blocks in document.sections:
        sections.append({"key": key, "title": title, "blocks": [_block(block, fill, rows, charts) for block in blocks]})
    verdicts = [{"key": v.hypothesis, "word": v.word, "text": fill(capital(v.template))} for v in document.verdicts]
    data = json.dumps({"charts": charts, "rows": rows}, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _template().render(
        study=document.study,
        running=document.running,
        answer=fill(capital(document.answer)),
        verdicts=verdicts,
        closing=None if document.closing is None else fill(document.closing),
        reading=fill(document.reading),
        account=document.account,
        sections=sections,
        data=Markup(data.replace("</", "<\\/")),
        library=Markup(library),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
    )


@cache
def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html")


def _marker(numbers: Numbers) -> Any:
    def mark(key: str, digits: str) -> str:
        title = html.escape(numbers.explain(key))
        return f'<span class="number" data-number="{key}" title="{title}">{html.escape(digits)}</span>'

    return mark


def _block(block: Block, fill: Any, rows: dict[str, Any], charts: dict[str, Any]) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"kind": "paragraph", "text": fill(block.text)}
    if isinstance(block, Figure):
        spec = block.spec if block.page is None else block.page
        if spec:
            for name, table in block.rows.items():
                rows[name] = _packed(table)
            charts[block.name] = {"spec": finish(spec), "data": list(block.rows)}
        facts = {"name": block.name, "drawn": bool(spec), "caption": fill(block.full_caption)}
        return {"kind": "figure", "alternative": fill(block.alternative).striptags(), **facts}
    if block.rows_of is not None:
        name, table = block.rows_of
        rows[name] = _packed(table) | {"titles": list(block.columns)}
        return {"kind": "rows", "name": name, "caption": fill(block.caption)}
    cells = [[fill(cell) for cell in row] for row in block.rows]
    facts = {"columns": block.columns, "rows": cells, "caption": fill(block.caption), "sortable": block.sortable}
    return {"kind": "table", **facts}


def _packed(table: Rows) -> dict[str, Any]:
    return {"columns": table.columns, "values": table.values}


def markdown(document: Document, pictures: Mapping[str, str]) -> str:
    """The report as Markdown, with pictures at paths relative to the file."""
    fill = document.numbers.text
    lines = [f"# {document.study}", ""]
    if document.running:
        lines += ["The study is still running; this report shows what is there so far.", ""]
    lines += [f"**{capital(fill(document.answer))}**", ""]
    lines += [f"- {v.hypothesis} **{v.word}**: {capital(fill(v.template))}" for v in document.verdicts]
    lines += [] if document.closing is None else ["", fill(document.closing)]
    lines += ["", fill(document.reading), "", f"Account: {document.account}", ""]
    for _, title, blocks in document.sections:
        lines += [f"## {title}", ""]
        for block in blocks:
            lines += [*_markdown_block(block, fill, pictures), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_block(block: Block, fill: Any, pictures: Mapping[str, str]) -> list[str]:
    if isinstance(block, Paragraph):
        return [fill(block.text)]
    if isinstance(block, Figure):
        return [f"![{fill(block.alternative)}]({pictures[block.name]})", "", f"*{fill(block.full_caption)}*"]
    if block.rows_of is not None:
        return [f"*{fill(block.caption)}*"]
    return [f"*{fill(block.caption)}*", "", *_markdown_table(block, fill)]


def _markdown_table(table: Table, fill: Any) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [
        line(table.columns),
        line(["---"] * len(table.columns)),
        *(line([fill(c) for c in row]) for row in table.rows),
    ]
