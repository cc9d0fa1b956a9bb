"""The Hugging Face hub: a repository's files in the local cache."""
