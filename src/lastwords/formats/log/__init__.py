"""Logs of kernels: lines, messages, events, boots and how they ended; journals; pstore."""
