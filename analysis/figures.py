"""The kinds of chart that the report has. The only module that imports altair.

A chart refers to its rows by a data name, so that a page holds each table once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from analysis.style import GREY, INK, POINTS, Axis, Families, Tip

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"


@dataclass(frozen=True)
class Links:
    """Selections that charts on one page share: families picked in the legend, a region, a trial pointed at."""

    family: Any
    region: Any
    trial: Any

    @classmethod
    def new(cls) -> Links:
        """Fresh selections: none picked, everything shown."""
        return cls(
            alt.selection_point(name="family_pick", fields=["family"], bind="legend"),
            alt.selection_interval(name="region", encodings=["x", "y"]),
            alt.selection_point(name="trial", fields=["id"], on="pointerover", empty=False, clear="pointerout"),
        )


def _channel(axis: Axis, channel: type[Any]) -> Any:
    domain = [axis.low, axis.high]
    label = {"labelExpr": "format(100 * datum.value, '~g')"} if axis.number == POINTS else {"format": axis.number}
    if axis.log:
        scale, marks = alt.Scale(type="log", domain=domain, nice=False), alt.Axis(values=axis.ticks(), **label)
    else:
        scale, marks = alt.Scale(domain=domain, nice=False, zero=False), alt.Axis(tickCount=6, **label)
    return channel(f"{axis.field}:Q", title=axis.title, scale=scale, axis=marks)


def _tooltip(tips: Sequence[Tip]) -> list[Any]:
    return [
        alt.Tooltip(f"{tip.field}:{'Q' if tip.number else 'N'}", title=tip.title, format=tip.number or alt.Undefined)
        for tip in tips
    ]


def _family_channels(families: Families, legend: bool, *names: str) -> dict[str, Any]:
    """Channels that name the family, with one merged legend whose labels list the weights."""
    key = None
    if legend:
        labels = ",".join(
            f"{_quoted(n)}:{_quoted(text)}" for n, text in zip(families.names, families.legend, strict=True)
        )
        title = "family and its weights"
        label = f"({{{labels}}})[datum.value]"
        key = alt.Legend(title=title, labelExpr=label, symbolOpacity=1, symbolSize=90, labelLimit=280)
    ranges: dict[str, tuple[type[Any], list[Any]]] = {
        "fill": (alt.Fill, families.colours()),
        "stroke": (alt.Stroke, families.colours()),
        "shape": (alt.Shape, families.shapes()),
        "strokeDash": (alt.StrokeDash, families.dashes()),
    }
    return {
        name: ranges[name][0](
            "family:N", legend=key, scale=alt.Scale(domain=list(families.names), range=ranges[name][1])
        )
        for name in names
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _chart(data: str, where: str | None = None) -> Any:
    chart = alt.Chart(alt.NamedData(name=data))
    return chart.transform_filter(where) if where else chart


def _line_at(value: float, channel: type[Any]) -> Any:
    rule = alt.Chart(alt.InlineData(values=[{"at": value}])).mark_rule(color=GREY, strokeDash=[3, 3])
    return rule.encode(channel("at:Q"))


def _panel(layers: Sequence[Any], size: tuple[int, int], title: str) -> Any:
    chart = alt.layer(*layers).properties(width=size[0], height=size[1])
    return chart.properties(title=title) if title else chart


def models(
    data: str,
    x: Axis,
    y: Axis,
    families: Families,
    tips: Sequence[Tip],
    *,
    size: tuple[int, int] = (460, 320),
    title: str = "",
    legend: bool = True,
    links: Links | None = None,
    zero: bool = False,
    front: str | None = None,
) -> Any:
    """One mark a model: y against x, colour and shape by family, size by dose, hollow when collapsed.

    Args:
        data: Name of the rows, which have id, family, configuration, collapsed (0 or 1), dose (0 to 1).
        x: Horizontal axis.
        y: Vertical axis.
        families: The families.
        tips: What a mark says.
        size: Width and height in pixels.
        title: Of the panel.
        legend: Draw the legend.
        links: Selections to take part in.
        zero: Draw a line at y = 0.
        front: Name of rows to join by a stepped line.

    Returns:
        The chart.
    """
    base = _chart(data)
    if links:
        base = base.transform_filter(links.family)
    place = {"x": _channel(x, alt.X), "y": _channel(y, alt.Y)}
    channels = _family_channels(families, legend, "fill", "stroke", "shape")
    seeds = base.mark_line(strokeWidth=1, opacity=0.4).encode(
        **place, detail="configuration:N", stroke=channels["stroke"]
    )
    marks = base.mark_point(filled=True).encode(
        **place,
        **channels,
        fillOpacity=alt.condition("datum.collapsed == 1", alt.value(0), alt.value(0.65)),
        strokeWidth=alt.condition(links.trial, alt.value(3.2), alt.value(1.1)) if links else alt.value(1.1),
        opacity=alt.condition(links.region, alt.value(1), alt.value(0.12)) if links else alt.value(1),
        size=alt.Size("dose:Q", scale=alt.Scale(domain=[0, 1], range=[35, 190]), legend=None),
        tooltip=_tooltip(tips),
    )
    below = [_line_at(0.0, alt.Y)] if zero else []
    if front:
        below.append(_chart(front).mark_line(interpolate="step-after", color=GREY, strokeDash=[5, 3]).encode(**place))
    return _panel([*below, seeds, marks], size, title)


def doses(
    data: str, order: Sequence[str], y: Axis, families: Families, tips: Sequence[Tip], *, where: str, title: str, x: str
) -> Any:
    """One mark a model over its dose, and a line through the geometric means of y; doses are evenly spaced.

    Args:
        data: Name of the rows, which also have dose_label.
        order: Dose labels, smallest dose first.
        y: Vertical axis.
        families: The families.
        tips: What a mark says.
        where: A Vega expression that picks the rows.
        title: Of the panel.
        x: Title of the horizontal axis.

    Returns:
        The chart.
    """
    dose = alt.X("dose_label:O", sort=list(order), title=x, axis=alt.Axis(labelAngle=0))
    channels = _family_channels(families, False, "fill", "stroke", "shape")
    means = (
        _chart(data, where)
        .transform_calculate(logarithm=f"log(datum.{y.field})")
        .transform_aggregate(mean="mean(logarithm)", groupby=["dose_label", "family"])
        .transform_calculate(centre="exp(datum.mean)")
    )
    line = means.mark_line(strokeWidth=1.3, opacity=0.7)
    line = line.encode(x=dose, y=_channel(y.of("centre"), alt.Y), stroke=channels["stroke"])
    hollow = alt.condition("datum.collapsed == 1", alt.value(0), alt.value(0.65))
    marks = _chart(data, where).mark_point(filled=True, size=70, strokeWidth=1.1)
    marks = marks.encode(x=dose, y=_channel(y, alt.Y), **channels, fillOpacity=hollow, tooltip=_tooltip(tips))
    return _panel([line, marks], (max(110, 38 * len(order)), 190), title)


def forest(data: str, x: Axis, *, bands: Sequence[float] = (0.0,), height: int) -> Any:
    """One estimate a line: a mark with its interval; open marks are for comparison only.

    Args:
        data: Name of the rows: label, order, value, low, high, open (0 or 1), text.
        x: Horizontal axis.
        bands: Values to mark by a vertical line.
        height: Of a line, in pixels.

    Returns:
        The chart.
    """
    y = alt.Y("label:N", sort=alt.EncodingSortField("order"), title=None, axis=alt.Axis(labelLimit=420, grid=True))
    interval = _chart(data).mark_rule(strokeWidth=1.6, color=INK)
    interval = interval.encode(y=y, x=_channel(x.of("low", x.title), alt.X), x2="high:Q")
    marks = _chart(data).mark_point(filled=True, size=70, stroke=INK, strokeWidth=1.4).encode(
        y=y, x=_channel(x, alt.X), tooltip=[alt.Tooltip("text:N", title="estimate")],
        fill=alt.condition("datum.open == 1", alt.value("white"), alt.value(INK)),
    )  # fmt: skip
    layers = [*(_line_at(value, alt.X) for value in bands), interval, marks]
    return alt.layer(*layers).properties(width=420, height=alt.Step(height))


def lines(
    data: str, x: Axis, y: Axis, families: Families, *, where: str, title: str, legend: bool, at: float | None = None,
    size: tuple[int, int] = (250, 190),
) -> Any:  # fmt: skip
    """One line a series, colour and dashes by family, its last point marked by the family's shape.

    Args:
        data: Name of the rows, which have family, series, label, last (0 or 1).
        x: Horizontal axis.
        y: Vertical axis.
        families: The families.
        where: A Vega expression that picks the rows.
        title: Of the panel.
        legend: Draw the legend.
        at: A value of y to mark by a line.
        size: Width and height in pixels.

    Returns:
        The chart.
    """
    place = {"x": _channel(x, alt.X), "y": _channel(y, alt.Y)}
    look = _family_channels(families, legend, "fill", "stroke", "shape", "strokeDash")
    dash = look.pop("strokeDash")
    tips = _tooltip([Tip("label", "model"), Tip(x.field, x.title, ".4g"), Tip(y.field, y.title, ".4g")])
    line = _chart(data, where).mark_line(strokeWidth=1.3, opacity=0.75)
    line = line.encode(**place, detail="series:N", stroke=look["stroke"], strokeDash=dash, tooltip=tips)
    ends = _chart(data, f"({where}) && datum.last == 1").mark_point(filled=True, size=45, strokeWidth=1)
    below = [] if at is None else [_line_at(at, alt.Y)]
    return _panel([*below, line, ends.encode(**place, **look, fillOpacity=alt.value(0.65), tooltip=tips)], size, title)


def heat(data: str, rows: Sequence[str], columns: Sequence[str], title: str) -> Any:
    """Shares as a table whose cells are the darker the larger they are, with their value.

    Args:
        data: Name of the rows: row, column, value (a share).
        rows: Row labels in order.
        columns: Column labels in order.
        title: What a cell shows.

    Returns:
        The chart.
    """
    base = _chart(data).encode(
        x=alt.X("column:N", sort=list(columns), title=None, axis=alt.Axis(labelAngle=-35, labelLimit=140)),
        y=alt.Y("row:N", sort=list(rows), title=None, axis=alt.Axis(labelLimit=200)),
    )
    shade = alt.Scale(domain=[0, 1], range=["#f4f4f4", "#123a5c"], type="sqrt")
    cells = base.mark_rect(stroke="white").encode(
        fill=alt.Fill("value:Q", scale=shade, legend=alt.Legend(title=title, format=".0%", gradientLength=120)),
        tooltip=_tooltip([Tip("row", "family"), Tip("column", "part"), Tip("value", "share", ".1%")]),
    )
    dark = alt.condition("datum.value > 0.3", alt.value("white"), alt.value(INK))
    text = base.mark_text(fontSize=10).encode(text=alt.Text("value:Q", format=".0%"), color=dark)
    return alt.layer(cells, text).properties(width=alt.Step(52), height=alt.Step(24))


def row(charts: Sequence[Any], columns: int = 4) -> Any:
    """Charts side by side, a few in each line."""
    return alt.concat(*charts, columns=columns, spacing=16).resolve_scale(
        fill="shared", stroke="shared", shape="shared"
    )


def linked(first: Any, rest: Sequence[Any], links: Links) -> Any:
    """Charts one below the other whose selections act on all of them; legend and region belong to the first."""
    with warnings.catch_warnings():
        # Altair adds a parameter to each chart and warns that it then keeps one: one shared selection is what we want.
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        charts = [first.add_params(links.family, links.region), *rest]
        chart = alt.vconcat(*charts, spacing=26).add_params(links.trial)
    return chart.resolve_scale(fill="independent", stroke="independent", shape="independent")


def finish(chart: Any) -> dict[str, Any]:
    """The Vega-Lite specification of a chart in the report's style, without its rows."""
    text = {"labelFont": FONT, "titleFont": FONT, "labelColor": INK, "titleFontWeight": "normal"}
    styled = (
        chart.configure(font=FONT, background="white")
        .configure_view(stroke=None)
        .configure_axis(
            **text, labelFontSize=11, titleFontSize=12, titlePadding=8, titleColor=INK, domainColor=GREY,
            tickColor=GREY, gridColor="#ececec",
        )
        .configure_legend(**text, labelFontSize=11, titleFontSize=11, titleColor=GREY, rowPadding=5)
        .configure_title(font=FONT, fontSize=12, fontWeight="bold", anchor="start", color=INK, offset=8)
    )  # fmt: skip
    spec: dict[str, Any] = styled.to_dict()
    spec.pop("$schema")  # an address; the page and the pictures name the version themselves
    return spec
