"""Arms that a study's model cannot run: left out with a line each, so that the other arms run all the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from study.config import StudyConfig
from study.plan.planning import PlannedTrial

if TYPE_CHECKING:
    from trainables.assets import Assets


def left_out(trials: Iterable[PlannedTrial], assets: Assets) -> dict[str, str]:
    """The arms that set dropout where the model has none, each with the line that says why it is left out.

    ``trials`` has rows of every arm that counts. No arm is left out when none would remain: that is refused elsewhere,
    by the name of the setting.
    """
    from trainables.models.dropout import can_act

    lines: dict[str, str] = {}
    arms: set[str] = set()
    for row in trials:
        arms.add(row.arm)
        model = row.config.model
        # Most trials set no rate, and their models need not be looked at.
        if row.arm not in lines and not can_act(assets.model(row.config).config, model.dropout):
            lines[row.arm] = f"arm {row.arm} is left out: model {model.name} has none of the dropout that it sets"
    return lines if len(lines) < len(arms) else {}


def without(study: StudyConfig, arms: Collection[str]) -> StudyConfig:
    """A study without some of its arms."""
    return study.model_copy(update={"arms": tuple(arm for arm in study.arms if arm.name not in arms)})
