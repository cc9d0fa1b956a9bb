from __future__ import annotations

from typing import Any

import pytest

from trainables.schema import Frozen, identity, later


class Before(Frozen):
    epochs: int = 3


class After(Frozen):
    epochs: int = 3
    clip: float | None = later(None, description="added later")


class Whole(Frozen):
    one: Before | After
    named: dict[str, Before | After]
    pair: tuple[Before | After, ...] = ()
    absent: Before | None = None


def whole(part: type[Frozen]) -> Whole:
    return Whole(one=part(), pair=(part(), part()), named={"a": part()})


def test_a_later_field_at_its_default_changes_no_identity_wherever_it_is() -> None:
    assert whole(After).model_dump() != whole(Before).model_dump()
    assert identity(whole(After)) == identity(whole(Before)) == whole(Before).model_dump(mode="json")


@pytest.mark.parametrize("changed", [{"one": After(clip=0.0)}, {"pair": (After(), After(clip=1.0))},
                                     {"named": {"a": After(clip=2.0)}}])  # fmt: skip
def test_a_later_field_with_another_value_does(changed: dict[str, Any]) -> None:
    assert identity(whole(After).model_copy(update=changed)) != identity(whole(After))
