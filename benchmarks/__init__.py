"""Measurements of speed and of statistics. Run one as `python -m benchmarks.NAME` from the root of the repository."""
