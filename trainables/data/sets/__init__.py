"""The data sets of the package, a module each, found by its name; ``trainables/data/registry`` reads them."""
