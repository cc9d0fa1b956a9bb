"""What a section hands to the page: paragraphs, tables and figures, with numbers by reference. Knows no HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.rows import Rows


@dataclass(frozen=True)
class Paragraph:
    """Text with references to numbers: a template."""

    text: str


@dataclass(frozen=True)
class Table:
    """A small table of templates; where it is ``sortable``, by a click on a heading.

    ``rows_of`` is name and rows of a table with one row for each trial, which the page builds itself; ``rows`` is then
    empty.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    sortable: bool = False
    rows_of: tuple[str, Rows] | None = None


@dataclass(frozen=True)
class Figure:
    """A figure, as a Vega-Lite specification without style and rows; caption and alternative text are templates.

    Attributes:
        name: File name without ending, and id on the page.
        spec: The specification of the pictures.
        rows: Data name to rows.
        alternative: What a reader who does not see it needs.
        page: The specification on the page where it differs: a figure with selections. None draws ``spec``; a figure
            that another one's ``page`` includes has an empty one.
    """

    name: str
    spec: dict[str, Any]
    rows: Mapping[str, Rows]
    caption: str
    alternative: str
    page: dict[str, Any] | None = None

    @property
    def full_caption(self) -> str:
        """The caption, and what was left out of the rows."""
        return " ".join([self.caption, *dict.fromkeys(rows.note for rows in self.rows.values() if rows.note)])


Block = Paragraph | Table | Figure


@dataclass(frozen=True)
class Missing:
    """A section that the study has no data for: why, as a sentence, and numbers that could be made nevertheless."""

    reason: str
    numbers: dict[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A section's numbers, and the study that its figures and tables show."""

    numbers: dict[str, Number]
    tables: StudyTables


class Result(Protocol):
    """What ``compute`` returns, such as Found: at least numbers."""

    @property
    def numbers(self) -> dict[str, Number]:
        """Id to number."""


@dataclass(frozen=True)
class Section:
    """A section: ``compute`` gives numbers or Missing; ``draw`` makes blocks of that and all numbers of the report."""

    title: str
    compute: Callable[[StudyTables], Result]
    draw: Callable[[Any, Numbers], list[Block]]
