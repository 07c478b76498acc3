"""Memory and who holds it: /proc, /sys and control groups."""
