"""The named studies, one function each; its docstring states the hypothesis that the study tests, and the protocol.

Every function takes ``bundled``: the same arms and measurements on the bundled model, data and protocol, for a laptop.
Your own study is such a function in any file: ``fisher-study run my_study.py:my_function``.
"""

from __future__ import annotations

from collections.abc import Callable

from study.catalog.causes import intervene, invariance, learning_rate, trajectory
from study.catalog.languages import sib200
from study.catalog.methods import lora, search, views
from study.catalog.paper import equal_fit, pawsx, quick, theory, xnli
from study.config import StudyConfig

# fmt: off
CATALOG: dict[str, Callable[..., StudyConfig]] = {
    function.__name__: function for function in (
        quick, xnli, pawsx, sib200, equal_fit, theory, trajectory, learning_rate, views, lora, intervene, invariance,
        search,
    )
}
# fmt: on
