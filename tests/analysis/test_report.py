"""The report as a whole: what it writes, what it refuses, and that its text comes from numbers.json."""

from __future__ import annotations

import html
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.numbers import Numbers
from analysis.page.pictures import Drawing
from analysis.report import Report, write_report
from analysis.verdicts.statements import sentence, verdicts
from tests.analysis.synthetic import read_numbers, write_study
from trainables.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
ENDINGS = ("svg", "pdf", "png")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out, which take most of the time."""

    def pictures(self: Drawing, specs: dict[str, object]) -> None:
        for name in [*(f"{name}.{ending}" for name in specs for ending in ENDINGS), "library.js"]:
            (self._folder / name).write_text("drawn")

    monkeypatch.setattr(Drawing, "pictures", pictures)
    monkeypatch.setattr(Drawing, "library", lambda self: None)


def test_everything_is_written(written: tuple[Path, Report]) -> None:
    folder, report = written
    out = folder / "report"
    assert report.page == str(out / "report.html")
    assert report.answer == report.sentences[0]
    assert report.account == "18 trials planned: 17 complete, 1 unreadable."
    names = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    figures = json.loads((out / "numbers.json").read_text())["figures"]
    tables = {f"{name}.{ending}" for name in ("trials", "curves") for ending in ("csv", "parquet")}
    pictures = {f"figures/{name}.{ending}" for name in figures for ending in ENDINGS}
    assert names == {"report.html", "report.md", "numbers.json", "columns.csv", *tables, *pictures}
    assert {"figure-1", "figure-2", "dose-response", "curves", "layers", "equation-1", "transfer"} <= set(figures)
    for path in out.rglob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in out.rglob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF")


def test_pictures_carry_their_alternative_text(written: tuple[Path, Report]) -> None:
    folder, _ = written
    numbers = _numbers(folder)
    svg = (folder / "report" / "figures" / "figure-1.svg").read_text()
    assert f"correlation is {numbers.quote('H1')} over" in html.unescape(re.findall("<title>(.*?)</title>", svg)[0])


def _numbers(folder: Path) -> Numbers:
    return read_numbers(json.loads((folder / "report" / "numbers.json").read_text())["numbers"])


def test_sentences_follow_from_numbers_json_alone(written: tuple[Path, Report]) -> None:
    folder, report = written
    numbers = _numbers(folder)
    told = [sentence(v, numbers) for v in verdicts(numbers) if v.word != "not measured"]
    assert told == report.sentences[:-1]
    assert [line[:2] for line in told] == ["H1", "H2", "H3", "H4", "H5"]


def test_the_last_sentence_is_what_choosing_by_flatness_costs_or_gains(written: tuple[Path, Report]) -> None:
    folder, report = written
    said = report.sentences[-1]
    assert said.startswith("Choosing by flatness (the smallest Tr(F) on English) instead of by English validation ")
    assert _numbers(folder).quote("regret.flatness_against_english") in said
    assert said in (folder / "report" / "report.md").read_text()


def test_every_marked_number_of_the_page_is_in_numbers_json(written: tuple[Path, Report]) -> None:
    folder, _ = written
    page, numbers = (folder / "report" / "report.html").read_text(), _numbers(folder)
    marked = re.findall(r'<span class="number" data-number="([^"]+)" title="([^"]+)">([^<]+)</span>', page)
    assert len(marked) > 60
    fields = (None, "value", "p", "p_adjusted", "n", "families", "needed", "reason")
    for key, title, digits in marked:
        assert html.unescape(digits) in {numbers.quote(key, field) for field in fields}
        assert f"numbers.json: {key}" in html.unescape(title)
    for key, number in numbers.items():
        if number.style == "correlation" and number.value is not None:
            assert number.n, key
            assert number.unit, key
            assert number.method, key


def test_paragraphs_have_no_digits_but_marked_ones_and_names(written: tuple[Path, Report]) -> None:
    folder, _ = written
    page = (folder / "report" / "report.html").read_text()
    names = (
        r"\b(H[1-5]|Figure [12]|L2)\b|below 0|\(0 perfect, 0\.5 a coin\)|Equation 1 says 1|"
        r"18 trials planned: 17 complete, 1 unreadable"
    )
    main = page[page.index("<main>") : page.index('id="methods"')]
    for paragraph in re.findall(r"<p>(.*?)</p>", main, flags=re.S):
        bare = re.sub(r'<span class="number".*?</span>', "", paragraph)
        bare = re.sub(names, "", bare)
        assert not re.search(r"\d", bare), bare


def test_the_page_has_no_outside_address(written: tuple[Path, Report]) -> None:
    folder, _ = written
    page = (folder / "report" / "report.html").read_text()
    own = page[: page.index('<script type="module">')] + page[page.rindex('<script type="module">') :]
    assert not re.search(r'(src|href)="(?!#|trials\.csv")', own)
    assert "https://" not in own
    assert "default-src 'none'" in own
    assert len(page) < 2_000_000


def test_markdown_names_its_pictures(written: tuple[Path, Report]) -> None:
    folder, report = written
    text = (folder / "report" / "report.md").read_text()
    for path in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (folder / "report" / path).is_file()
    assert report.account in text
    assert "t00003.json" in text


def test_a_damaged_record_is_named_counted_and_the_rest_goes_on(written: tuple[Path, Report]) -> None:
    folder, _ = written
    numbers = _numbers(folder)
    assert numbers["account.unreadable"].value == 1
    assert numbers["account.complete"].value == 17
    assert numbers["H1"].n == 8


def test_tables_equal_the_trials_table_and_carry_meanings(written: tuple[Path, Report]) -> None:
    folder, _ = written
    out = folder / "report"
    parquet, csv = pd.read_parquet(out / "trials.parquet"), pd.read_csv(out / "trials.csv")
    assert list(parquet.columns) == list(csv.columns)
    assert len(parquet) == len(csv) == 18
    assert parquet["accuracy.en"].tolist()[0] == pytest.approx(csv["accuracy.en"].tolist()[0])
    dictionary = pd.read_csv(out / "columns.csv").set_index(["table", "column"])["meaning"]
    assert set(dictionary["trials"].index) == set(parquet.columns)
    assert dictionary.notna().all()
    field = pq.read_schema(out / "trials.parquet").field("fisher_trace")
    assert b"mean over examples, sum over parameters" in field.metadata[b"meaning"]
    curves = pd.read_parquet(out / "curves.parquet")
    assert list(curves.columns) == list(dictionary["curves"].index)


def test_neither_ray_nor_torch_nor_transformers_is_imported(tmp_path: Path) -> None:
    write_study(tmp_path / "demo", {"kl": 3}, seeds=1)
    code = (
        "import sys\n"
        "for name in ('ray', 'torch', 'transformers', 'datasets'): sys.modules[name] = None\n"
        "from analysis.configurations import tables\nfrom analysis.report import compute\n"
        "from study.store.results import load\n"
        f"print(compute(tables(load({str(tmp_path / 'demo')!r}))).sentences()[0][:2])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "H1"


@pytest.mark.usefixtures("quick")
def test_a_copied_folder_gives_the_same_numbers(tmp_path: Path) -> None:
    import shutil

    folder = write_study(tmp_path / "demo", {"kl": 3, "fpen": 3}, seeds=2)
    write_report(str(folder))
    shutil.copytree(folder, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("report"))
    write_report(str(tmp_path / "elsewhere"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "numbers.json").read_bytes() == (folder / "report" / "numbers.json").read_bytes()
    assert not (tmp_path / "elsewhere" / "report").exists()


@pytest.mark.usefixtures("quick")
def test_a_uri_is_read_and_written(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 3}, seeds=1)
    report = write_report(folder.as_uri(), (tmp_path / "out").as_uri())
    assert report.page == f"{(tmp_path / 'out').as_uri()}/report.html"
    assert (tmp_path / "out" / "figures" / "figure-1.svg").is_file()
    assert write_report(folder.as_uri()).page == f"{folder.as_uri()}/report/report.html"
    assert (folder / "report" / "numbers.json").is_file()


@pytest.mark.usefixtures("quick")
def test_a_running_study_says_so(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 3}, seeds=1, edit=lambda records: records[:2])
    now = time.time()
    lock = {"host": socket.gethostname(), "pid": os.getpid(), "started": now, "heartbeat": now, "token": "t"}
    (folder / "driver.lock").write_text(json.dumps(lock))
    report = write_report(str(folder))
    assert report.account == "3 trials planned: 2 complete, 1 unfinished; the study is still running."
    assert "The study is still running" in (folder / "report" / "report.html").read_text()


@pytest.mark.usefixtures("quick")
def test_a_second_report_replaces_its_own_figures_and_leaves_other_files_alone(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 3}, seeds=1)
    out = tmp_path / "paper"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "mine.svg").write_text("mine")
    (out / "notes.txt").write_text("mine")
    write_report(str(folder), str(out))
    assert (out / "figures" / "curves.svg").is_file()
    plain = write_study(tmp_path / "plain", {"kl": 3}, seeds=1, curves=False)
    write_report(str(plain), str(out))
    assert not (out / "figures" / "curves.svg").exists()
    assert (out / "figures" / "figure-1.svg").is_file()
    assert (out / "figures" / "mine.svg").read_text() == "mine"
    assert (out / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no study: it has no study\.json"):
        write_report(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_another_schema_version_of_the_study_is_refused(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 2}, seeds=1)
    text = (folder / "study.json").read_text().replace('"schema_version": 1', '"schema_version": 0', 1)
    (folder / "study.json").write_text(text)
    with pytest.raises(InputError, match="schema_version"):
        write_report(str(folder))
    assert not (folder / "report").exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"schema_version": 1', '"schema_version": 0'), "schema_version"),
        (('"train_nll": 0.1', '"train_nll": NaN, "x": 0.1'), ""),
        (('"measurements"', '"measured"'), ""),
    ],
)
def test_records_of_another_version_or_with_values_that_are_not_finite_are_unreadable(
    tmp_path: Path, change: tuple[str, str], reason: str
) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 4}, seeds=1)
    path = folder / "trials" / "t00001.json"
    path.write_text(path.read_text().replace(*change, 1))
    report = write_report(str(folder))
    assert report.account == "4 trials planned: 3 complete, 1 unreadable."
    text = (folder / "report" / "report.md").read_text()
    line = next(line for line in text.splitlines() if "t00001.json" in line)
    assert reason in line


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_written(tmp_path: Path, where: str) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 2}, seeds=1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write the report to .*; choose another folder with --out") as caught:
        write_report(str(folder), str(tmp_path / where))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_output_uri_that_is_not_understood(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 2}, seeds=1)
    with pytest.raises(InputError, match="cannot write the report to nowhere://x"):
        write_report(str(folder), "nowhere://x")


@pytest.mark.usefixtures("quick")
def test_nothing_is_left_half_written_when_drawing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_study(tmp_path / "demo", {"kl": 2}, seeds=1)

    def fail(self: Drawing) -> None:
        raise RuntimeError("drawing failed: out of memory")

    monkeypatch.setattr(Drawing, "wait", fail)
    with pytest.raises(RuntimeError, match="drawing failed: out of memory"):
        write_report(str(folder))
    assert list((folder / "report").iterdir()) == []


def test_what_to_change_when_all_collapsed_is_the_last_sentence(tmp_path: Path) -> None:
    def collapse(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for record in records:
            record["measurements"]["train_accuracy"] = 0.36
        return records

    written = write_report(str(write_study(tmp_path / "demo", {"kl": 2}, seeds=2, edit=collapse)))
    assert written.answer == written.sentences[0]
    assert written.sentences[-1].startswith("Every model collapsed: ")
    assert "Train longer (stages.0.epochs, data.train_examples)" in written.sentences[-1]
