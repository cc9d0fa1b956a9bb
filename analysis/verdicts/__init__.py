"""The declared hypotheses: population, controls, headlines, and words."""
