"""Write the bundled data again: ``python -m tools.bundled.data [--out FOLDER] [--seed 7]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.bundled.data.splits import SEED, write
from trainables.data.bundled import FOLDER


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files; with the default seed they equal the committed ones byte for byte."""
    parser = argparse.ArgumentParser(prog="python -m tools.bundled.data", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write into (default: the package's own)")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of every draw (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        write(options.out, options.seed)
    except OSError as error:
        parser.error(f"--out takes a folder that can be written to: {error}")


if __name__ == "__main__":
    main()
