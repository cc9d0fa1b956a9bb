"""From specifications to pictures, and the script that draws them on a page; works offline, with vl-convert.

Pictures are drawn in separate processes (``python -m analysis.page.pictures``), since drawing takes most of a report's
time and does not release Python's global lock. This module imports nothing large, so these processes start quickly.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert

from trainables.cache import cache, keep
from trainables.cpus import usable_cpus

VEGA_LITE = "6.4"
PNG_SCALE = 2.0  # 192 dots per inch at the size on the page
LIBRARY = "library.js"
_DATUM = re.compile(r"datum\.(\w+)|datum\['(\w+)'\]")


class Drawing:
    """Processes that write files to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []

    def library(self) -> None:
        """Write Vega, Vega-Lite and vega-embed as one script to the file LIBRARY; this takes seconds, but only once."""
        try:
            shutil.copyfile(kept_library(), self._folder / LIBRARY)
        except OSError:
            self._start([LIBRARY])

    def pictures(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        """Draw specifications, which include their rows, as NAME.svg, NAME.pdf and NAME.png."""
        sizes = {}
        for name, spec in specs.items():
            text = json.dumps(spec, separators=(",", ":"))
            (self._folder / f"{name}.json").write_text(text, encoding="utf-8")
            sizes[name] = len(text)
        order = sorted(sizes, key=lambda name: -sizes[name])
        workers = min(len(order), 2, usable_cpus())
        for worker in range(workers):
            self._start([f"{name}.json" for name in order[worker::workers]])

    def wait(self) -> None:
        """Wait for all files; raises RuntimeError if a process failed."""
        ends = [process.communicate()[1] for process in self._processes]
        if any(process.returncode for process in self._processes):
            raise RuntimeError("drawing failed: " + " ".join(filter(None, ends)))

    def stop(self) -> None:
        """Kill processes that are still running."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, names: Sequence[str]) -> None:
        paths = [str(self._folder / name) for name in names]
        top = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-m", "analysis.page.pictures", *paths]
        self._processes.append(subprocess.Popen(command, cwd=top, stderr=subprocess.PIPE, text=True))


def kept_library() -> Path:
    """Where the script that every page includes is cached."""
    return cache() / f"vega-lite-{VEGA_LITE}-{version('vl-convert-python')}.js"


def static(spec: Mapping[str, Any], rows: Mapping[str, Any], title: str) -> dict[str, Any]:
    """A specification for pictures, without what only a page needs and with the columns that it reads.

    Args:
        rows: From data name to rows with a method ``records(fields)``.
        title: The alternative text.
    """
    bare: dict[str, Any] = _without_tooltips(spec)
    fields = set(_fields(bare))
    bare["datasets"] = bare.get("datasets", {}) | {name: table.records(fields) for name, table in rows.items()}
    return bare | {"usermeta": {"title": title}, "config": bare["config"] | {"aria": False}}


def _without_tooltips(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: _without_tooltips(value) for key, value in spec.items() if key != "tooltip"}
    return [_without_tooltips(value) for value in spec] if isinstance(spec, list) else spec


def _fields(spec: Any) -> Iterator[str]:
    """Every field that a specification reads, so that the renderer gets only those columns."""
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


def draw(spec: dict[str, Any]) -> dict[str, bytes]:
    """The pictures of a specification from :func:`static`: from "svg", "pdf" and "png" to content."""
    vega = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)
    svg = vl_convert.vega_to_svg(vega)
    start, rest = svg.split(">", 1)
    svg = f'{start} role="img"><title>{html.escape(spec["usermeta"]["title"])}</title>{rest}'
    png = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
    return {"svg": svg.encode(), "pdf": vl_convert.svg_to_pdf(svg), "png": png}


def main(paths: Iterable[str]) -> None:
    """Make the file of each path: LIBRARY itself or, for a specification NAME.json, the pictures beside it."""
    for path in map(Path, paths):
        if path.name == LIBRARY:
            script = vl_convert.javascript_bundle(None, VEGA_LITE)  # type: ignore[arg-type]  # None: the default entry
            path.write_text(script, encoding="utf-8")
            with suppress(OSError):
                keep(kept_library(), partial(shutil.copyfile, path))
            continue
        for ending, content in draw(json.loads(path.read_text(encoding="utf-8"))).items():
            path.with_suffix(f".{ending}").write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
