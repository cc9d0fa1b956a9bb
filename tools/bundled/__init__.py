"""Makes the bundled data and the bundled model; ``make bundled`` does both."""
