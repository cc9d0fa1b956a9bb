"""Blocks in which no cycles are looked for."""

from __future__ import annotations

import gc

import pytest

from study.store.uncollected import uncollected


def test_garbage_is_collected_again_after_the_outermost_block_however_it_ends() -> None:
    @uncollected()
    def fails() -> None:
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fails()
    assert gc.isenabled()
