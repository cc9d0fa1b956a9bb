"""The report's kinds of chart. The only module that imports altair.

Altair makes each single view; ``composition`` combines views. A chart refers to its rows by the name of their data, so
that a page contains each table only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from analysis.page.composition import LOOKS, Spec, quoted
from analysis.page.style import GREY, INK, POINTS, Axis, Families, Tip

alt.utils.schemapi.disable_debug_mode()  # validating a part takes longer than making it; tests do it

_HOLLOW = {"condition": {"test": "datum.unfit == 1", "value": 0}, "value": 0.65}
_DOSE = {"field": "dose", "type": "quantitative", "scale": {"domain": [0, 1], "range": [35, 190]}, "legend": None}


def _unit(chart: Any, **more: Any) -> Spec:
    """A single view as plain Vega-Lite, with additional encodings."""
    spec: Spec = chart.to_dict(validate=False)
    encoding = spec.get("encoding", {}) | more
    return {key: value for key, value in spec.items() if key in ("data", "mark", "transform")} | {"encoding": encoding}


def _channel(axis: Axis, channel: type[Any]) -> Any:
    domain = [axis.low, axis.high]
    label: dict[str, str] = {}
    if axis.number == POINTS:
        label = {"labelExpr": "format(100 * datum.value, '~g')"}
    elif axis.number or axis.log:  # otherwise Vega chooses the precision that its ticks need
        label = {"format": axis.number or "~g"}
    if axis.log:
        scale, marks = alt.Scale(type="log", domain=domain, nice=False), alt.Axis(values=axis.ticks(), **label)
    else:
        scale, marks = alt.Scale(domain=domain, nice=False, zero=False), alt.Axis(tickCount=6, **label)
    return channel(f"{axis.field}:Q", title=axis.title, scale=scale, axis=marks)


def _place(x: Axis, y: Axis) -> dict[str, Any]:
    return {"x": _channel(x, alt.X), "y": _channel(y, alt.Y)}


def _tooltip(tips: Sequence[Tip]) -> list[Any]:
    return [
        alt.Tooltip(f"{tip.field}:{'Q' if tip.number else 'N'}", title=tip.title, format=tip.number or alt.Undefined)
        for tip in tips
    ]


def _family_channels(families: Families, legend: bool) -> dict[str, Any]:
    """Channels that identify the family, with one merged legend whose labels list the weights."""
    key = None
    if legend:
        texts = zip(families.names, families.legend, strict=True)
        labels = ",".join(f"{quoted(name)}:{quoted(text)}" for name, text in texts)
        title = "family and its weights"
        expression = f"({{{labels}}})[datum.value]"
        key = alt.Legend(title=title, labelExpr=expression, symbolOpacity=1, symbolSize=90, labelLimit=280)
    ranges = (families.colours(), families.colours(), families.shapes())
    names = list(families.names)
    return {
        name: kind("family:N", legend=key, scale=alt.Scale(domain=names, range=looks))
        for name, kind, looks in zip(LOOKS, (alt.Fill, alt.Stroke, alt.Shape), ranges, strict=True)
    }


def _chart(data: str, where: str | None = None) -> Any:
    chart = alt.Chart(alt.NamedData(name=data))
    return chart.transform_filter(where) if where else chart


def _line_at(value: float, channel: str) -> Spec:
    mark = {"type": "rule", "color": GREY, "strokeDash": [3, 3], "clip": True}
    place = {channel: {"field": "at", "type": "quantitative"}}
    return {"data": {"values": [{"at": value}]}, "mark": mark, "encoding": place}


def _panel(layers: Sequence[Spec], size: tuple[int, int | Spec], title: str) -> Spec:
    return {"layer": list(layers), "width": size[0], "height": size[1]} | ({"title": title} if title else {})


def models(
    data: str, x: Axis, y: Axis, families: Families, tips: Sequence[Tip], *, size: tuple[int, int] = (460, 320),
    title: str = "", legend: bool = True, joined: bool = True, linked: bool = False, zero: bool = False,
    front: str | None = None,
) -> Spec:  # fmt: skip
    """One mark per model: colour and shape show the family, size the dose; a hollow mark is a model that did not fit.

    Args:
        data: Name of the rows, whose fields include id, family, configuration, unfit (0 or 1) and dose (0 to 1).
        size: Width and height in pixels.
        joined: Join the seeds of each configuration by a thin line.
        linked: Take part in the selections of :func:`composition.linked`.
        zero: Draw a line at y = 0.
        front: Name of rows to join by a stepped line.
    """
    base = _chart(data)
    looks = _family_channels(families, legend)
    seeds = base.mark_line(strokeWidth=1, strokeOpacity=0.4)
    marks = base.mark_point(filled=True, opacity=1, strokeWidth=1.1).encode(
        **_place(x, y), **looks, tooltip=_tooltip(tips)
    )
    layers = [_unit(marks, fillOpacity=_HOLLOW, size=_DOSE)]
    if joined:
        line = seeds.encode(**_place(x, y), detail="configuration:N", stroke=looks["stroke"])
        layers.insert(0, _unit(line))
    if linked:
        for layer in layers:
            layer["transform"] = [{"filter": {"param": "picked"}}]
        layers[-1]["name"] = f"marks of {y.field}"
        layers[-1]["encoding"] |= {
            "strokeWidth": {"condition": {"param": "trial", "empty": False, "value": 3.2}, "value": 1.1},
            "opacity": {"condition": {"param": "region", "value": 1}, "value": 0.12},
        }
    if front:
        line = _chart(front).mark_line(interpolate="step-after", color=GREY, strokeDash=[5, 3])
        layers.insert(0, _unit(line.encode(**_place(x, y))))
    return _panel([*([_line_at(0.0, "y")] if zero else []), *layers], size, title)


def doses(
    data: str, order: Sequence[str], y: Axis, families: Families, tips: Sequence[Tip], *, where: str, title: str, x: str
) -> Spec:
    """One mark per model at its dose, with doses evenly spaced, and a line through the geometric means of y.

    Args:
        data: Name of the rows, as for :func:`models`, with the field dose_label as well.
        order: Dose labels, from the smallest dose to the largest.
        where: A Vega expression that picks the rows.
        x: Title of the horizontal axis.
    """
    dose = alt.X("dose_label:O", sort=list(order), title=x, axis=alt.Axis(labelAngle=0, labelOverlap=True))
    looks = _family_channels(families, False)
    means = (
        _chart(data, where)
        .transform_calculate(logarithm=f"log(datum.{y.field})")
        .transform_aggregate(mean="mean(logarithm)", groupby=["dose_label", "family"])
        .transform_calculate(centre="exp(datum.mean)")
    )
    line = means.mark_line(strokeWidth=1.3, strokeOpacity=0.7)
    line = line.encode(x=dose, y=_channel(y.of("centre"), alt.Y), stroke=looks["stroke"])
    marks = _chart(data, where).mark_point(filled=True, opacity=1, size=70, strokeWidth=1.1)
    marks = marks.encode(x=dose, y=_channel(y, alt.Y), **looks, tooltip=_tooltip(tips))
    size = (min(260, max(110, 38 * len(order))), 190)
    return _panel([_unit(line), _unit(marks, fillOpacity=_HOLLOW)], size, title)


def forest(data: str, x: Axis, *, bands: Sequence[float] = (0.0,), title: str = "", width: int = 420) -> Spec:
    """One estimate per line, as a mark with its interval; open marks are for comparison only.

    Args:
        data: Name of the rows, with the fields label, order, value, low, high, open (0 or 1) and text.
        bands: Values to mark with a vertical line.
    """
    y = alt.Y("label:N", sort=alt.EncodingSortField("order"), title=None, axis=alt.Axis(labelLimit=420, grid=True))
    interval = _chart(data).mark_rule(strokeWidth=1.6, color=INK, clip=True)
    marks = _chart(data).mark_point(filled=True, opacity=1, size=70, stroke=INK, strokeWidth=1.4)
    layers = [
        *(_line_at(value, "x") for value in bands),
        _unit(interval.encode(y=y, x=_channel(x.of("low"), alt.X), x2="high:Q")),
        _unit(
            marks.encode(y=y, x=_channel(x, alt.X), tooltip=_tooltip([Tip("label", ""), Tip("text", "estimate")])),
            fill={"condition": {"test": "datum.open == 1", "value": "white"}, "value": INK},
        ),
    ]
    return _panel(layers, (width, {"step": 19}), title)


def lines(
    data: str, x: Axis, y: Axis, families: Families, *, where: str, at: float | None = None,
    size: tuple[int, int] = (290, 190),
) -> Spec:  # fmt: skip
    """One line per series in its family's colour, whose last point has the family's shape.

    Args:
        data: Name of the rows, whose fields include family, series, label and last (0 or 1).
        where: A Vega expression that picks the rows.
        at: A value of y to mark with a line.
    """
    looks = _family_channels(families, True)
    tips = _tooltip([Tip("label", "model"), Tip(x.field, x.title, ".4g"), Tip(y.field, y.title, ".4g")])
    line = _chart(data, where).mark_line(strokeWidth=1.3, strokeOpacity=0.75)
    ends = _chart(data, f"({where}) && datum.last == 1").mark_point(filled=True, opacity=1, size=45, strokeWidth=1)
    layers = [
        _unit(line.encode(**_place(x, y), detail="series:N", stroke=looks["stroke"], tooltip=tips)),
        _unit(ends.encode(**_place(x, y), **looks, tooltip=tips), fillOpacity={"value": 0.65}),
    ]
    return _panel([*([] if at is None else [_line_at(at, "y")]), *layers], size, "")


def heat(data: str, rows: Sequence[str], columns: Sequence[str], title: str) -> Spec:
    """A table of shares; the larger a share, the darker its cell, which also shows the value.

    The fields of ``data`` are row, column and value (a share); ``rows`` and ``columns`` are the labels in order.
    """
    place = {
        "x": alt.X("column:N", sort=list(columns), title=None, axis=alt.Axis(labelAngle=-35, labelLimit=140)),
        "y": alt.Y("row:N", sort=list(rows), title=None, axis=alt.Axis(labelLimit=200)),
    }
    shade = alt.Scale(domain=[0, 1], range=["#f4f4f4", "#123a5c"], type="sqrt")
    fill = alt.Fill("value:Q", scale=shade, legend=alt.Legend(title=title, format=".0%", gradientLength=120))
    tips = _tooltip([Tip("row", "family"), Tip("column", "part"), Tip("value", "share", ".1%")])
    cells = _chart(data).mark_rect(stroke="white").encode(**place, fill=fill, tooltip=tips)
    text = _chart(data).mark_text(fontSize=10).encode(**place, text=alt.Text("value:Q", format=".0%"))
    dark = {"condition": {"test": "datum.value > 0.25", "value": "white"}, "value": INK}
    return {"layer": [_unit(cells), _unit(text, color=dark)], "width": {"step": 52}, "height": {"step": 24}}
