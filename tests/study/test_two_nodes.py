"""A cluster of two nodes finds what one node finds, and both of them work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import THREE, Cluster, Study, same_as

ARMS = f"{THREE},l2=0.01"


@pytest.fixture
def make_study(tmp_path: Path, tiny_model: Path, tiny_data: Path) -> Iterator[Callable[[str], Study]]:
    """Makes studies of four tiny trials, and ends whatever they leave running."""
    studies: list[Study] = []

    def make(name: str) -> Study:
        studies.append(Study(tmp_path / name, tiny_model, tiny_data, ARMS))
        return studies[-1]

    yield make
    for study in studies:
        study.end()


@pytest.mark.slow
def test_two_nodes_share_the_trials_and_find_the_same(make_study: Callable[[str], Study]) -> None:
    one, two = make_study("one"), make_study("two")
    assert one.type("run", *one.options).code == 0
    cluster = Cluster(two)
    done = two.type("run", *two.options, "--address", cluster.address)
    cluster.end()
    assert (done.code, done.err) == (0, "")
    same_as(two, one)
    where = [file.read_text() for file in two.notes.glob("*.node")]
    assert len(where) == 4
    assert set(where) == set(cluster.nodes)
