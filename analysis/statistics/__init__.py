"""Correlations, permutation tests, power, and measurement error; independent of any hypothesis."""
