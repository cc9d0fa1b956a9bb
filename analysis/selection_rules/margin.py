"""Choose by the margin of the predictions."""

from analysis.selection_rules.rule import MARGIN, by_column

RULE = by_column("margin", "largest margin", MARGIN, -1.0, fitted_only=True)
