"""lastwords: gather what a Linux machine said before it died, and explain it."""

__version__ = "0.1.0"
