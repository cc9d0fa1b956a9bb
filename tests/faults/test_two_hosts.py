"""Two hosts, a node of Ray on each, and a cable between them that is pulled for a while."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.faults.harness import PATIENCE, ROOT, Study, ended, same_as, until

pytestmark = pytest.mark.faults

CUT_SECONDS = 100.0
FAULTS = {"kl": "waits", "l2=0.001": "waits"}
NODE = "from tests.faults.driver import be_patient; be_patient(); from ray.scripts.scripts import main; main()"
COUNT = "import ray; ray.init(address={address!r}, logging_level='ERROR'); print(len(ray.nodes()))"
PROBE = ["unshare", "--net", "ip", "link", "add", "one", "type", "veth", "peer", "name", "two"]


class Hosts:
    """Two network namespaces with a veth pair between them; they share this machine's disk."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.names = [f"{end}{secrets.token_hex(3)}" for end in "ab"]
        self.addresses = ["10.77.0.1", "10.77.0.2"]
        self._nodes: list[subprocess.Popen[bytes]] = []
        self.head = f"{self.addresses[0]}:6379"
        for name in self.names:
            _ip("netns", "add", name)
        _ip("link", "add", self.names[0], "netns", self.names[0], "type", "veth",
            "peer", "name", self.names[1], "netns", self.names[1])  # fmt: skip
        for name, address in zip(self.names, self.addresses, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", name)
            _ip("-n", name, "link", "set", "lo", "up")
            self.plug(name)

    def within(self, host: int) -> list[str]:
        """What to put before a command that runs on a host."""
        return ["ip", "netns", "exec", self.names[host]]

    def plug(self, name: str) -> None:
        """Connect a host; by a default route Ray finds out its own address."""
        _ip("-n", name, "link", "set", name, "up")
        _ip("-n", name, "route", "add", "default", "dev", name)

    def start_nodes(self) -> None:
        """A node with one CPU on each host."""
        for host, role in enumerate(
            (["--head", "--port=6379", "--include-dashboard=false"], [f"--address={self.head}"])
        ):
            node = subprocess.Popen(
                [*self.within(host), sys.executable, "-c", NODE, "start", *role, "--num-cpus=1", "--block",
                 f"--node-ip-address={self.addresses[host]}", "--disable-usage-stats"],
                cwd=ROOT,
                env=self.study.environment(FAULTS),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            self._nodes.append(node)
            self._await(host + 1)

    def _await(self, nodes: int) -> None:
        deadline = time.monotonic() + PATIENCE
        asked = [*self.within(0), sys.executable, "-c", COUNT.format(address=self.head)]
        while True:
            answer = subprocess.run(asked, env=self.study.environment(), cwd=ROOT, capture_output=True, text=True)
            if answer.stdout.strip() == str(nodes):
                return
            assert time.monotonic() < deadline, answer.stderr

    def end(self) -> None:
        """Remove the namespaces, and the cable with them."""
        self.study.end()
        for node in self._nodes:
            node.wait()
        for name in self.names:
            _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def hosts(study: Study) -> Iterator[Hosts]:
    if os.geteuid() != 0 or subprocess.run(PROBE, capture_output=True).returncode != 0:
        pytest.skip("two hosts need root, iproute2 and veth devices")
    hosts = Hosts(study)
    yield hosts
    hosts.end()


def test_a_cable_that_is_pulled(hosts: Hosts, study: Study, whole: Study) -> None:
    hosts.start_nodes()
    driver = study.start("run", *study.options, "--address", hosts.head, faults=FAULTS, within=hosts.within(0))
    held = [study.notes / name for name in FAULTS]
    until(driver, lambda: all(file.exists() for file in held) and len(study.records()) == 1)
    kept = study.records()
    assert len({study.note(name)["node"] for name in FAULTS}) == 2
    _ip("-n", hosts.names[1], "link", "set", hosts.names[1], "down")
    time.sleep(CUT_SECONDS)  # the time is the fault
    hosts.plug(hosts.names[1])
    (study.notes / "go").touch()
    done = ended(driver)
    assert done.code == 0
    same_as(study, whole)
    after = study.records()
    assert {trial: after[trial] for trial in kept} == kept, "a finished record was written again"
