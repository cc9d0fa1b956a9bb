"""From a study's search spaces to its planned trials."""
