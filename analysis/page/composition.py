"""Composing charts as plain Vega-Lite, in the report's style.

Altair's own composition copies every part many times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.page.style import GREY, INK

Spec = dict[str, Any]
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_TEXT = {"labelFont": FONT, "titleFont": FONT, "labelColor": INK, "titleFontWeight": "normal", "labelFontSize": 11}
_STYLE: Spec = {
    "font": FONT,
    "view": {"stroke": None},
    "axis": _TEXT | {"titleFontSize": 12, "titlePadding": 8, "titleColor": INK, "domainColor": GREY, "tickColor": GREY,
                     "gridColor": "#ececec"},
    "legend": _TEXT | {"titleFontSize": 11, "titleColor": GREY, "rowPadding": 5},
    "title": {"font": FONT, "fontSize": 12, "fontWeight": "bold", "anchor": "start", "color": INK, "offset": 8},
}  # fmt: skip
LOOKS = ("fill", "stroke", "shape")  # the channels that name the family
# Selections that the views of a page share: families picked in the legend, a region of the first view, a trial.
# Without the filter, Vega-Lite would treat a click on any mark as another click on the family picked last.
_ON_LEGEND = {"type": "click", "filter": "!event.item || indexof(event.item.mark.role, 'legend') >= 0"}
_PICKED: Spec = {
    "name": "picked",
    "select": {"type": "point", "fields": ["family"], "toggle": "true"},
    "bind": {"legend": _ON_LEGEND},
}
_REGION = {"name": "region", "select": {"type": "interval", "encodings": ["x", "y"]}}
_TRIAL = {"name": "trial", "select": {"type": "point", "fields": ["id"], "on": "pointerover", "clear": "pointerout"}}


def row(charts: Sequence[Spec], columns: int = 3) -> Spec:
    """Charts side by side, ``columns`` to a line, with one legend."""
    shared = {"scale": dict.fromkeys(LOOKS, "shared")}
    return {"concat": list(charts), "columns": columns, "spacing": 16, "resolve": shared}


def linked(first: Spec, rest: Sequence[Spec], views: Sequence[str]) -> Spec:
    """Charts one below the other, with selections that act on all; the legend and the region belong to the first.

    All are charts from :func:`figures.models`, or rows of them; ``views`` are the fields on their vertical axes.
    """
    names = [f"marks of {field}" for field in views]
    params = [_PICKED | {"views": names[:1]}, _REGION | {"views": names[:1]}, _TRIAL | {"views": names}]
    apart = {"scale": dict.fromkeys(LOOKS, "independent")}
    return {"vconcat": [first, *rest], "spacing": 26, "params": params, "resolve": apart}


def finish(spec: Spec) -> Spec:
    """A chart in the report's style."""
    return {"config": _STYLE, "background": "white"} | spec


def picked(chart: Spec, name: str, options: Sequence[str], prefix: str) -> Spec:
    """A chart from :func:`figures.models` whose vertical field, ``chosen``, the reader picks from a list.

    The list is labelled ``name`` and starts at the first option; the field of an option is ``prefix`` + option.
    """
    choose = [
        {"calculate": f"datum[{quoted(prefix)} + replace({name}, /[^A-Za-z0-9]/g, '_')]", "as": "chosen"},
        {"filter": "isValid(datum.chosen)"},
    ]
    layers = [layer | {"transform": [*choose, *layer.get("transform", [])]} for layer in chart["layer"]]
    bind = {"input": "select", "options": list(options), "name": f"{name} "}
    return chart | {"layer": layers, "params": [{"name": name, "value": options[0], "bind": bind}]}


def quoted(text: str) -> str:
    """A text as a string literal in a Vega expression."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
