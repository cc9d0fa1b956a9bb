"""Data sets under one contract, one file each: from the hub, a folder in XTREME's format, or the package itself."""
