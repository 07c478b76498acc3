"""Tasks, back traces and mounts, without debug symbols, of a real dump of a Debian 6.1 kernel."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache

import pytest
from vmcores import Bytes, Kdump, corpus_dump, pages_of

from lastwords.formats.vmcore.btf import Types
from lastwords.formats.vmcore.dump import Dump, open_dump
from lastwords.formats.vmcore.kernel import Kernel
from lastwords.formats.vmcore.layout import Layout
from lastwords.formats.vmcore.mounts import list_mounts
from lastwords.formats.vmcore.source import DumpError
from lastwords.formats.vmcore.stack import Unwinder, cpu_states
from lastwords.formats.vmcore.tasks import Task, TaskMemory, Tasks

FULL = "6.1-sysrq-c-full.kdump"


@cache
def layout() -> Layout:
    return Layout(Kernel(corpus_dump(FULL)))


def test_symbols_both_ways() -> None:
    symbols = layout().symbols
    stext = layout().kernel.info.symbol("_stext")
    assert symbols.get("_stext") == stext
    panic = symbols.get("panic")
    assert symbols.name(panic) == ("panic", 0) and symbols.name(panic + 9) == ("panic", 9)
    assert symbols.find("no_such_symbol") is None and symbols.find("pani") is None
    assert symbols.name(0x1000) is None or symbols.name(0x1000) != ("panic", 0)
    with pytest.raises(DumpError, match="lacks no_such_symbol"):
        symbols.get("no_such_symbol")


def test_types_as_the_kernel_itself_tells_offsets() -> None:
    """VMCOREINFO and BTF tell some of the same offsets: two witnesses."""
    info, types = layout().kernel.info, layout().types
    seen = 0
    for key, value in info.values.items():
        if not key.startswith("OFFSET("):
            continue
        name, _, path = key[len("OFFSET(") : -1].partition(".")
        member = types.find(name, path)
        if member is not None:
            assert member.offset == int(value), key
            seen += 1
    assert seen > 15
    assert types.size(types.struct("list_head")) == 16
    assert types.find("task_struct", "no_such_member") is None
    with pytest.raises(DumpError, match="no struct no_such"):
        types.struct("no_such")


def test_back_trace_of_the_panic() -> None:
    dump = corpus_dump(FULL)
    (state,) = cpu_states(dump.notes, dump.machine)
    frames = Unwinder(layout(), dump.machine).of_cpu(state)
    names = [frame.symbol for frame in frames]
    assert names == [
        *("__crash_kexec", "panic", "sysrq_handle_crash", "__handle_sysrq.cold", "write_sysrq_trigger"),
        *("proc_reg_write", "vfs_write", "ksys_write", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"),
    ]
    # What the kernel printed of itself while it died: the same calls, with the same offsets.
    log = b"\n".join(record.line() for record in log_of_full())
    for frame in frames[3:]:
        assert f" {frame.symbol}+{frame.offset:#x}/".encode() in log
    assert [frame.exact for frame in frames].count(False) == 1


def log_of_full() -> list[object]:
    from lastwords.formats.vmcore.printk import KernelLog

    return list(KernelLog(layout().kernel))


def test_tasks() -> None:
    tasks = list(Tasks(layout()).all())
    assert len(tasks) == 50 and len({task.pid for task in tasks}) == 50
    assert [task.comm for task in tasks if task.running] == ["init"]
    by_pid = {task.pid: task for task in tasks}
    assert by_pid[0].comm == "swapper/0" and by_pid[2].comm == "kthreadd"
    assert all(task.parent == 2 and task.kernel for task in tasks if task.pid > 2)
    assert {task.state for task in tasks} <= set("RSDI")


def test_who_the_kernel_would_kill() -> None:
    memory = TaskMemory(total=9000, anonymous=700, file=200, shared=100, swap=50, page_tables=40960)
    task = Task(1, 7, 7, "java", "S", 0, False, 1, False, 0, memory)
    assert task.badness(100000, 4096) == 1060
    assert replace(task, oom_score_adj=500).badness(100000, 4096) == 51060
    never = ({"oom_score_adj": -1000}, {"kernel": True}, {"pid": 1, "tgid": 1}, {"pid": 8}, {"memory": None})
    for change in never:
        assert replace(task, **change).badness(100000, 4096) is None  # type: ignore[arg-type]


def test_mounts() -> None:
    found = [(each.device, each.filesystem, each.path, each.read_only) for each in list_mounts(layout())]
    assert found == [
        ("rootfs", "rootfs", "/", False),
        ("proc", "proc", "/proc", False),
        ("sysfs", "sysfs", "/sys", False),
        ("dev", "devtmpfs", "/dev", False),
        ("/dev/nvme1n1", "ext4", "/mnt", True),
    ]


def test_names_and_mounts_in_a_circle() -> None:
    """The directory above a mount point is made one below it, and the mount above one that is in it."""
    dump, get, offset = corpus_dump(FULL), layout().get, layout().offset
    pages = {number: bytearray(page) for number, page in pages_of(dump).items()}

    def put(address: int, value: int) -> None:
        place, _ = layout().kernel._paging.translate(address)
        struct.pack_into("<Q", pages[place >> 12], place & 4095, value)

    proxy = get(layout().init_task, "task_struct", "nsproxy")
    head = get(proxy, "nsproxy", "mnt_ns") + offset("mnt_namespace", "list")
    top, *_, last = layout().entries(head, offset("mount", "mnt_list"), 100)
    entry = get(last, "mount", "mnt_mountpoint")
    put(entry + offset("dentry", "d_parent"), get(top, "mount", "mnt.mnt_root"))
    put(get(top, "mount", "mnt.mnt_root") + offset("dentry", "d_parent"), entry)
    put(get(last, "mount", "mnt.mnt_root") + offset("dentry", "d_parent"), entry)
    put(top + offset("mount", "mnt_parent"), last)
    put(top + offset("mount", "mnt_mountpoint"), get(last, "mount", "mnt.mnt_root"))
    changed = Kdump({number: bytes(page) for number, page in pages.items()}, dump.file.info).file()
    found = list_mounts(Layout(Kernel(open_dump(Bytes(changed)))))
    assert len(found) == 5 and 100 < max(each.path.count("/") for each in found) <= 256


def without_kallsyms(dump: Dump) -> Layout:
    """Return a dump whose VMCOREINFO does not tell of the symbol table, as before 6.0."""
    lines = [line for line in dump.file.info.split(b"\n") if b"kallsyms" not in line]
    file = Kdump(pages_of(dump), b"\n".join(lines)).file()
    return Layout(Kernel(open_dump(Bytes(file))))


def test_the_symbol_table_is_found_where_vmcoreinfo_does_not_tell_of_it() -> None:
    found = without_kallsyms(corpus_dump(FULL))
    for name in ("_stext", "panic", "init_task", "__stop_BTF"):
        assert found.symbols.get(name) == layout().symbols.get(name)
    assert list_mounts(found) == list_mounts(layout())


def test_types_and_the_first_task_are_found_without_symbols_of_data() -> None:
    """A kernel built without KALLSYMS_ALL, as Debian's for aarch64: its table has functions only."""
    bare = Layout(Kernel(corpus_dump(FULL)))
    bare.symbols._found.update(dict.fromkeys(("init_task", "__start_BTF", "__stop_BTF")))
    assert bare.init_task == layout().init_task
    assert [task.pid for task in Tasks(bare).all()] == [task.pid for task in Tasks(layout()).all()]
    assert list_mounts(bare) == list_mounts(layout())


