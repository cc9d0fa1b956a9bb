"""The program ``fisher-study``: wrong input gives one short message and exit code 2, a bug gives exit code 1."""

from __future__ import annotations

import sys

from study.cli import app
from trainables.errors import InputError, PluginError


def main() -> None:
    """Run the command that was typed."""
    try:
        app()
    except (InputError, PluginError) as error:
        print(f"fisher-study: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
