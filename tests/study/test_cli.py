"""The commands as typed: what is read from options, and one short message for every kind of wrong input."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import analysis.report
from study.__main__ import main
from study.config import StudyConfig
from study.plan.planning import draft
from study.store.storage import Store
from study.sweep import launch
from study.sweep.resources import Resources

if TYPE_CHECKING:
    from tests.study.conftest import MakeStudy


@pytest.fixture
def type_(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Types a command; gives exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fisher-study", *words])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reached ``launch``, instead of running."""
    calls: list[Any] = []

    def call(*arguments: Any, **options: Any) -> int:
        calls.append((arguments, options))
        return 3

    for name in ("run", "resume"):
        monkeypatch.setattr(launch, name, call)
    return calls


def test_run_passes_on_what_was_typed(type_: Any, launched: list[Any]) -> None:
    code, _, _ = type_(
        "run", "xnli", "--name", "mine", "--arms", "baseline,kl=0.6", "--seeds", "1", "--languages", "de,zh",
        "--set", "data.train_examples=4000", "--set", "stages.0.epochs=1", "--storage", "elsewhere",
        "--address", "auto", "--concurrency", "3", "--cpus-per-trial", "2", "--gpus-per-trial", "0.5",
        "--max-failures", "0", "--trial-time-limit", "2h", "--time-budget", "1h30m",
        "--save-models", "all",
    )  # fmt: skip
    assert code == 3
    ((study, storage, resources, _), _) = launched[0]
    assert isinstance(study, StudyConfig)
    assert isinstance(storage, Store)
    assert study.name == "mine"
    assert [row.label for row in draft(study)] == ["baseline", "kl=0.6"]
    assert study.base.data.languages == ("de", "zh")
    assert study.base.data.train_examples == 4000
    assert study.base.stages[0].epochs == 1
    assert storage.location == "elsewhere"
    assert resources == Resources("auto", 3, 2.0, 0.5, 0, 7200.0, 5400.0, "all")


def test_resume_passes_on_what_was_typed(type_: Any, launched: list[Any]) -> None:
    assert type_("resume", "mine", "--retry", "failed,diverged", "--accept-changes")[0] == 3
    ((name, storage, resources, _), options) = launched[0]
    assert (name, storage.location, resources) == ("mine", "./studies", Resources())
    assert options == {"retry": {"failed", "diverged"}, "accept_changes": True, "arms": None, "seeds": None}
    launched.clear()
    type_("resume", "mine", "--arms", "fpen,kl=2", "--seeds", "3")
    assert launched[0][1] == {"retry": set(), "accept_changes": False, "arms": "fpen,kl=2", "seeds": 3}


@pytest.mark.parametrize(
    "resources",
    [
        Resources(),
        Resources("192.168.1.0:6379", 3, 2.0, 0.5, 0, 7200.0, 93_784.0, "all"),
        Resources(cpus_per_trial=0.25, gpus_per_trial=1.0, save_models="stage1"),
        Resources(gpus_per_trial=0.0, save_predictions=True),
    ],
)
def test_resources_written_as_options_come_back(type_: Any, launched: list[Any], resources: Resources) -> None:
    type_("resume", "mine", *resources.options())
    assert launched[0][0][2] == resources


