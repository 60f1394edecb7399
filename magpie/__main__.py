"""`magpie` and `python -m magpie`."""

from __future__ import annotations

import sys


def main() -> None:
    """Exit status: 0, 1 (failed), 2 (usage)."""
    from magpie.cli import run_command  # noqa: PLC0415 - nothing is imported before it is needed

    sys.exit(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
