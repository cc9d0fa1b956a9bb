"""What happens to a trial: it raises, runs out of memory, says nothing, hangs, loses its process, diverges."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from study.store.records import TrialRecord
from tests.faults.harness import ARMS, DAMAGES, Study, ended, mended, same_as, until

pytestmark = pytest.mark.faults


def records(study: Study) -> dict[str, TrialRecord]:
    """Label to record."""
    found = (TrialRecord.model_validate_json(content) for content, _ in study.records().values())
    return {record.label: record for record in found}


def test_every_way_to_fail_and_none_hurts_another(study: Study, whole: Study) -> None:
    study.arms = ARMS
    faults = {f"l2={weight:g}": fault for fault, weight in DAMAGES.items()}
    done = study.type("run", *study.options, "--trial-time-limit", "2m", faults=faults)
    assert (done.code, done.err) == (3, "")
    account, advice = [line for line in done.out.splitlines() if "8 trials planned" in line or "again" in line]
    assert account == "8 trials planned: 3 complete, 5 failed"
    assert advice == (
        "the trials show the reasons; try them again with: "
        f"fisher-study resume pawsx --storage {study.storage} --retry failed --concurrency 1 --trial-time-limit 2m"
    )
    reasons = {record.label: record.reason for record in records(study).values() if record.state == "failed"}
    assert reasons == {
        "l2=1e-06": "ValueError: first line",
        "l2=1e-05": "MemoryError: no message",
        "l2=0.0001": "ActorDiedError: The actor died unexpectedly before finishing this task.",
        "l2=1e-07": "it ended without a result",
        "l2=0.01": "time limit: it ran longer than 2 min",
    }
    raised = records(study)["l2=1e-06"].error
    assert raised is not None
    assert "second line" in raised.log_tail
    hung = records(study)["l2=0.01"].error
    assert hung is not None
    assert "still running after 114 s, here:" in hung.log_tail
    assert "time.sleep(0.1)" in hung.log_tail  # the line at which it stood
    again = study.type("resume", "pawsx")
    assert again.code == 3  # what failed is not tried again unasked
    kept = {trial: kept for trial, kept in study.records().items() if b'"state": "complete"' in kept[0]}
    assert len(kept) == 3
    mended(study, whole, kept, "--retry", "failed")


def test_a_killed_worker_is_tried_again_and_finds_the_same(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults={"l2=0.001": "held once"})
    until(driver, (study.notes / "l2=0.001").exists)
    os.kill(int(study.note("l2=0.001")["pid"]), signal.SIGKILL)
    done = ended(driver)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)
    assert "3 trials planned: 3 complete" in done.out.splitlines()


def test_a_killed_worker_without_a_further_try(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, "--max-failures", "0", faults={"baseline": "held once"})
    until(driver, (study.notes / "baseline").exists)
    os.kill(int(study.note("baseline")["pid"]), signal.SIGKILL)
    done = ended(driver)
    assert (done.code, done.err) == (3, "")
    assert records(study)["baseline"].state == "failed"
    kept = {trial: kept for trial, kept in study.records().items() if b'"state": "complete"' in kept[0]}
    assert len(kept) == 2
    mended(study, whole, kept, "--retry", "failed")


def test_rays_memory_monitor_ends_the_sweep_in_order(study: Study, whole: Study) -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    memory = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    if memory["MemAvailable"] < 12 << 30:
        pytest.skip("needs 12 GiB of free memory")
    used = memory["MemTotal"] - memory["MemAvailable"]
    monitor = {
        "RAY_memory_monitor_refresh_ms": "250",
        "RAY_memory_usage_threshold": f"{(used + (5 << 30)) / memory['MemTotal']:.3f}",
    }
    driver = study.start("run", *study.options, faults={"kl": "held once"}, changes=monitor)
    until(driver, (study.notes / "kl").exists)
    kept = study.records()
    assert len(kept) == 1
    # What fills the node need not be the study.
    filler = subprocess.Popen([sys.executable, "-c", "import time; x = b'x' * (7 << 30); time.sleep(600)"])
    stopped = ended(driver)
    filler.kill()
    filler.wait()
    assert (stopped.code, stopped.err) == (1, "")
    assert stopped.last[0].startswith("interrupted (Ray Tune gave up: ")
    assert "killed due to the node running low on memory" in stopped.last[0]
    assert stopped.last[0].endswith(". 3 trials planned: 1 complete, 2 unfinished")
    mended(study, whole, kept)


def test_a_loss_that_is_nan(study: Study) -> None:
    study.arms = "baseline"
    study.settings["stages.0.optimizer.learning_rate"] = 1e30
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (3, "")
    assert records(study)["baseline"].reason == "loss is nan at stage 0.en, step 1"
    assert "1 trial planned: 0 complete, 1 diverged" in done.out


def test_a_loss_that_is_infinite(study: Study) -> None:
    study.arms = "baseline,fpen=1e39"
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (3, "")
    found = records(study)
    assert found["fpen=1e+39"].state == "diverged"
    assert found["fpen=1e+39"].reason == "loss is inf at stage 0.en, step 0"
    assert found["fpen=1e+39"].measurements == {}
    assert "2 trials planned: 1 complete, 1 diverged" in done.out
    kept = study.records()
    again = study.type("resume", "pawsx", "--retry", "diverged")
    assert again.code == 3
    after = records(study)
    assert after["fpen=1e+39"].reason == found["fpen=1e+39"].reason
    assert after["fpen=1e+39"].provenance["run"] == "0002"
    assert study.records()[found["baseline"].trial_id] == kept[found["baseline"].trial_id]
