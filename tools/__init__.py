"""What makes the files that the packages ship; not shipped itself."""
