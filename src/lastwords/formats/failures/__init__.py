"""Boots and crash dumps that failed: what consoles say of it."""
