"""Entry point of lastwords.pyz: zipapp ignores what its function returns, so the exit code is set here."""

from __future__ import annotations

import sys
from typing import NoReturn

from lastwords.__main__ import main as run


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run())
