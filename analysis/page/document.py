"""What a section hands to the page: paragraphs, tables and figures that refer to numbers by id. No HTML here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from analysis.configurations import StudyTables
from analysis.numbers import Number, Numbers
from analysis.rows import Rows


@dataclass(frozen=True)
class Paragraph:
    """A template: text with references to numbers."""

    text: str


@dataclass(frozen=True)
class Table:
    """A small table of templates; if ``sortable``, a click on a heading sorts it.

    For a table with one row per trial, which the page builds itself, ``rows_of`` is its name and rows, and ``rows`` is
    empty.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    sortable: bool = False
    rows_of: tuple[str, Rows] | None = None


@dataclass(frozen=True)
class Figure:
    """A figure: a Vega-Lite specification without style and rows. Caption and alternative text are templates.

    Attributes:
        name: File name without its ending, and id on the page.
        spec: The specification of the pictures.
        rows: From data name to rows.
        alternative: What a reader who cannot see the figure needs to know.
        page: The specification on the page, if it differs, as with selections. None means ``spec``; empty means that
            the ``page`` of another figure includes this one.
    """

    name: str
    spec: dict[str, Any]
    rows: Mapping[str, Rows]
    caption: str
    alternative: str
    page: dict[str, Any] | None = None

    @property
    def full_caption(self) -> str:
        """The caption, followed by notes on rows that were left out."""
        return " ".join([self.caption, *dict.fromkeys(rows.note for rows in self.rows.values() if rows.note)])


Block = Paragraph | Table | Figure


@dataclass(frozen=True)
class Missing:
    """A section for which the study has no data: the reason, as a sentence, and any numbers it still has."""

    reason: str
    numbers: dict[str, Number] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A section's numbers, and the study that its figures and tables show."""

    numbers: dict[str, Number]
    tables: StudyTables


class Result(Protocol):
    """What ``compute`` returns, such as Found; it has at least numbers."""

    @property
    def numbers(self) -> dict[str, Number]:
        """From id to number."""


@dataclass(frozen=True)
class Section:
    """A section: ``compute`` returns a result or Missing; ``draw`` turns it and all numbers into blocks."""

    title: str
    compute: Callable[[StudyTables], Result]
    draw: Callable[[Any, Numbers], list[Block]]
