"""Named rules for choosing a configuration without target labels. A new rule is one entry here."""

from analysis.selection_rules.average_rank import AVERAGE_RANK
from analysis.selection_rules.rule import (
    ENGLISH_ACCURACY,
    IS_BASELINE,
    MARGIN,
    TARGET_TRACE,
    TRACE,
    Rule,
    by_column,
)
from trainables.plugins import Registry

_FOR_EACH = "smallest Tr(F) on the target language's text, for each language anew"
_OURS = (
    by_column("english_accuracy", "highest English validation accuracy", ENGLISH_ACCURACY, -1.0, fitted_only=False),
    by_column("small_trace", "smallest Tr(F) on English", TRACE, 1.0, fitted_only=True),
    by_column("small_target_trace", _FOR_EACH, TARGET_TRACE, 1.0, fitted_only=True),
    by_column("margin", "largest margin", MARGIN, -1.0, fitted_only=True),
    AVERAGE_RANK,
    by_column("baseline", "no selection: the baseline", IS_BASELINE, -1.0, fitted_only=False),
)
RULES: Registry[Rule] = Registry("rules", Rule, {rule.name: rule for rule in _OURS})
