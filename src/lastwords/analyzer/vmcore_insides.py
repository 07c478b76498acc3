"""What the memory of a dump tells without debug symbols: tasks, memory, back traces, mounts, as JSON.

A kernel since 6.0 tells in VMCOREINFO where its symbol table is, and carries its types (BTF) and, on
x86_64, its unwind tables (ORC).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Optional

from lastwords.formats.vmcore.dump import Dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.memory import Cache, Usage, read_caches, read_usage
from lastwords.formats.vmcore.mounts import list_mounts
from lastwords.formats.vmcore.source import DumpError, Missing
from lastwords.formats.vmcore.stack import Frame, Unwinder, cpu_states
from lastwords.formats.vmcore.tasks import Task, Tasks

MAX_SLEEPERS = 64
"""Tasks in D state whose back traces are made."""
MAX_CACHES = 20
"""Slab caches that are listed."""


class Insides:
    """Reads the memory of one dump; what fails is noted in ``missing``."""

    def __init__(self, kernel: Kernel, dump: Dump, panicked: Optional[dict[str, Any]] = None) -> None:
        """Read nothing yet.

        :param panicked: what the log says of the task that died: ``pid``, ``comm``
        """
        self.missing: list[tuple[str, str, bool]] = []
        """What could not be told, why, and whether debug symbols would help."""
        self._layout = Layout(kernel)
        self._dump = dump
        self._total_pages: Optional[int] = None
        self._panicked = panicked or {}

    @cached_property
    def _all(self) -> Optional[list[Task]]:
        found: list[Task] = []
        try:
            tasks = Tasks(self._layout)
            for task in tasks.all():
                found.append(task)
            self._total_pages = tasks.total_pages
            if self._total_pages is None:
                unnamed = self._layout.symbols.find("total_swap_pages") is None
                why = "how much memory there was " + ("has no symbol" if unnamed else "is not in the dump")
                self.missing.append(("the ranking of the OOM killer", why, unnamed))
            if tasks.gap:
                self.missing.append(("some of the tasks", tasks.gap, False))
            absent = (
                (f"{tasks.unknown} of the tasks", tasks.unknown),
                (f"some fields of {tasks.partial} tasks", tasks.partial),
                (f"the threads of {tasks.lost} processes", tasks.lost),
            )
            self.missing += [
                (what, "their pages are not in the dump", False) for what, count in absent if count
            ]
        except DumpError as problem:
            self._lacks("the tasks", problem)
        return found or None

    def _lacks(self, what: str, problem: DumpError) -> None:
        self.missing.append((what, str(problem), not isinstance(problem, Missing)))

    def tasks(self) -> Optional[list[dict[str, Any]]]:
        """Return every task; None when none could be read."""
        page = self._dump.info.page_size or 4096
        found = self._all
        return None if found is None else [task_facts(each, self._total_pages, page) for each in found]

    def memory(self) -> Optional[dict[str, Any]]:
        """Return how memory was used; None when that could not be read."""
        page = self._dump.info.page_size or 4096
        caches = None
        try:
            usage = read_usage(self._layout, page)
        except DumpError as problem:
            self._lacks("the use of memory", problem)
            return None
        try:
            caches = read_caches(self._layout, page)
        except DumpError as problem:
            self._lacks("the slab caches", problem)
        return memory_facts(usage, caches)

    def mounts(self) -> Optional[list[dict[str, Any]]]:
        """Return the mounts; None when they could not be read."""
        try:
            return [dict(each.__dict__) for each in list_mounts(self._layout)]
        except DumpError as problem:
            self._lacks("the mounts", problem)
            return None

    def backtraces(self) -> Optional[list[dict[str, Any]]]:
        """Return the back trace of each CPU, and of each task that waited without being interruptible."""
        dump, found = self._dump, []
        try:
            unwinder = Unwinder(self._layout, dump.machine)
            for state in cpu_states(dump.notes, dump.machine):
                frames = unwinder.of_cpu(state)
                task = self._on_cpu(state.cpu, state.pid)
                known = self._panicked.get("comm") if self._panicked.get("pid") == state.pid else None
                comm = task.comm if task else known or ("swapper" if state.pid == 0 else None)
                found.append(
                    {
                        "cpu": state.cpu,
                        "pid": task.pid if task else state.pid,
                        "comm": comm,
                        "state": task.state if task else None,
                        "registers": {name: f"{value:#x}" for name, value in state.registers.items()},
                        "frames": [_frame(each) for each in frames],
                    }
                )
            sleeping = [task for task in self._all or () if task.state == "D" and not task.running]
            for task in sleeping[:MAX_SLEEPERS]:
                frames = unwinder.of_task(task.address)
                found.append(
                    {
                        "cpu": None,
                        "pid": task.pid,
                        "comm": task.comm,
                        "state": task.state,
                        "registers": None,
                        "frames": [_frame(each) for each in frames],
                    }
                )
            if len(sleeping) > MAX_SLEEPERS:
                left = len(sleeping) - MAX_SLEEPERS
                self.missing.append((f"back traces of {left} more tasks in D state", "too many", False))
        except DumpError as problem:
            self._lacks("the rest of the back traces" if found else "the back traces", problem)
        return found or None

    def _on_cpu(self, cpu: int, pid: int) -> Optional[Task]:
        """Return the task that ran on a CPU. QEMU's notes have no pid."""
        running = [task for task in self._all or () if task.running]
        by_pid = next((task for task in running if task.pid == pid and pid), None)
        return by_pid or next((task for task in running if task.cpu == cpu), None)


def memory_facts(usage: Usage, caches: Optional[list[Cache]]) -> dict[str, Any]:
    """Return the use of memory as the document has it."""
    return {
        "total": usage.total,
        "swap_total": usage.swap_total,
        "swap_free": usage.swap_free,
        **usage.counters,
        "slab_caches": None if caches is None else [dict(each.__dict__) for each in caches[:MAX_CACHES]],
    }


def task_facts(task: Task, total_pages: Optional[int], page_size: int) -> dict[str, Any]:
    """Return a task as the document has it.

    :param total_pages: memory and swap of the machine
    """
    memory = task.memory
    points = task.badness(total_pages, page_size) if total_pages else None
    return {
        "pid": task.pid,
        "tgid": task.tgid,
        "parent": task.parent,
        "comm": task.comm,
        "state": task.state,
        "cpu": task.cpu,
        "running": task.running,
        "kernel_thread": task.kernel,
        "oom_score_adj": task.oom_score_adj,
        "oom_points": points,
        "oom_share": round(1000 * points / total_pages) if points is not None and total_pages else None,
        "total_pages": memory.total if memory else None,
        "resident_pages": memory.resident if memory else None,
        "anonymous_pages": memory.anonymous if memory else None,
        "file_pages": memory.file if memory else None,
        "shared_pages": memory.shared if memory else None,
        "swap_pages": memory.swap if memory else None,
        "page_tables": memory.page_tables if memory else None,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {
        "address": f"{frame.address:#x}",
        "stack": f"{frame.stack:#x}",
        "symbol": frame.symbol,
        "offset": frame.offset if frame.symbol else None,
        "module": frame.module,
        "exact": frame.exact,
        "inlined": False,
        "source": None,
    }
