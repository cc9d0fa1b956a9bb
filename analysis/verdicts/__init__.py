"""The declared hypotheses: populations, controls, headlines, and verdicts in words."""
