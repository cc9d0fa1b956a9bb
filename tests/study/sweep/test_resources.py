from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from study.sweep.resources import ENVIRONMENT, Resources, duration_text, parse_duration, prepare_ray
from trainables.errors import InputError

CHECK = """
import os
from study.sweep.resources import prepare_ray
prepare_ray({address!r})
print(os.environ.get("RAY_AUTH_MODE"), len(os.environ.get("RAY_AUTH_TOKEN", "")))
"""


def auth(address: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    code = CHECK.format(address=address)
    return subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_local_ray_has_a_token_of_its_own() -> None:
    assert auth("local") == "token 64"


def test_a_cluster_and_a_choice_of_the_user_are_left_alone() -> None:
    assert auth("10.0.0.1:6379") == "None 0"
    assert auth("local", RAY_AUTH_MODE="disabled") == "disabled 0"


def test_ray_is_silenced_unless_the_user_wants_it_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "1")
    prepare_ray("local")
    assert os.environ["RAY_AIR_NEW_OUTPUT"] == "1"
    assert os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] == "0"


PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not PAGES.exists() or "[never]" in PAGES.read_text(), reason="this kernel gives no huge pages")
def test_a_process_that_a_sweep_starts_has_few_page_faults() -> None:
    code = (
        "from study.sweep.resources import prepare_ray\nprepare_ray('local')\nimport resource, torch\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\ntorch.ones(50_000_000)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # 200 MB are 48,828 pages of 4 kB


@pytest.mark.parametrize("text", ["", "0s", "2 hours", "30", "1.5h", "30m1h", "-5m"])
def test_a_duration_has_units(text: str) -> None:
    with pytest.raises(InputError, match=rf"a duration is written as 90s, 30m, 2h or 1h30m, got '{text}'"):
        parse_duration(text)


def test_durations_are_seconds() -> None:
    spans = [parse_duration(text) for text in ("90s", "30m", "2h", "1h30m", "1d2h3m4s", None)]
    assert spans == [90.0, 1800.0, 7200.0, 5400.0, 93784.0, None]


@pytest.mark.parametrize(
    ("resources", "options"),
    [
        (Resources(), ""),
        (Resources(gpus_per_trial=1.0, nodes=3), "--gpus-per-trial 1"),
        (Resources(concurrency=1, save_predictions=True), "--concurrency 1 --save-predictions"),
        (
            Resources("head:6379", 2, 4.0, 0.5, 0, 7200.0, 93_784.0, "all"),
            "--address head:6379 --concurrency 2 --cpus-per-trial 4 --gpus-per-trial 0.5 --max-failures 0 "
            "--trial-time-limit 2h --time-budget 1d2h3m4s --save-models all",
        ),
    ],
)
def test_options_say_what_is_not_the_default(resources: Resources, options: str) -> None:
    assert " ".join(resources.options()) == options


def test_durations_come_back() -> None:
    for seconds in (1.0, 59.0, 60.0, 3_661.0, 86_400.0, 200_000.0):
        assert parse_duration(duration_text(seconds)) == seconds
