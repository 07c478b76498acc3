"""Makes the lab importable: it is no part of the package."""

from __future__ import annotations

import os
import sys

# Behind everything else, since the top of the repository holds directories of common names.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
