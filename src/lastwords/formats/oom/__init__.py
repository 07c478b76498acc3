"""Reports of the OOM killer, of every kernel, and how it weighs processes."""
