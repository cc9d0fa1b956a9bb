"""The page in a real browser, opened from disk: it draws, asks nobody for anything, and its selections work."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.report import Report

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _browser_or_reason() -> str | None:
    if not CHROMIUM.exists():
        return f"needs Debian's Chromium at {CHROMIUM}"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "needs the Python package playwright"
    return None


@pytest.fixture(scope="module")
def opened(written: tuple[Path, Report]) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page with what the console said and what was asked for."""
    reason = _browser_or_reason()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    path = Path(written[1].page)
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=true]", timeout=60_000)
        yield page, said, asked
        browser.close()


def _marks(page: Any, panel: int) -> Any:
    """The marks of a panel of the linked figure: 0 is Figure 1, the next ones are the languages of Figure 2."""
    return page.locator("#figure\\:figure-1 svg g.mark-symbol.role-mark[class*=marks_of]").nth(panel).locator("path")


def _expect_counts(page: Any, counts: list[int]) -> None:
    """Wait until the four panels have that many marks."""
    groups = "[...document.querySelectorAll('#figure\\\\:figure-1 svg g.mark-symbol.role-mark[class*=marks_of]')]"
    shown = f"JSON.stringify({groups}.map(g => g.querySelectorAll('path').length))"
    page.wait_for_function(f"{shown} === '{json.dumps(counts, separators=(',', ':'))}'", timeout=5_000)


def test_the_page_draws_every_figure_without_a_word_on_the_console_or_a_request(opened: Any) -> None:
    page, said, asked = opened
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    charts = page.evaluate(
        "[...document.querySelectorAll('[data-chart]')].map(e => e.querySelectorAll('svg path').length)"
    )
    assert len(charts) >= 10
    assert min(charts) > 0
    assert _marks(page, 0).count() == 17
    assert all(_marks(page, panel).count() == 17 for panel in (1, 2, 3))


def test_a_click_on_the_legend_filters_both_figures(opened: Any) -> None:
    page, _, _ = opened
    entries = page.locator("#figure\\:figure-1 svg g.role-legend-label text")
    entries.filter(has_text="fpen").click()
    _expect_counts(page, [8, 8, 8, 8])
    entries.filter(has_text="baseline").click()
    _expect_counts(page, [10, 10, 10, 10])
    entries.filter(has_text="fpen").click()
    entries.filter(has_text="baseline").click()
    _expect_counts(page, [17, 17, 17, 17])


def test_pointing_at_a_mark_tells_the_trial_and_shows_it_in_all_panels(opened: Any) -> None:
    page, _, _ = opened
    _marks(page, 0).nth(5).scroll_into_view_if_needed()
    _marks(page, 0).nth(5).hover(force=True)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for(timeout=10_000)
    said = tooltip.inner_text()
    assert "consistency.weight = " in said or "penalties.fisher.weight = " in said or "nothing searched" in said
    assert "Tr(F)" in said
    assert "English accuracy" in said
    thick = "e => e.filter(p => Number(p.getAttribute('stroke-width')) > 3).length"
    assert [_marks(page, panel).evaluate_all(thick) for panel in range(4)] == [1, 1, 1, 1]
    page.mouse.move(2, 2)


