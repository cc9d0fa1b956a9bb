"""Choose by flatness on the text of the target language, which needs no labels."""

from analysis.selection_rules.rule import TARGET_TRACE, by_column

RULE = by_column(
    "small_target_trace",
    "smallest Tr(F) on the target language's text, for each language anew",
    TARGET_TRACE,
    1.0,
    fitted_only=True,
)
