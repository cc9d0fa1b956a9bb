"""A study on Ray Tune: from the command to the last record."""
