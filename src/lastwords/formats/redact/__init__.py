"""Secrets, and how they are removed."""
