"""The package's data sets, one module each, found by name; ``trainables/data/registry`` reads them."""
