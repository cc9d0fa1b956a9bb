"""Regularisers: one file each, a frozen configuration with ``penalty(step)``; the objective applies the weight."""
