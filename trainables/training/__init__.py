"""One optimisation stage: its loop, objective, steps, precision, and checkpoints."""
