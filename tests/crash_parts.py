"""Parts that kernel reports of every kind are made of, of a driver called acme."""

from __future__ import annotations

REGISTERS = "Code: 0f 0b 48 89\nRSP: 0018:ffffc90000a17b60 EFLAGS: 00010246\nCR2: 0000000000000008\n"
ENTRY = (" do_syscall_64+0x5c/0x90", " entry_SYSCALL_64_after_hwframe+0x6e/0xd8")


def calls(*names: str) -> str:
    """A call trace of today."""
    return "\n".join(
        ("Call Trace:", " <TASK>", *(f" {name}+0x1/0x20" for name in names), *ENTRY, " </TASK>", "")
    )


def old_calls(*names: str) -> str:
    """A call trace up to 4.9."""
    return "\n".join(
        ("Call Trace:", *(f" [<ffffffff8126{at:04x}>] {name}+0x1/0x20" for at, name in enumerate(names)), "")
    )


def rip(name: str) -> str:
    return f"CPU: 1 PID: 7 Comm: acmed Not tainted 6.12.0 #1\nRIP: 0010:{name}+0x1/0x20\n{REGISTERS}"


def old_rip(name: str) -> str:
    return f"RIP: 0010:[<ffffffff81260001>]  [<ffffffff81260001>] {name}+0x1/0x20\n{REGISTERS}"


def arm64(name: str, *names: str) -> str:
    lines = (
        f"pc : {name}+0x1c/0x40",
        f"lr : {name}+0x18/0x40",
        "Call trace:",
        *(f" {n}+0x1c/0x40" for n in names),
    )
    return "\n".join((*lines, " el0t_64_sync+0x1a4/0x1a8", ""))


def arm(name: str, *names: str) -> str:
    steps = zip((name, *names), names)
    return "\n".join(
        (f"PC is at {name}+0x1c/0x40", f"LR is at {name}+0x18/0x40", "Backtrace: ",
         *(f"[<80118054>] ({callee}) from [<80110ce4>] ({caller}+0x20/0x24)" for callee, caller in steps), "")
    )  # fmt: skip


def warning(place: str, name: str) -> tuple[str, str]:
    """The first line of a warning up to 6.18, and since."""
    cut = "------------[ cut here ]------------\n"
    return (
        f"{cut}WARNING: CPU: 1 PID: 7 at {place} {name}+0x1/0x20\nModules linked in:\n",
        f"{cut}WARNING: {place} at {name}+0x1/0x20, CPU#1: acmed/7\nModules linked in:\n",
    )


def lock(name: str, function: str, old: bool = False) -> str:
    where = f"[<ffffffff8126cafe>] {function}+0x1/0x20" if old else f"{function}+0x1/0x20"
    usage = "+.+.+." if old else "+.+.}-{3:3"
    return f"ffff888101a2b0a8 ({name}){{{usage}}}, at: {where}\n"


HUNG = calls(
    "__schedule", "schedule", "schedule_preempt_disabled", "__mutex_lock", "acme_open", "chrdev_open"
)
HELD = "\nbut task is already holding lock:\n"
HEAD = "======================================================\n"
