"""How the report draws: one style, a few kinds of chart. The only module that imports altair.

Colour and shape both name the family, so that a figure survives greyscale and colour blindness (Okabe and Ito 2008,
ordered by lightness contrast); size names the dose; a hollow mark is a collapsed model. A chart refers to its rows by
a data name, so that a page holds each table once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

Spec = dict[str, Any]
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#6B6B00")
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right", "triangle-left")
STAR = "M0,-1L0.24,-0.32L0.95,-0.31L0.38,0.12L0.59,0.81L0,0.4L-0.59,0.81L-0.38,0.12L-0.95,-0.31L-0.24,-0.32Z"
BASELINE = "baseline"


@dataclass(frozen=True)
class Families:
    """The families of a study and how each looks.

    Attributes:
        names: In plan order.
        legend: Legend text of each, with its weights.
    """

    names: tuple[str, ...]
    legend: tuple[str, ...]

    def colours(self) -> list[str]:
        """A colour for each family; the baseline is black."""
        others = iter(range(len(self.names)))
        return [INK if name == BASELINE else COLOURS[next(others) % len(COLOURS)] for name in self.names]

    def shapes(self) -> list[str]:
        """A shape for each family; the baseline is a star. Eight colours and seven shapes repeat out of step."""
        others = iter(range(len(self.names)))
        return [STAR if name == BASELINE else SHAPES[next(others) % len(SHAPES)] for name in self.names]


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes:
        field: Column of the rows.
        title: With the unit.
        low: Smallest value shown.
        high: Largest.
        log: Logarithmic.
        number: d3 format of the labels.
    """

    field: str
    title: str
    low: float
    high: float
    log: bool = False
    number: str = "~g"

    @classmethod
    def over(cls, field: str, title: str, values: Sequence[float], *, log: bool = False, number: str = "~g") -> Axis:
        """An axis that shows all of some values with a margin.

        Args:
            field: Column of the rows.
            title: With the unit.
            values: Finite numbers, positive for a logarithmic axis; may be empty.
            log: Logarithmic.
            number: d3 format of the labels.

        Returns:
            The axis.
        """
        low, high = (min(values), max(values)) if len(values) else ((1.0, 10.0) if log else (0.0, 1.0))
        if log:
            margin = max(1.15, (high / low) ** 0.05)
            return cls(field, title, low / margin, high * margin, True, number)
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
        return cls(field, title, low - margin, high + margin, False, number)

    def ticks(self) -> list[float]:
        """Tick values of a logarithmic axis: decades, with 2 and 5 between them when there are few."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < 2.5 else (1, 3) if decades < 4 else (1,)
        stride = 1 if decades < 9 else math.ceil(decades / 8)
        values = [step * 10.0**power for power in range(first, last + 1, stride) for step in steps]
        return [float(f"{value:.12g}") for value in values if self.low <= value <= self.high]

    def encoding(self, channel: type[Any]) -> Any:
        """The axis as an Altair channel.

        Args:
            channel: ``alt.X`` or ``alt.Y``.

        Returns:
            The channel.
        """
        domain = [self.low, self.high]
        scale = (
            alt.Scale(type="log", domain=domain, nice=False)
            if self.log
            else alt.Scale(domain=domain, nice=False, zero=False)
        )
        axis = (
            alt.Axis(values=self.ticks(), format=self.number) if self.log else alt.Axis(format=self.number, tickCount=6)
        )
        return channel(f"{self.field}:Q", title=self.title, scale=scale, axis=axis)


@dataclass(frozen=True)
class Tip:
    """One line of what a mark says when pointed at: column, label, d3 format (empty for text)."""

    field: str
    title: str
    number: str = ""


def _tooltip(tips: Sequence[Tip]) -> list[Any]:
    return [
        alt.Tooltip(f"{tip.field}:Q", title=tip.title, format=tip.number)
        if tip.number
        else alt.Tooltip(f"{tip.field}:N", title=tip.title)
        for tip in tips
    ]


def _family_channels(families: Families, legend: bool) -> dict[str, Any]:
    """Fill, stroke and shape by family, one merged legend whose labels list the weights."""
    labels = {name: text for name, text in zip(families.names, families.legend, strict=True)}
    key = (
        alt.Legend(
            title="family and its weights",
            labelExpr=f"({_js(labels)})[datum.value]",
            symbolOpacity=1,
            symbolSize=90,
            labelLimit=260,
        )  # fmt: skip
        if legend
        else None
    )
    names = list(families.names)
    colour = alt.Scale(domain=names, range=families.colours())
    return {
        "fill": alt.Fill("family:N", scale=colour, legend=key),
        "stroke": alt.Stroke("family:N", scale=colour, legend=key),
        "shape": alt.Shape("family:N", scale=alt.Scale(domain=names, range=families.shapes()), legend=key),
    }


def _js(mapping: dict[str, str]) -> str:
    quoted = (f"{_quote(key)}:{_quote(value)}" for key, value in mapping.items())
    return "{" + ",".join(quoted) + "}"


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


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


def models(
    data: str,
    x: Axis,
    y: Axis,
    families: Families,
    tips: Sequence[Tip],
    *,
    title: str = "",
    where: str | None = None,
    size: tuple[int, int] = (460, 320),
    legend: bool = True,
    joined: bool = True,
    links: Links | None = None,
    zero: bool = False,
) -> Any:
    """One mark a model: y against x, colour and shape by family, size by dose, hollow when collapsed.

    Args:
        data: Name of the rows, which have id, family, configuration, collapsed (0 or 1), dose (0 to 1).
        x: Horizontal axis.
        y: Vertical axis.
        families: The families.
        tips: What a mark says.
        title: Of the panel.
        where: A Vega expression that picks the rows of this panel.
        size: Width and height in pixels.
        legend: Draw the legend.
        joined: Join the seeds of a configuration with a thin line.
        links: Selections to take part in.
        zero: Draw a line at y = 0.

    Returns:
        The chart.
    """
    base = alt.Chart(alt.NamedData(name=data))
    if where:
        base = base.transform_filter(where)
    if links:
        base = base.transform_filter(links.family)
    channels = _family_channels(families, legend)
    fill_opacity = alt.condition("datum.collapsed == 1", alt.value(0), alt.value(0.65))
    stroke_width: Any = alt.value(1.1)
    opacity: Any = alt.value(1)
    if links:
        stroke_width = alt.condition(links.trial, alt.value(3.2), alt.value(1.1))
        opacity = alt.condition(links.region, alt.value(1), alt.value(0.12))
    marks = base.mark_point(filled=True).encode(
        x=x.encoding(alt.X),
        y=y.encoding(alt.Y),
        fillOpacity=fill_opacity,
        strokeWidth=stroke_width,
        opacity=opacity,
        size=alt.Size("dose:Q", scale=alt.Scale(domain=[0, 1], range=[35, 190]), legend=None),
        tooltip=_tooltip(tips),
        **channels,
    )
    layers: list[Any] = [marks]
    if joined:
        line = base.mark_line(strokeWidth=1, opacity=0.4).encode(
            x=x.encoding(alt.X), y=y.encoding(alt.Y), detail="configuration:N", stroke=channels["stroke"]
        )
        layers.insert(0, line)
    if zero:
        layers.insert(0, _rule_at(0.0, "y"))
    return alt.layer(*layers).properties(width=size[0], height=size[1], **({"title": title} if title else {}))


def _rule_at(value: float, channel: str) -> Any:
    rule = alt.Chart(alt.InlineData(values=[{"at": value}])).mark_rule(color=GREY, strokeDash=[3, 3])
    return rule.encode(**{channel: alt.Y("at:Q") if channel == "y" else alt.X("at:Q")})


def row(charts: Sequence[Any]) -> Any:
    """Charts side by side with one legend.

    Args:
        charts: The charts.

    Returns:
        The row.
    """
    return alt.hconcat(*charts, spacing=14).resolve_scale(fill="shared", stroke="shared", shape="shared")


def column(charts: Sequence[Any], links: Links | None = None) -> Any:
    """Charts one below the other with one legend, and with their selections linked.

    Args:
        charts: The charts.
        links: The selections that they share.

    Returns:
        The column.
    """
    first, *rest = charts
    if links:
        first = first.add_params(links.region)  # the region is drawn in the first chart and dims all of them
    chart = alt.vconcat(first, *rest, spacing=26).resolve_scale(fill="shared", stroke="shared", shape="shared")
    if not links:
        return chart
    with warnings.catch_warnings():
        # Altair adds a parameter to each chart and warns that it then keeps one: one shared selection is what we want.
        warnings.filterwarnings("ignore", "Automatically deduplicated selection parameter")
        return chart.add_params(links.family, links.trial)


def finish(chart: Any) -> Spec:
    """The Vega-Lite specification of a chart in the report's style, without its rows.

    Args:
        chart: The chart.

    Returns:
        The specification.
    """
    text = {"labelFont": FONT, "titleFont": FONT}
    styled = (
        chart.configure(font=FONT, background="white")
        .configure_view(stroke=None)
        .configure_axis(
            **text, labelFontSize=11, titleFontSize=12, titleFontWeight="normal", titlePadding=8, labelColor=INK,
            titleColor=INK, domainColor=GREY, tickColor=GREY, gridColor="#ececec", labelFlush=False,
        )
        .configure_legend(
            **text, labelFontSize=11, titleFontSize=11, titleFontWeight="normal", titleColor=GREY, labelColor=INK,
            rowPadding=5,
        )
        .configure_title(font=FONT, fontSize=12, fontWeight="bold", anchor="start", color=INK, offset=8)
        .configure_header(labelFont=FONT, labelFontSize=12, labelFontWeight="bold")
    )  # fmt: skip
    spec: Spec = styled.to_dict()
    return spec
