"""Tiny studies for the faults, and the one to which nothing happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import ARMS, Study


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_data: Path) -> Iterator[Study]:
    """Every trial of these tests, without a fault."""
    study = Study(tmp_path_factory.mktemp("whole"), tiny_model, tiny_data, ARMS)
    done = study.type("run", *study.options)
    assert (done.code, done.err) == (0, "")
    yield study
    study.end()


@pytest.fixture
def study(tmp_path: Path, tiny_model: Path, tiny_data: Path) -> Iterator[Study]:
    """Three trials, to which something will happen."""
    study = Study(tmp_path, tiny_model, tiny_data)
    yield study
    study.end()
