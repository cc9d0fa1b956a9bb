"""Studies, their plans, sweeps, and records: what is searched, where it runs, and how it is browsed."""
