"""Correlations, permutation tests, power, and measurement error; knows no hypothesis."""
