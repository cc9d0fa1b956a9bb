"""Named rules to choose a configuration without target labels. A new rule is one file and one line here."""

from analysis.selection_rules import average_rank, baseline, english_accuracy, margin, small_target_trace, small_trace
from analysis.selection_rules.rule import Rule
from trainables.plugins import Registry

_OURS = (
    english_accuracy.RULE,
    small_trace.RULE,
    small_target_trace.RULE,
    margin.RULE,
    average_rank.RULE,
    baseline.RULE,
)
RULES: Registry[Rule] = Registry("rules", Rule, {rule.name: rule for rule in _OURS})
