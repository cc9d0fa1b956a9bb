"""Draws docs/house.svg, the picture of which part imports which: ``python -m tools.house``.

A row imports a column. Parts are ordered from the bottom up, so that marks lie below the diagonal; one above it belongs
to two packages that use modules of each other (no two modules import each other).
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("trainables", "study", "analysis")
SIZE = 15


def imports() -> Counter[tuple[str, str]]:
    """The number of import statements by pair of parts: (importing part, imported part) to count.

    A part is a package, or a module beside the packages.
    """
    found: Counter[tuple[str, str]] = Counter()
    files = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files}
    for path in files:
        own = _part(".".join(path.with_suffix("").parts))
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found.update((own, _part(name if name in modules else node.module)) for name in names)
    return Counter({pair: count for pair, count in found.items() if pair[0] != pair[1]})


def _part(module: str) -> str:
    return ".".join(module.removesuffix(".__init__").split(".")[:2])


def order(found: Counter[tuple[str, str]]) -> list[str]:
    """Parts from the bottom up: a part that imports another reaches everything that the other one reaches, and more."""
    reached = {part: {b for a, b in found if a == part} for part in {part for pair in found for part in pair}}
    for middle in reached:
        for part, reach in reached.items():
            if middle in reach:
                reached[part] = reach | reached[middle]
    return sorted(reached, key=lambda part: (len(reached[part]), PACKAGES.index(part.split(".")[0]), part))


def main() -> None:
    """Write docs/house.svg."""
    found = imports()
    parts = order(found)
    table = pd.DataFrame([{"part": a, "imports": b, "statements": n} for (a, b), n in sorted(found.items())])
    scale, side = alt.Scale(domain=parts), SIZE * len(parts)
    across = alt.X("imports:N", scale=scale, title=None, axis=alt.Axis(orient="top", labelAngle=-90, labelLimit=300))
    down = alt.Y("part:N", scale=scale, title=None, axis=alt.Axis(labelLimit=300))
    base = alt.Chart(table, width=side, height=side).encode(across, down)
    own = alt.Chart(pd.DataFrame({"part": parts, "imports": parts})).mark_rect(color="#ddd").encode(across, down)
    shade = alt.Color("statements:Q", scale=alt.Scale(type="log", scheme="blues"), legend=None)
    picture = own + base.mark_rect().encode(shade) + base.mark_text(fontSize=8).encode(text="statements:Q")
    svg = vl_convert.vegalite_to_svg(picture.configure_axis(grid=False, labelFontSize=10).to_json())
    (ROOT / "docs" / "house.svg").write_text(svg, encoding="utf-8")
    print(f"docs/house.svg: {len(parts)} parts, {sum(found.values())} imports between them")


if __name__ == "__main__":
    main()
