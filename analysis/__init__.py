"""What the trial records mean: the statistics, figures and sentences of the report. Needs neither Ray nor torch."""
