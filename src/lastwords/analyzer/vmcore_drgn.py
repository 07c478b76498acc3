"""What debug symbols add: tasks, memory, back traces with inlined calls and source lines, mounts, by drgn.

drgn is an optional extra, ``lastwords[vmcore]``. It is given only symbols whose build id is the dump's.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from lastwords.analyzer.vmcore_insides import memory_facts, task_facts
from lastwords.formats.vmcore.memory import COUNTERS, Cache, Usage
from lastwords.formats.vmcore.source import DumpError
from lastwords.formats.vmcore.tasks import Task, TaskMemory, state_letter
from lastwords.formats.vmcore.vmlinux import build_id_of, how_to_get, release_of, usual_places
from lastwords.model import LastwordsError
from lastwords.roots.images import open_image
from lastwords.roots.vmcore import Vmcore

AUTO = "auto"
MAX_SLEEPERS = 64


class NoSymbols(LastwordsError):
    """There are no debug symbols for this dump, or drgn is not installed."""


def symbols_for(core: Vmcore, given: str) -> str:
    """Return the vmlinux of a dump.

    :param given: its path, or ``auto`` to look in the usual places
    :raises NoSymbols: it is of another kernel, or there is none
    """
    dump = core.dump
    wanted, release = dump.info.build_id, dump.release
    advice = how_to_get(release, core.names["version"])
    if given == AUTO:
        for path in usual_places(release, wanted):
            if os.path.isfile(path) and (wanted is None or _build_id(path) == wanted):
                return path
        raise NoSymbols(f"{core.path}: no vmlinux of {release} in the usual places: {advice}")
    found = _build_id(given)
    if wanted and found != wanted:
        raise NoSymbols(
            f"{given}: these symbols are of {_release(given) or 'no kernel that they name'}, build id"
            f" {found or 'none'}; the dump is of {release}, build id {wanted}: {advice}"
        )
    return given


def _release(path: str) -> Optional[str]:
    with open_image(path) as image:
        return release_of(image)


def _build_id(path: str) -> Optional[str]:
    with open_image(path) as image:
        try:
            return build_id_of(image)
        except DumpError as problem:
            raise NoSymbols(f"{path}: {problem}") from None


def crash_script(core: Vmcore, vmlinux: Optional[str]) -> str:
    """Return the commands for the crash utility that ask the same, and how to start it."""
    symbols = vmlinux or f"vmlinux-{core.dump.release or 'of-that-kernel'}"
    commands = ("sys", "log", "bt", "bt -a", "ps", "foreach UN bt", "mount", "kmem -i", "kmem -s", "quit")
    return f"# crash -s -i THIS_FILE {symbols} {core.path}\n" + "\n".join(commands) + "\n"


class DrgnInsides:
    """Reads the memory of one dump with drgn; the same shapes as without symbols."""

    def __init__(self, core: Vmcore, vmlinux: str) -> None:
        """Load both. :raises NoSymbols: drgn is not installed, or cannot read them"""
        try:
            import drgn
        except ImportError:
            raise NoSymbols("--vmlinux needs drgn: pip install 'lastwords[vmcore]'") from None
        self.missing: list[tuple[str, str, bool]] = []
        self._program = drgn.Program()
        self._page_size = core.dump.info.page_size or 4096
        try:
            self._program.set_core_dump(core.path)
            self._program.load_debug_info([vmlinux])
        except Exception as problem:
            raise NoSymbols(f"{core.path}: drgn cannot read it: {' '.join(str(problem).split())}") from None

    def _try(self, what: str, work: Any) -> Any:
        """Return what *work* does; None, and a note, when drgn fails at it."""
        try:
            return work()
        except Exception as problem:
            self.missing.append((what, f"drgn: {' '.join(str(problem).split())[:200]}", False))
            return None

    def tasks(self) -> Optional[list[dict[str, Any]]]:
        """Return every task."""
        found: Optional[list[dict[str, Any]]] = self._try("the tasks", self._tasks)
        return found

    def _tasks(self) -> list[dict[str, Any]]:
        from drgn.helpers.linux.pid import for_each_task

        idle = self._program["init_task"].address_of_()
        tasks = [idle, *for_each_task(self._program)]
        total = self._pages("_totalram_pages") + self._pages("total_swap_pages")
        return [task_facts(self._task(task), total, self._page_size) for task in tasks]

    def _pages(self, name: str) -> int:
        """Return a count of pages that is a plain number or an atomic one."""
        value = self._program[name]
        try:
            return int(value.counter)
        except (AttributeError, TypeError):
            return int(value)

    def _task(self, task: Any) -> Task:
        state = task.member_("__state" if _has(task, "__state") else "state")
        return Task(
            int(task),
            int(task.pid),
            int(task.tgid),
            task.comm.string_().decode("utf-8", "replace"),
            state_letter(int(state), int(task.exit_state)),
            self._cpu(task),
            bool(int(task.on_cpu)) if _has(task, "on_cpu") else False,
            int(task.real_parent.pid) if task.real_parent else None,
            bool(int(task.flags) & 0x00200000),
            int(task.signal.oom_score_adj),
            self._memory_of(task) if task.mm else None,
        )

    def _memory_of(self, task: Any) -> Optional[TaskMemory]:
        from drgn.helpers.linux.mm import task_rss

        try:
            rss = task_rss(self._program, task)
            total, tables = int(task.mm.total_vm), int(task.mm.pgtables_bytes.counter)
        except (LookupError, AttributeError):
            return None
        return TaskMemory(total, rss.anon, rss.file, rss.shmem, rss.swap, tables)

    def memory(self) -> Optional[dict[str, Any]]:
        """Return how memory was used."""
        found: Optional[dict[str, Any]] = self._try("the use of memory", self._memory)
        return found

    def _memory(self) -> dict[str, Any]:
        program, size = self._program, self._page_size
        counters: dict[str, Optional[int]] = {}
        for name, counter in COUNTERS.items():
            try:
                number = program.constant(counter)
            except LookupError:
                counters[name] = None
                continue
            array = "vm_zone_stat" if number.type_.tag == "zone_stat_item" else "vm_node_stat"
            unit = 1024 if counter.endswith("_KB") else size
            counters[name] = max(0, int(program[array][number].counter)) * unit
        usage = Usage(
            self._pages("_totalram_pages") * size,
            self._pages("total_swap_pages") * size,
            max(0, self._pages("nr_swap_pages")) * size,
            counters,
        )
        return memory_facts(usage, self._caches())

    def _caches(self) -> list[Cache]:
        from drgn.helpers.linux.slab import for_each_slab_cache, slab_cache_pages_per_slab, slab_cache_usage

        found = []
        for cache in for_each_slab_cache(self._program):
            usage = slab_cache_usage(cache)
            pages = usage.num_slabs * int(slab_cache_pages_per_slab(cache))
            name = cache.name.string_().decode("utf-8", "replace")
            found.append(Cache(name, int(cache.object_size), usage.num_objs, pages * self._page_size))
        return sorted(found, key=lambda cache: (-cache.bytes, cache.name))

    def _cpu(self, task: Any) -> int:
        from drgn.helpers.linux.sched import task_cpu

        return int(task_cpu(task))

    def backtraces(self) -> Optional[list[dict[str, Any]]]:
        """Return the back trace of each CPU, and of each task in D state."""
        found: Optional[list[dict[str, Any]]] = self._try("the back traces", self._backtraces)
        return found

    def _backtraces(self) -> list[dict[str, Any]]:
        from drgn.helpers.linux.pid import for_each_task
        from drgn.helpers.linux.sched import task_state_to_char

        running: list[Any] = []
        sleeping: list[Any] = []
        for task in for_each_task(self._program):
            if _has(task, "on_cpu") and int(task.on_cpu):
                running.append(task)
            elif task_state_to_char(task) == "D" and len(sleeping) < MAX_SLEEPERS:
                sleeping.append(task)
        return [self._trace(task, self._cpu(task)) for task in running] + [
            self._trace(task, None) for task in sleeping
        ]

    def _trace(self, task: Any, cpu: Optional[int]) -> dict[str, Any]:
        frames = []
        for frame in self._program.stack_trace(task):
            frames.append(_frame(frame))
        return {
            "cpu": cpu,
            "pid": int(task.pid),
            "comm": task.comm.string_().decode("utf-8", "replace"),
            "state": "R" if cpu is not None else "D",
            "registers": None,
            "frames": [frame for frame in frames if frame is not None],
        }

    def mounts(self) -> Optional[list[dict[str, Any]]]:
        """Return the mounts."""
        found: Optional[list[dict[str, Any]]] = self._try("the mounts", self._mounts)
        return found

    def _mounts(self) -> list[dict[str, Any]]:
        from drgn.helpers.linux.fs import for_each_mount, mount_dst, mount_fstype, mount_src

        return [
            {
                "device": mount_src(mount).decode("utf-8", "replace"),
                "filesystem": mount_fstype(mount).decode("utf-8", "replace"),
                "path": mount_dst(mount).decode("utf-8", "replace"),
                "read_only": bool(int(mount.mnt.mnt_sb.s_flags) & 1 or int(mount.mnt.mnt_flags) & 0x40),
            }
            for mount in for_each_mount(self._program)
        ]


def _has(value: Any, member: str) -> bool:
    try:
        value.member_(member)
    except LookupError:
        return False
    return True


def _frame(frame: Any) -> Optional[dict[str, Any]]:
    """Return one frame; None for those of the program in user space."""
    if frame.pc < 1 << 63:
        return None
    try:
        path, line, _ = frame.source()
        source = f"{path}:{line}"
    except LookupError:
        source = None
    offset = None
    if not frame.is_inline:
        try:
            offset = frame.pc - frame.symbol().address
        except LookupError:
            pass
    return {
        "address": f"{frame.pc:#x}",
        "stack": f"{frame.sp:#x}",
        "symbol": frame.name,
        "offset": offset,
        "module": None,
        "exact": True,
        "inlined": bool(frame.is_inline),
        "source": source,
    }
