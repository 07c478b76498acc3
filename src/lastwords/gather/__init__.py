"""Runs collectors on a root, each in a child process with a deadline, and records how each ended."""
