"""Initramfs images: archives, how they are packed, what is inside."""