def test_kernels_whose_names_are_not_in_the_dump() -> None:
    older = Layout(Kernel(corpus_dump("5.10-sysrq-c.kdump")))
    with pytest.raises(DumpError, match=r"since 6\.0 do.*nor was it found"):
        list_mounts(older)


def test_a_circle_of_tasks_ends() -> None:
    """The list of tasks is made to lead back to its middle, and then nowhere."""
    dump = corpus_dump(FULL)
    pages = pages_of(dump)
    kernel = layout().kernel
    link = layout().offset("task_struct", "tasks")
    chain = [task.address for task in Tasks(layout()).all()]
    # What leads nowhere is gone around: the list is followed from its end too.
    for target, count in ((chain[10] + link, 31), (0x1234, 50)):
        changed = dict(pages)
        place, _ = kernel._paging.translate(chain[30] + link)
        page = bytearray(changed[place >> 12])
        struct.pack_into("<Q", page, place & 4095, target)
        changed[place >> 12] = bytes(page)
        file = Kdump(changed, dump.file.info, phys_base=0).file()
        tasks = Tasks(Layout(Kernel(open_dump(Bytes(file)))))
        found = [task.pid for task in tasks.all()]
        assert len(found) == count and found == sorted(
            found, key=[t.pid for t in Tasks(layout()).all()].index
        )
        assert (tasks.gap is None) == (count == 31)


def test_a_task_that_is_in_the_dump_in_part() -> None:
    """makedumpfile of a kernel that it does not know yet leaves out single pages of tasks (1.7 of 7.2)."""
    dump = corpus_dump(FULL)
    offset, kernel = layout().offset, layout().kernel
    whole = list(Tasks(layout()).all())

    def frame(task: Task, member: str) -> int:
        place, _ = kernel._paging.translate(task.address + offset("task_struct", member))
        return place >> 12

    split = next(task for task in whole if frame(task, "flags") < frame(task, "tasks"))
    pages = pages_of(dump)
    del pages[frame(split, "flags")]
    tasks = Tasks(Layout(Kernel(open_dump(Bytes(Kdump(pages, dump.file.info).file())))))
    found = {task.pid: task for task in tasks.all()}
    assert tasks.gap is None and tasks.partial and len(found) + tasks.unknown == len(whole)
    known = found[split.pid]
    assert known.comm == split.comm and known.state is None and known.kernel is None


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb" + bytes(30), bytes(64)])
def test_what_is_no_btf(data: bytes) -> None:
    with pytest.raises(DumpError, match="BTF"):
        Types(data)


def types_of(*words: int, names: bytes) -> Types:
    """Return types whose words are these."""
    data = struct.pack(f"<{len(words)}I", *words)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(data), len(data), len(names))
    return Types(head + data + names)


def test_types_that_hold_themselves() -> None:
    """Structures without names that hold each other twice, and an array of itself: damage, not a puzzle."""
    record, array = 4 << 24, 3 << 24
    types = types_of(
        *(1, record | 2, 8, 0, 2, 0, 7, 3, 32),  # 1: struct one { 2; last: 3 }
        *(0, record | 2, 8, 0, 1, 0, 0, 2, 0),  # 2: struct { 1; 2 }
        *(0, array, 0, 3, 3, 2),  # 3: itself twice
        *(5, 1 << 24, 4),  # 4: an integer whose last word is cut off
        names=b"\0one\0n\0last\0",
    )
    assert types.find("one", "no_such") is None
    last = types.member("one", "last")
    assert last.offset == 4
    with pytest.raises(DumpError, match="has no size"):
        types.size(last.type)
    assert types.size(4) == 4 and not types.signed(4)
