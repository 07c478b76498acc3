"""Files and commands that any Linux host has."""
