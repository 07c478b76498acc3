"""The tasks of a dump: states, memory, OOM settings.

Sources: include/linux/sched.h (``state`` became ``__state`` in 5.14), include/linux/mm_types.h
(``rss_stat`` became per-CPU counters in 6.2), fs/proc/array.c, mm/oom_kill.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.source import DumpError

MAX_TASKS = 1 << 18
MAX_CPUS = 8192
_KTHREAD = 0x00200000
"""PF_KTHREAD."""
_NOLOAD, _UNINTERRUPTIBLE = 0x400, 2
_STATES = ((0x01, "S"), (0x02, "D"), (0x04, "T"), (0x08, "t"), (0x40, "P"), (0x80, "X"))
_DEAD, _ZOMBIE = 0x10, 0x20
_COMM = 16
_MOST_ADJUSTMENT = 1000
"""OOM_SCORE_ADJ_MAX; what is beyond is no struct signal_struct."""


@dataclass(frozen=True)
class TaskMemory:
    """Memory of a task, in pages; of a kernel that counts per CPU, as exactly as it knows."""

    total: int
    anonymous: int
    file: int
    shared: int
    swap: int
    page_tables: Optional[int]
    """Bytes."""

    @property
    def resident(self) -> int:
        """Pages in memory."""
        return self.anonymous + self.file + self.shared


@dataclass(frozen=True)
class Task:
    """One task. Fields that could not be read are None."""

    address: int
    pid: int
    tgid: int
    comm: str
    state: Optional[str]
    """As ps shows it: R, S, D, T, t, X, Z, P, I."""
    cpu: Optional[int]
    running: Optional[bool]
    """Whether it was on a CPU."""
    parent: Optional[int]
    kernel: Optional[bool]
    """Whether it is a kernel thread."""
    oom_score_adj: Optional[int]
    memory: Optional[TaskMemory]

    def badness(self, total_pages: int, page_size: int) -> Optional[int]:
        """Return the pages by which the OOM killer ranks a process (oom_badness() of mm/oom_kill.c).

        None for what it never kills: kernel threads, init, an adjustment of -1000; and for threads, which
        it takes with their process.

        :param total_pages: memory and swap of the machine
        """
        memory, adjustment = self.memory, self.oom_score_adj
        if memory is None or adjustment in (None, -1000) or self.kernel or self.tgid in (0, 1):
            return None
        if self.pid != self.tgid:
            return None
        points = memory.resident + memory.swap + (memory.page_tables or 0) // page_size
        return points + (adjustment or 0) * (total_pages // 1000)


class Tasks:
    """Reads the task list of a kernel."""

    def __init__(self, layout: Layout) -> None:
        """Look the layouts up. :raises DumpError: names or layouts are not there"""
        self._layout = layout
        self.lost = 0
        """Processes whose threads could not be found."""
        self.unknown = 0
        """Tasks in the list of which not even number and name are in the dump."""
        self.partial = 0
        """Tasks of which some other field is not in the dump."""
        self.gap: Optional[str] = None
        """Why some processes in the middle could not be found, if so."""
        self._count = 0
        self._memories: dict[int, Optional[TaskMemory]] = {}
        self._first = layout.init_task
        self._state = "__state" if layout.has("task_struct", "__state") else "state"
        cpus = ("thread_info.cpu", "cpu")
        self._cpu = next((name for name in cpus if layout.has("task_struct", name)), None)
        self._on_cpu = layout.has("task_struct", "on_cpu")
        counts = ("rss_stat.count", "rss_stat")
        self._rss = next((name for name in counts if layout.has("mm_struct", name)), None)
        self._threads_at = layout.offset("signal_struct", "thread_head")
        self._node_at = layout.offset("task_struct", "thread_node")

    def all(self) -> Iterator[Task]:
        """Yield every task: each process followed by its threads. :raises DumpError: there is not even one

        Where the list is broken, it is followed from its other end too: ``gap`` tells.
        """
        tasks = self._layout.offset("task_struct", "tasks")
        yield self.task(self._first)
        head, seen = self._first + tasks, {self._first}
        try:
            for leader in self._layout.entries(head, tasks, MAX_TASKS):
                group = self._group(leader)
                seen.add(leader)
                yield from group
        except DumpError as problem:
            self.gap = str(problem)
        if self.gap is None:
            return
        behind: list[list[Task]] = []
        try:
            for leader in self._layout.entries(head, tasks, MAX_TASKS, backwards=True):
                if leader in seen:
                    break
                behind.append(self._group(leader))
        except DumpError:
            pass
        for group in reversed(behind):
            yield from group

    def _group(self, leader: int) -> list[Task]:
        """Return a process and its threads, as far as these can be found."""
        found = self._known(leader)
        try:
            for thread in self._threads(leader):
                found += self._known(thread)
                self._count += 1
                if self._count > MAX_TASKS:
                    break
        except DumpError:
            self.lost += 1
        return found

    def _known(self, at: int) -> list[Task]:
        """Return the task, unless it is not in the dump."""
        try:
            return [self.task(at)]
        except DumpError:
            self.unknown += 1
            return []

    def _threads(self, leader: int) -> Iterator[int]:
        """Yield the other threads of a process. :raises DumpError: they cannot be found"""
        head = self._layout.get(leader, "task_struct", "signal") + self._threads_at
        for thread in self._layout.entries(head, self._node_at, MAX_TASKS):
            if thread != leader:
                yield thread

    def task(self, at: int) -> Task:
        """Return one task. :raises DumpError: not even its number and name are in the dump"""
        layout = self._layout
        pid = layout.get(at, "task_struct", "pid")
        comm = layout.kernel.read(at + layout.offset("task_struct", "comm"), _COMM)
        names = ("tgid", "flags", "mm", self._state, "exit_state", "real_parent", "signal")
        tgid, flags, mm, state, exit_state, parent, signal = (
            self._optional(at, "task_struct", name) for name in names
        )
        adjustment = self._optional(signal, "signal_struct", "oom_score_adj") if signal else None
        if adjustment is not None and abs(adjustment) > _MOST_ADJUSTMENT:
            signal = adjustment = None
        running = self._optional(at, "task_struct", "on_cpu" if self._on_cpu else None)
        if None in (tgid, flags, mm, state, exit_state, parent, signal):
            self.partial += 1
        return Task(
            at,
            pid,
            pid if tgid is None else tgid,
            comm.partition(b"\0")[0].decode("utf-8", "replace"),
            None if state is None or exit_state is None else state_letter(state, exit_state),
            self._optional(at, "task_struct", self._cpu),
            None if running is None and self._on_cpu else bool(running),
            self._optional(parent, "task_struct", "pid") if parent else None,
            None if flags is None else bool(flags & _KTHREAD),
            adjustment,
            self._memory_of(at, mm) if mm else None,
        )

    def _optional(self, at: int, struct: str, path: Optional[str]) -> Optional[int]:
        try:
            return self._layout.get(at, struct, path) if path else None
        except DumpError:
            return None

    def _memory_of(self, task: int, mm: int) -> Optional[TaskMemory]:
        # The threads of a process share it.
        if mm not in self._memories:
            self._memories[mm] = self._memory(task, mm)
        return self._memories[mm]

    def _memory(self, task: int, mm: int) -> Optional[TaskMemory]:
        try:
            kept = self._kept(task)
            file, anonymous, swap, shared = (
                max(0, self._counter(mm, number) + kept[number]) for number in range(4)
            )
            total = self._layout.get(mm, "mm_struct", "total_vm")
        except DumpError:
            return None
        tables = self._optional(mm, "mm_struct", "pgtables_bytes.counter")
        return TaskMemory(total, anonymous, file, shared, swap, tables)

    def _kept(self, task: int) -> list[int]:
        """Return what the threads of a process have not yet added to its counters, which kernels up to 6.1
        allow them (struct task_rss_stat)."""
        layout = self._layout
        kept = [0, 0, 0, 0]
        if not layout.has("task_struct", "rss_stat.count"):
            return kept
        at = layout.offset("task_struct", "rss_stat.count")
        leader = layout.get(task, "task_struct", "group_leader")
        for thread in (leader, *self._threads(leader)):
            for number in range(4):
                kept[number] += layout.kernel.number(thread + at + 4 * number, 4, signed=True)
        return kept

    def _counter(self, mm: int, number: int) -> int:
        """Return one of MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES."""
        layout = self._layout
        if self._rss is None:
            raise DumpError("this kernel's struct mm_struct has no rss_stat")
        at = mm + layout.offset("mm_struct", self._rss)
        if self._rss == "rss_stat.count":
            return layout.kernel.number(at + 8 * number, 8, signed=True)
        size = layout.types.size(layout.types.struct("percpu_counter"))
        at += size * number
        value = layout.get(at, "percpu_counter", "count")
        if layout.has("percpu_counter", "counters"):
            counters = layout.get(at, "percpu_counter", "counters")
            for offset in self._per_cpu if counters else ():
                value += layout.kernel.number(counters + offset & (1 << 64) - 1, 4, signed=True)
        return value

    @cached_property
    def total_pages(self) -> Optional[int]:
        """Pages of memory and swap of the machine; None where the symbols of these numbers are not there."""
        find, number = self._layout.symbols.find, self._layout.kernel.number
        memory, swap = find("_totalram_pages") or find("totalram_pages"), find("total_swap_pages")
        try:
            return number(memory, 8) + number(swap, 8) if memory and swap else None
        except DumpError:
            return None

    @cached_property
    def _per_cpu(self) -> list[int]:
        """Where each CPU's own variables are, relative to their addresses."""
        layout = self._layout
        try:
            count = min(layout.kernel.number(layout.symbols.get("nr_cpu_ids")), MAX_CPUS)
            table = layout.symbols.get("__per_cpu_offset")
            return [layout.kernel.pointer(table + 8 * cpu) for cpu in range(count)]
        except DumpError:
            return []


def state_letter(state: int, exit_state: int) -> str:
    """Return the state as ps shows it.

    >>> [state_letter(*each) for each in ((0, 0), (1, 0), (0x402, 0), (2, 0), (0x80, 0x20))]
    ['R', 'S', 'I', 'D', 'Z']
    """
    if exit_state & _ZOMBIE:
        return "Z"
    if exit_state & _DEAD:
        return "X"
    if state & _UNINTERRUPTIBLE and state & _NOLOAD:
        return "I"
    return next((letter for bit, letter in _STATES if state & bit), "R")