def test_list_and_show(type_: Any, make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    folder.child("trials").write(f"{trials[5].trial_id}.json", b"{")
    storage = folder.path.rsplit("/", 1)[0]
    code, out, _ = type_("list", "--storage", storage)
    assert code == 0
    assert "small" in out
    code, out, _ = type_("show", "small", "--storage", storage)
    assert code == 0
    assert trials[0].trial_id in out
    assert "6 trials planned: 1 complete, 4 unfinished, 1 unreadable" in out
    assert f"unreadable: trials/{trials[5].trial_id}.json: " in out
    code, out, _ = type_("show", "small", trials[0].trial_id, "--storage", storage)
    assert code == 0
    assert "fisher_trace" in out


def test_show_json_and_csv_are_the_whole_table(type_: Any, make_study: MakeStudy) -> None:
    folder, trials = make_study(records=1)
    storage = folder.path.rsplit("/", 1)[0]
    rows = json.loads(type_("show", "small", "--json", "--storage", storage)[1])
    table = list(csv.DictReader(io.StringIO(type_("show", "small", "--csv", "--storage", storage)[1])))
    assert [row["trial_id"] for row in rows] == [row["trial_id"] for row in table] == [t.trial_id for t in trials]
    assert list(rows[0]) == list(table[0])
    assert float(table[0]["fisher_trace"]) == rows[0]["fisher_trace"] == 0.1 + 0.2
    assert table[1]["fisher_trace"] == ""


def test_show_chooses_rows_and_columns(type_: Any, make_study: MakeStudy) -> None:
    folder, _ = make_study(records=4)
    storage = ["--storage", folder.path.rsplit("/", 1)[0]]
    chosen = ["--where", "arm=kl", "--where", "seed<1", "--sort", "-label", "--columns", "label,fisher_trace"]
    code, out, _ = type_("show", "small", *chosen, *storage)
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["small"], ["label", "fisher_trace"], ["kl=0.5"], ["kl=0", "0.3"],
        ["6", "trials", "planned:", "4", "complete,", "2", "unfinished;", "2", "shown"],
    ]  # fmt: skip
    rows = json.loads(type_("show", "small", *chosen, "--json", *storage)[1])
    assert rows == [{"label": "kl=0.5", "fisher_trace": None}, {"label": "kl=0", "fisher_trace": 0.1 + 0.2}]
    out = type_("show", "small", *chosen, "--csv", *storage)[1]
    assert out == f"label,fisher_trace\nkl=0.5,\nkl=0,{0.1 + 0.2!r}\n"
    out = type_("show", "small", "--sort", "label", "--descending", *storage)[1]
    assert [line.split()[1] for line in out.splitlines()[2:4]] == ["kl=0.5", "kl=0.5"]


def test_export_writes_an_optuna_study(type_: Any, make_study: MakeStudy, tmp_path: Path) -> None:
    folder, _ = make_study(records=1)
    storage = ["--storage", folder.path.rsplit("/", 1)[0]]
    target = f"sqlite:///{tmp_path}/optuna.db"
    code, out, _ = type_("export", "small", "--optuna", target, *storage)
    assert code == 0
    assert out == f"written; look at it with: optuna-dashboard {target}\n"
    assert (tmp_path / "optuna.db").exists()
    refused(type_("export", "small", "--optuna", target, *storage), "holds a study small already")


def test_the_command_that_export_prints_can_be_pasted(type_: Any, make_study: MakeStudy, tmp_path: Path) -> None:
    folder, _ = make_study(records=1)
    file = tmp_path / "why not; #1?.db"
    _, out, _ = type_("export", "small", "--optuna", str(file), "--storage", folder.path.rsplit("/", 1)[0])
    typed = shlex.split(out.removeprefix("written; look at it with: "))
    assert typed == ["optuna-dashboard", f"sqlite:///{tmp_path}/why not%3B %231%3F.db"]
    assert file.is_file()


@pytest.mark.parametrize("words", [["run", "quick"], ["resume", "mine"]])
def test_quiet_reaches_the_console(type_: Any, launched: list[Any], words: list[str]) -> None:
    type_(*words)
    type_(*words, "--quiet")
    assert [arguments[3].quiet for arguments, _ in launched] == [False, True]


