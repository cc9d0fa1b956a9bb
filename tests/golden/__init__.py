"""A recorded study, trial records only, with the numbers that its report quotes."""
