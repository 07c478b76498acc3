"""Crash dumps of the kernel: the file, the memory in it, and what that memory says without debug symbols.

Bottom up, each module needing only those before it: ``source`` (bytes at an offset), ``unpack`` (one page),
``head`` (the first bytes), ``flat`` (the stream form), ``elf`` and ``kdump`` (the containers), ``info``
(VMCOREINFO), ``dump`` (any container, opened), ``paging`` and ``kernel`` (virtual memory), ``printk`` (the
kernel log), ``scan`` and ``kallsyms_search`` (what nothing tells of), ``kallsyms``, ``btf`` and ``layout``
(names and layouts that the kernel carries itself), ``orc``, ``modules`` and ``stack`` (back traces),
``tasks``, ``memory`` and ``mounts``; beside them ``vmlinux`` (whose debug symbols a file has).

All of it reads what it is asked for and nothing else, so the size of a dump does not matter; and none of it
trusts the dump: sizes and counts are held against limits, lists end, and what is not there is
:class:`~lastwords.formats.vmcore.source.Missing`.
"""
