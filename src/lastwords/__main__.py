"""Entry point: answers ``--version`` at once, leaves the rest to :mod:`lastwords.cli.main`."""

from __future__ import annotations

import gc
import sys

GARBAGE = 100_000
"""Objects made before a search for garbage, instead of 700."""


def main() -> int:
    """Run the command line; return the exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from lastwords import __version__

        print(f"lastwords {__version__}")
        return 0
    # What is read are trees, which need no search for cycles; it took a tenth of the time.
    gc.set_threshold(GARBAGE)
    from lastwords.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
