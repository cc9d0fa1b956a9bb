"""The makers of the bundled data and of the bundled model; ``make bundled`` runs both."""
