"""Specifications to pictures, and the script that draws them on a page; offline, by vl-convert."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import vl_convert

from analysis.document import Figure
from analysis.numbers import Numbers

VEGA_LITE = "6.4"
_DATUM = re.compile(r"datum\.(\w+)|datum\['(\w+)'\]")
PNG_SCALE = 2.5  # 240 dots an inch at the size that a paper's column gives


def library() -> str:
    """Vega, Vega-Lite and vega-embed as one script.

    Returns:
        The script.
    """
    return str(vl_convert.javascript_bundle(None, VEGA_LITE))


def draw(figure: Figure, numbers: Numbers) -> dict[str, bytes]:
    """A figure as pictures.

    Args:
        figure: The figure.
        numbers: All numbers, for the description that the picture carries.

    Returns:
        "svg", "pdf" and "png" to content.
    """
    spec = _without_tooltips(figure.spec) | {"description": numbers.text(figure.alternative)}
    fields = set(_fields(spec))
    spec["datasets"] = spec.get("datasets", {}) | {name: rows.records(fields) for name, rows in figure.rows.items()}
    vega = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)
    svg = vl_convert.vega_to_svg(vega)
    png = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
    return {"svg": svg.encode(), "pdf": vl_convert.svg_to_pdf(svg), "png": png}


def _without_tooltips(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _without_tooltips(value) for key, value in spec.items() if key != "tooltip"}
    return [_without_tooltips(value) for value in spec] if isinstance(spec, list) else spec


def _fields(spec: Any) -> Iterator[str]:
    """Every field that a specification reads, so that only those columns are handed to the renderer."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if key in ("field", "groupby", "fields") and isinstance(value, (str, list)):
                yield from [value] if isinstance(value, str) else [item for item in value if isinstance(item, str)]
            yield from _fields(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _fields(value)
    elif isinstance(spec, str):
        for match in _DATUM.finditer(spec):
            yield match[1] or match[2]
