"""A machine without a network: only the loopback device is up."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from tests.faults.harness import Study, same_as

pytestmark = pytest.mark.faults

ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0 or subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0:
        pytest.skip("a network namespace needs root and iproute2")


def test_folders_need_no_network(study: Study, whole: Study) -> None:
    done = study.type("run", *study.options, within=ALONE, changes={"HF_HUB_OFFLINE": "0"})
    assert done.code == 0
    # Ray's own word, and its only one.
    assert [line for line in done.err.splitlines() if "Failed to determine local IP" not in line] == []
    same_as(study, whole)


def test_a_model_of_the_hub_is_missed_in_one_line(study: Study) -> None:
    study.settings["model.name"] = "bert-base-multilingual-cased"
    started = time.monotonic()
    home = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(study.folder / "hub")}
    refused = study.type("run", *study.options, within=ALONE, changes=home)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert refused.err.startswith("fisher-study: ")
    assert "bert-base-multilingual-cased" in refused.err
    assert time.monotonic() - started < 180
    assert not study.path.exists()
