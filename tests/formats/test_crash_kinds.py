"""The table of kinds holds together."""

from __future__ import annotations

import re
import string

import pytest

from lastwords.formats.crash.frame_pick import PICKS, function_names
from lastwords.formats.crash.frames import frames_of
from lastwords.formats.crash.kinds import REBOOT, Kind
from lastwords.formats.crash.reports import KINDS, WORDS
from lastwords.formats.crash.skip import COMMON
from lastwords.formats.crash.title import LENGTH, normalize
from lastwords.formats.log.events import KINDS as EVENTS

ALL = (*KINDS, REBOOT)


def test_names_are_unique() -> None:
    names = [kind.name for kind in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_a_row_names_only_what_exists(kind: Kind) -> None:
    assert kind.event in EVENTS
    assert kind.continues <= {other.name for other in ALL} | {"*"}
    assert all(word in WORDS for word in kind.words)
    for form in kind.forms:
        assert form.pick in PICKS
        known = {"frame", *kind.header.groupindex, *(form.needs.groupindex if form.needs else ())}
        for template in (form.title, *form.alts):
            asked = {name for _, name, _, _ in string.Formatter().parse(template) if name}
            assert asked <= known, template


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("BUG: Bad rss-counter state mm:00000000f0cacc1a idx:1 val:-3", "BUG: Bad rss-counter state mm:ADDR idx:NUM val:NUM"),
        ("foo at mm/slub.c:1044", "foo at mm/slub.c:LINE"),
        ("INFO: Freed in free_it+0x1/0x2 age=3", "INFO: Freed in free_it age=NUM"),
        ("stuck on CPU#17 for 3 s", "stuck on CPU for NUM s"),
        ("x" * 500, "x" * LENGTH),
    ],
)  # fmt: skip
def test_titles_hold_nothing_that_changes(line: str, title: str) -> None:
    assert normalize(line) == title


@pytest.mark.parametrize(
    ("line", "frames"),
    [
        (" acme_open+0x1/0x2 [acme]", [("acme_open", "acme", True)]),
        (" ? acme_open+0x1/0x2 [acme 0123456789abcdef]", [("acme_open", "acme", False)]),
        ("[<ffffffff81000000>] acme_open+0x1/0x2", [("acme_open", None, True)]),
        (
            "RIP: 0010:[<ffffffff81000000>]  [<ffffffff81000000>] acme_open+0x1/0x2",
            [("acme_open", None, True)],
        ),
        ("EIP is at acme_open+0x1/0x2", [("acme_open", None, True)]),
        ("PC is at acme_open+0x1/0x2", [("acme_open", None, True)]),
        ("NIP [c0000000000a0000] .acme_open+0x1/0x2", [("acme_open", None, True)]),
        (
            "[c0000000000a0000] [c0000000000b0000] .acme_open+0x1/0x2 (unreliable)",
            [("acme_open", None, False)],
        ),
        ("--- interrupt: 700 at acme_open+0x1/0x2", [("acme_open", None, True)]),
        ("([<0000000000100a12>] acme_open+0x1/0x2)", [("acme_open", None, True)]),
        (" acme_open from do_open+0x1/0x2", [("acme_open", None, True), ("do_open", None, True)]),
        (
            " <acme::Device as kernel::File>::open+0x1/0x2",
            [("<acme::Device as kernel::File>::open", None, True)],
        ),
        (" do_open fs/open.c:12 [inline]", [("do_open", None, True)]),
        ("RIP: 0033:0x7f12", []),
        ("lr : acme_open+0x1/0x2", []),
        ("acme: acme_open+0x1/0x2 failed", []),
    ],
)
def test_frames_of_every_architecture(line: str, frames: list[tuple[str, str | None, bool]]) -> None:
    assert [(each.function, each.module, each.reliable) for each in frames_of(line)] == frames


@pytest.mark.parametrize(
    ("function", "shortest"),
    [
        ("__x64_sys_mount", "sys_mount"),
        ("__se_sys_mount", "mount"),
        ("compat_SyS_mount", "mount"),
        ("__do_sys_mount", "mount"),
        ("do_mount", "do_mount"),
    ],
)
def test_a_system_call_has_one_name_on_all_architectures(function: str, shortest: str) -> None:
    assert function_names(function)[0] == shortest
    assert re.fullmatch(r"[\w.]+", shortest)


HELPERS = """
    dump_stack __kasan_report el1h_64_sync_handler _raw_spin_lock_irqsave __mutex_lock
    rt_spin_lock kmem_cache_alloc_noprof __kmalloc_node_track_caller_noprof __pi_memcpy _copy_from_iter
    __get_user_nocheck_8 __list_del_entry_valid_or_report rb_erase xas_find refcount_warn_saturate
    __queue_work __timer_delete_sync drop_nlink fast_dput kfree_skb_list_reason
"""
NOT_HELPERS = """
    lock_rename rtnl_lock bitmap_ip_add wake_up_new_task remove_wait_queue qlist_free_all deactivate_slab
    copy_process list_netdevice find_next_bit synchronize_rcu dev_queue_xmit do_exit ext4_find_extent
"""


def test_helpers_are_not_to_blame() -> None:
    assert [name for name in HELPERS.split() if not COMMON.search(name)] == []
    assert [name for name in NOT_HELPERS.split() if COMMON.search(name)] == []