def test_report_takes_a_name_or_a_folder(type_: Any, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = make_study(records=1)
    asked: list[tuple[str, str | None]] = []

    def write_report(path: str, out: str | None) -> Any:
        asked.append((path, out))
        return SimpleNamespace(sentences=["H1 undecided."], page="the/page.html")

    monkeypatch.setattr(analysis.report, "write_report", write_report)
    storage = folder.path.rsplit("/", 1)[0]
    assert type_("report", "small", "--storage", storage)[1] == "H1 undecided.\nreport: the/page.html\n"
    monkeypatch.chdir(storage)
    type_("report", "small", "--out", "there")
    type_("report", f"file://{folder.path}")
    assert asked == [(folder.path, None), ("small", "there"), (f"file://{folder.path}", None)]


@pytest.fixture
def real(tmp_path: Path, tiny_model: Path, tiny_data: Path) -> list[str]:
    """Options of a run that would work, in a storage that does not exist."""
    return [
        "run", "pawsx", "--arms", "baseline", "--seeds", "1", "--languages", "de", "--storage", str(tmp_path / "st"),
        "--set", f"model.name={tiny_model}", "--set", f"data.source={tiny_data}", "--set", "data.train_examples=16",
        "--set", "data.stage2_examples=8",
    ]  # fmt: skip


def refused(answer: tuple[int, str, str], *parts: str) -> None:
    """Exit code 2 and one short message with these parts."""
    code, _, err = answer
    assert code == 2
    assert err.startswith("fisher-study: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err


def test_a_dry_run_checks_the_input_and_writes_nothing(type_: Any, real: list[str], tmp_path: Path) -> None:
    code, out, _ = type_(*real, "--dry-run")
    assert code == 0
    assert "pawsx: 1 trials" in out
    assert "on 1 trial at a time (1 CPU thread each), estimated from one measured step on this machine" in out
    assert "nothing was run or written" in out
    assert not (tmp_path / "st").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--set", "model.name=./nowhere"], ["model ./nowhere", "no such folder"]),
        (["--set", "data.source=./nowhere"], ["data.source=./nowhere", "no such folder"]),
        (["--set", "model.name=nobody/no-such-encoder"], ["nobody/no-such-encoder", "hf download", "folder"]),
        (["--set", "stages.0.epoch=3"], ["'stages.0.epoch'", "did you mean stages.0.epochs?"]),
        (["--set", "stages.0.epochs=three"], ["stages.0.epochs", "'three'"]),
        (["--set", "stages.0.epochs"], ["--set takes PATH=VALUE"]),
        (["--set", "stages.0.batch_size=6", "--set", "stages.0.accumulation=4"], ["accumulation must divide"]),
        (["--arms", "nope"], ["no arm 'nope'", "baseline, kl, fpen"]),
        (["--arms", "l2", "--set", "stages.0.penalties.l2.weight=1"], ["searched by arm l2", "--arms l2=VALUE"]),
        (["--name", "../../x"], ["a name takes letters", "'../../x'"]),
        (["--languages", "de,xx"], ["dev-xx.tsv", "found:"]),
        (["--languages", "de", "--set", "data.languages=es"], ["data.languages is set twice"]),
        (["--set", "data.train_examples=100000"], ["data.train_examples=100000", "rows"]),
    ],
)
def test_wrong_input_of_a_run(type_: Any, real: list[str], tmp_path: Path, words: list[str], parts: list[str]) -> None:
    replaced = {word.partition("=")[0] for word in words if "=" in word}
    options = list(real)
    for path in ("model.name", "data.source", "data.train_examples"):
        if path in replaced:
            position = next(i for i, word in enumerate(options) if word.startswith(path))
            del options[position - 1 : position + 1]
    refused(type_(*options, *words), *parts)
    assert not (tmp_path / "st").exists()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("one\ttwo\n", ["train-en.tsv, line 2", "columns"]),
        ("one\ttwo\tmaybe\n", ["train-en.tsv, line 2", "'maybe'", "0, 1"]),
    ],
)
def test_wrong_rows_are_named_by_file_and_line(
    type_: Any, real: list[str], tmp_path: Path, tiny_data: Path, line: str, parts: list[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    first = (data / "train-en.tsv").read_text().splitlines()[0]
    (data / "train-en.tsv").write_text(f"{first}\n{line}")
    options = [f"data.source={data}" if word.startswith("data.source=") else word for word in real]
    refused(type_(*options), *parts)
    assert not (tmp_path / "st").exists()


def test_a_folder_that_is_no_encoder(type_: Any, real: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    options = [f"model.name={tmp_path}/folder" if word.startswith("model.name=") else word for word in real]
    refused(type_(*options), "config.json", "not a Hugging Face model folder")


def test_a_storage_that_cannot_be_written(type_: Any, real: list[str], tmp_path: Path) -> None:
    (tmp_path / "st").write_text("a file")
    refused(type_(*real), "cannot write to the storage", "choose another with --storage")
    assert (tmp_path / "st").read_text() == "a file"


def test_a_name_that_is_taken(type_: Any, make_study: MakeStudy, real: list[str], tmp_path: Path) -> None:
    folder, _ = make_study()
    options = [folder.path.rsplit("/", 1)[0] if word == str(tmp_path / "st") else word for word in real]
    refused(type_(*options, "--name", "small"), "exists with another configuration", "seeds: 2 -> 1", "--name")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "nope"], ["unknown study 'nope'", "quick, xnli, pawsx"]),
        (["run", "my_study.py:nope"], ["there is no file my_study.py"]),
        (["resume", "nope"], ["holds no study 'nope'", "it holds small"]),
        (["show", "nope"], ["holds no study 'nope'", "it holds small"]),
        (["show", "../../x"], ["../../x is no study: it has no study.json"]),
        (["resume", "../../x"], ["holds no study '../../x'"]),
        (["report", "nope"], ["holds no study 'nope'"]),
        (["report", "no/folder"], ["no/folder is no study"]),
        (["show", "small", "nope"], ["has no trial 'nope'"]),
        (["show", "small", "--where", "amr=kl"], ["no column 'amr'; did you mean arm?"]),
        (["show", "small", "kl=0", "--json"], ["leave them or 'kl=0' out"]),
        (["export", "nope", "--optuna", "x.db"], ["holds no study 'nope'"]),
        (["export", "small", "--optuna", "no/folder/x.db"], ["there is no folder no/folder"]),
        (["export", "small"], ["export takes one of --optuna sqlite:///FILE and --ro-crate FILE.zip"]),
        (["export", "small", "--ro-crate", "x.db"], ["--ro-crate takes FILE.zip, got x.db"]),
        (["compare"], ["compare takes the names or folders of studies"]),
        (["compare", "small", "nope"], ["holds no study 'nope'", "it holds small"]),
        (["compare", "small", "small"], ["planned the same trials: name a study once"]),
        (["verify", "nope"], ["holds no study 'nope'"]),
        (["verify", "small"], ["has no finished trial to run again"]),
        (["verify", "small", "--set", "seed=1"], ["--set takes model.name"]),
        (["resume", "small", "--retry", "all"], ["--retry takes failed, diverged"]),
        (["list", "--storage", "nosuch://x"], ["cannot use the storage nosuch://x"]),
    ],
)
def test_wrong_names(type_: Any, make_study: MakeStudy, words: list[str], parts: list[str]) -> None:
    folder, _ = make_study()
    storage = [] if "--storage" in words else ["--storage", folder.path.rsplit("/", 1)[0]]
    refused(type_(*words, *storage), *parts)


def test_a_damaged_study_is_one_line(type_: Any, make_study: MakeStudy) -> None:
    folder, _ = make_study()
    folder.write("study.json", b'{"schema_version": 1')
    refused(type_("show", "small", "--storage", folder.path.rsplit("/", 1)[0]), "study.json is damaged")


@pytest.mark.parametrize("words", [["run", "quick", "--seeds", "0"], ["run"], ["fly"], ["run", "quick", "--colour"]])
def test_wrong_options_are_2(type_: Any, words: list[str]) -> None:
    code, _, err = type_(*words)
    assert code == 2
    assert "Traceback" not in err
