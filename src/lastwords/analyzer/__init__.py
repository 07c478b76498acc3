"""Turns facts and events into findings."""
