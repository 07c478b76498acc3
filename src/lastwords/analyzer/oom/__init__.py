"""What an OOM event means: why the allocation failed, who held the memory, why the victim was chosen."""
