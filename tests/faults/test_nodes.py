"""What happens to a cluster: its head dies, a node goes away, a node cannot reach the storage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from study.store.records import TrialRecord
from tests.faults.harness import PATIENCE, ROOT, Cluster, Study, ended, mended, same_as, until

pytestmark = pytest.mark.faults


def test_the_head_dies(study: Study, whole: Study) -> None:
    driver = study.start("run", *study.options, faults={"l2=0.001": "held once"})
    until(driver, (study.notes / "l2=0.001").exists)
    (head,) = study.processes("gcs_server")
    os.kill(head, signal.SIGKILL)
    stopped = ended(driver)
    assert stopped.code == 1
    kept = study.records()
    assert len(kept) == 2
    mended(study, whole, kept)


def test_a_node_goes_away(study: Study, whole: Study) -> None:
    fault = "held on the second node"
    cluster = Cluster(study, faults=dict.fromkeys(("baseline", "kl", "l2=0.001"), fault))
    driver = study.start("run", *study.options, "--address", cluster.address)
    until(driver, lambda: any(file.suffix == "" for file in study.notes.iterdir()))
    cluster.remove()
    done = ended(driver)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)
    assert {file.read_text() for file in study.notes.glob("*.node")} == {cluster.nodes[0]}
    cluster.end()


def test_a_node_without_the_storage(study: Study, whole: Study) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0:
        pytest.skip("a second mount namespace needs root")
    notes = study.folder.parent / f"{study.folder.name}-notes"
    study.notes.rename(notes)
    study.notes = notes
    cluster = Cluster(study, two=False)
    hidden = f"mount -t tmpfs -o ro tmpfs {study.folder} && exec "
    node = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={cluster.address}", "--num-cpus=1",
            "--block", "--disable-usage-stats"]  # fmt: skip
    second = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", hidden + " ".join(node)],
        cwd=ROOT,
        env={**study.environment(), "FAULTS_NODE": "second"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not study.processes("--node_ip_address") or len(study.processes("raylet/raylet")) < 2:
        assert second.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)
    done = study.type("run", *study.options, "--address", cluster.address)
    assert (done.code, done.err) == (0, "")
    same_as(study, whole)
    assert len({file.read_text() for file in study.notes.glob("*.node")}) == 2
    found = [TrialRecord.model_validate_json(content) for content, _ in study.records().values()]
    notes_kept = [record.provenance["checkpoint"] for record in found if "checkpoint" in record.provenance]
    assert notes_kept
    assert all(note.startswith("not kept: ") and "does not see" in note for note in notes_kept)
    study.end()
    second.wait()
    cluster.end()
