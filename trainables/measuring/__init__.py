"""What a trial measures besides curvature, and the names of all its numbers."""
