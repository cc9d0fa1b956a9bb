"""Makes the files that the packages ship; is not shipped itself."""
