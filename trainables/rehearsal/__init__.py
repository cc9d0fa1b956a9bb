"""Before a sweep: each kind of step is tried, and timed for the dry run."""
