"""A study's folder on any file system: study.json, records, the lock, and what is read from them."""
