"""Crash dumps of the kernel: the file, the memory in it, and what that memory says without debug symbols.

Bottom up, each module needing only those before it: ``source`` (bytes at an offset), ``head`` (the first
bytes), ``flat`` (the stream form), ``unpack`` (one page), ``kdump`` and ``elf`` (the containers), ``info``
(VMCOREINFO), ``dump`` (any container, opened), ``paging`` and ``kernel`` (virtual memory), ``printk`` (the
kernel log), ``kallsyms``, ``btf`` and ``types`` (names and layouts that the kernel carries itself), ``orc``
and ``stack`` (back traces), ``tasks`` and ``mounts``.

All of it reads what it is asked for and nothing else, so the size of a dump does not matter; and none of it
trusts the dump: sizes and counts are held against limits, lists end, and what is not there is
:class:`~lastwords.formats.vmcore.source.Missing`.
"""
