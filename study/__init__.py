"""What is searched, where it runs and how it is browsed: studies, their plans, their sweeps and their records."""
