"""Entry point: answers ``--version`` at once, leaves the rest to :mod:`lastwords.cli.main`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; return the exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from lastwords import __version__

        print(f"lastwords {__version__}")
        return 0
    from lastwords.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
