"""What the trial records say: the statistics, figures and sentences of the report. Needs neither Ray nor torch."""
