"""The drop-in plugin for the sos framework. ``lastwords.py`` is read by sos, never imported by the package."""

from __future__ import annotations

import os


def plugin_source() -> bytes:
    """Return the plugin as it is to be installed: the one file, byte for byte."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lastwords.py")
    loader = globals().get("__loader__")
    get_data = getattr(loader, "get_data", None)
    if get_data is not None:  # also from inside a zipapp
        return bytes(get_data(path))
    with open(path, "rb") as stream:
        return stream.read()
