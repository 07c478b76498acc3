"""Real kernels die in QEMU, and the verdict must be right. ``python -m lab`` is the command."""
