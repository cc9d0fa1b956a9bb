"""Choose by flatness: a small Tr(F) on English."""

from analysis.selection_rules.rule import TRACE, by_column

RULE = by_column("small_trace", "smallest Tr(F) on English", TRACE, 1.0, fitted_only=True)
