"""Choose by English validation: what most practitioners do."""

from analysis.selection_rules.rule import ENGLISH_ACCURACY, by_column

RULE = by_column("english_accuracy", "highest English validation accuracy", ENGLISH_ACCURACY, -1.0, fitted_only=False)
