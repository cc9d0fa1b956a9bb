"""Choose nothing: the model without a regulariser, for those who have nothing to select by."""

from analysis.selection_rules.rule import IS_BASELINE, by_column

RULE = by_column("baseline", "no selection: the baseline", IS_BASELINE, -1.0, fitted_only=False)
