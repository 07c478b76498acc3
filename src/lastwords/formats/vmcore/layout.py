"""A kernel with the names and layouts that it carries itself: its memory read by symbol and member."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from lastwords.formats.vmcore.btf import HEAD as BTF_HEAD
from lastwords.formats.vmcore.btf import Types
from lastwords.formats.vmcore.kallsyms import Symbols
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.scan import scan
from lastwords.formats.vmcore.source import DumpError

MAX_BTF = 24 << 20
SEARCHED = 64 << 20
"""Bytes from the end of the code that are searched."""


class Layout:
    """Reads structures. What it needs of names and layouts is read when it is first asked for."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    @cached_property
    def symbols(self) -> Symbols:
        """The kernel's symbols. :raises DumpError: the kernel does not carry them"""
        return Symbols(self.kernel)

    @cached_property
    def types(self) -> Types:
        """The kernel's types. :raises DumpError: the kernel does not carry them"""
        start, stop = self.symbols.find("__start_BTF"), self.symbols.find("__stop_BTF")
        if start is None or stop is None:
            return self._searched_types()
        if not 0 < stop - start <= MAX_BTF:
            raise DumpError(f"BTF of {stop - start} bytes: absurd")
        return Types(self.kernel.read(start, stop - start))

    def _searched_types(self) -> Types:
        """Return the types of a kernel whose table has no data (no KALLSYMS_ALL): they follow its code."""
        for at in scan(self.kernel, self.symbols.get("_etext"), SEARCHED, BTF_HEAD):
            try:
                size = 24 + self.kernel.number(at + 16) + self.kernel.number(at + 20)
                if size <= MAX_BTF:
                    return Types(self.kernel.read(at, size))
            except DumpError:
                continue
        raise DumpError("this kernel carries no types (built without DEBUG_INFO_BTF)")

    @cached_property
    def init_task(self) -> int:
        """Address of the first task. :raises DumpError: it was not found"""
        found = self.symbols.find("init_task")
        if found is not None:
            return found
        name, tasks = self.offset("task_struct", "comm"), self.offset("task_struct", "tasks")
        for hit in scan(self.kernel, self.symbols.get("_etext"), SEARCHED, b"swapper"):
            at = hit - name
            try:
                after = self.kernel.pointer(at + tasks)
                if self.kernel.pointer(after + self.kernel.word) == at + tasks and not self.get(
                    at, "task_struct", "pid"
                ):
                    return at
            except DumpError:
                continue
        raise DumpError(
            "the kernel's symbol table lacks init_task (built without KALLSYMS_ALL?), nor was it found"
        )

    def offset(self, struct: str, path: str) -> int:
        """Return the offset of a member in bytes. :raises DumpError: there is none of that name"""
        return self.types.member(struct, path).offset

    def has(self, struct: str, path: str) -> bool:
        """Return whether this kernel has such a member."""
        return self.types.find(struct, path) is not None

    def get(self, address: int, struct: str, path: str) -> int:
        """Return the number or pointer in a member."""
        member = self.types.member(struct, path)
        size = self.types.size(member.type)
        if size > 8:
            raise DumpError(f"member {path} of struct {struct} is {size} bytes, no number")
        return self.kernel.number(address + member.offset, size, self.types.signed(member.type))

    def entries(self, head: int, link: int, most: int, *, backwards: bool = False) -> Iterator[int]:
        """Yield the structures of a list (struct list_head); it ends where it comes back, or after *most*.

        :param head: address of the list's head
        :param link: offset of the list in each structure
        """
        seen = {head}
        step = self.kernel.word if backwards else 0
        at = self.kernel.pointer(head + step)
        while at not in seen and len(seen) <= most:
            seen.add(at)
            yield at - link
            at = self.kernel.pointer(at + step)

    def tree(self, root: int, link: int, most: int) -> Iterator[int]:
        """Yield the structures of a red-black tree (struct rb_root) in its order, at most *most*.

        :param root: address of the root
        :param link: offset of the node in each structure
        """
        left, right = self.offset("rb_node", "rb_left"), self.offset("rb_node", "rb_right")
        seen: set[int] = set()
        above: list[int] = []
        at = self.kernel.pointer(root)
        while (at or above) and len(seen) <= most:
            while at and at not in seen and len(seen) <= most:
                seen.add(at)
                above.append(at)
                at = self.kernel.pointer(at + left)
            if not above:
                return
            at = above.pop()
            yield at - link
            at = self.kernel.pointer(at + right)
            if at in seen:
                at = 0
