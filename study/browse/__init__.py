"""What the commands show of a study."""