def test_a_click_on_a_mark_leads_to_its_row_and_a_drag_does_not(opened: Any) -> None:
    page, _, _ = opened
    entry = page.locator("#figure\\:figure-1 svg g.role-legend-label text").filter(has_text="baseline")
    for counts in ([2, 2, 2, 2], [17, 17, 17, 17]):  # a click on a mark must not repeat the last one on the legend
        entry.click()
        _expect_counts(page, counts)
    mark = _marks(page, 0).nth(5)
    wanted = mark.evaluate("e => e.__data__.datum.id")
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 5, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 40, steps=4)
    page.mouse.move(x + 5, y, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert not page.evaluate("document.getElementById('trials').open")
    page.mouse.dblclick(x + 60, y + 60)  # no region is chosen any more
    mark.click(force=True)
    page.wait_for_function("document.getElementById('trials').open", timeout=5_000)
    assert page.evaluate("location.hash") == f"#trial:{wanted}"
    lines = page.locator("table[data-rows=trials] tbody tr")
    assert lines.count() == 1
    assert wanted in lines.first.inner_text()
    assert page.locator("[data-count=trials]").inner_text() == "1 of 1 rows found, of 18"
    _expect_counts(page, [17, 17, 17, 17])
    page.evaluate("document.getElementById('trials').open = false")
    mark.scroll_into_view_if_needed()
    mark.click(force=True)  # the address stays
    page.wait_for_function("document.getElementById('trials').open", timeout=5_000)
    page.go_back()
    page.wait_for_function("document.querySelectorAll('table[data-rows=trials] tbody tr').length === 18", timeout=5_000)
    page.evaluate("document.getElementById('trials').open = false")
    page.evaluate("history.replaceState(null, '', location.pathname); window.scrollTo(0, 0)")


def test_dragging_over_figure_one_dims_the_rest_in_figure_two(opened: Any) -> None:
    page, _, _ = opened
    page.locator("#figure\\:figure-1").evaluate("figure => figure.scrollIntoView(true)")
    box = page.locator("#figure\\:figure-1 svg g.concat_0_group").bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 200, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    dim = "e => e.filter(p => Number(p.getAttribute('opacity')) < 0.5).length"
    counts = [_marks(page, panel).evaluate_all(dim) for panel in range(4)]
    assert len(set(counts)) == 1
    assert 0 < counts[0] < 17


def test_sections_fold_and_a_link_opens_its_own(opened: Any) -> None:
    page, _, _ = opened
    unfolded = "[...document.querySelectorAll('details.fold')].filter(d => d.open).map(d => d.id)"
    assert page.evaluate(unfolded) == []
    page.locator("nav a", has_text="Dose-response").click()
    assert page.evaluate(unfolded) == ["dose-response"]
    page.locator("#unfold").click()
    assert page.evaluate(unfolded) == page.evaluate("[...document.querySelectorAll('details.fold')].map(d => d.id)")
    assert page.locator("#unfold").inner_text() == "Fold all"
    page.locator("#unfold").click()
    assert page.evaluate(unfolded) == []
    page.evaluate("window.scrollTo(0, 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Any, scheme: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, _, _ = opened
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details.fold').forEach(d => d.open = true)")
    found = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="light")
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_tables_sort_and_filter(opened: Any) -> None:
    page, _, _ = opened
    page.evaluate("document.getElementById('trials').open = true")
    table = page.locator("table[data-rows=trials]")
    head = table.locator("th button", has_text="accuracy en")
    column = table.locator("th").all_inner_texts().index("accuracy en")
    head.click()
    cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
    assert cells.pop() == ""  # the trial without a record stays last in both directions
    assert [float(cell) for cell in cells] == sorted(float(cell) for cell in cells)
    head.click()
    cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
    assert cells.pop() == ""
    assert [float(cell) for cell in cells] == sorted((float(cell) for cell in cells), reverse=True)
    page.locator("[data-filter=trials]").fill("kl complete")
    assert table.locator("tbody tr").count() == 7
    page.locator("[data-filter=trials]").fill("")


def test_paper_shows_what_is_open_and_how_many_rows_there_are(opened: Any) -> None:
    page, _, _ = opened
    unfolded = "[...document.querySelectorAll('details.fold')].filter(d => d.open).map(d => d.id)"
    page.evaluate("document.querySelectorAll('details.fold').forEach(d => d.open = d.id === 'trials')")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    assert page.locator("[data-count=trials]").is_visible()
    assert not page.locator("[data-filter=trials]").is_visible()
    scrolls = "e => getComputedStyle(e).overflowX !== 'visible'"
    cut = f"[...document.querySelectorAll('.scroll, figure')].filter({scrolls}).length"
    assert page.evaluate(cut) == 0
    beyond = "e => e.getBoundingClientRect().right > 720"
    assert page.evaluate(f"[...document.querySelectorAll('.chart svg.marks, table')].filter({beyond}).length") == 0
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1200, "height": 1000})
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(unfolded) == ["trials"]


def test_an_address_of_a_figure_opens_its_section(opened: Any) -> None:
    page, _, _ = opened
    page.evaluate("document.querySelectorAll('details.fold').forEach(d => d.open = false)")
    name = page.evaluate("document.querySelector('details.fold figure[id]').id")
    # Not by navigation: some browsers open the section by themselves then, and others do not.
    page.evaluate(
        "name => { history.replaceState(null, '', '#' + name); dispatchEvent(new Event('hashchange')); }", name
    )
    assert page.evaluate("name => document.getElementById(name).closest('details').open", name)
    page.evaluate("window.scrollTo(0, 0)")
