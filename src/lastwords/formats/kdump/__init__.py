"""kdump: crashkernel=, configuration, targets, names of dumps."""
