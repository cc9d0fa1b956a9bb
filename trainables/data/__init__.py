"""Data sets: one file each over one contract, from the hub, a folder in XTREME's form, or the package itself."""
