"""Messages of a log: whatever was done to them on their way, they come out as the kernel wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klog_forms import FORMS, WRAPPED

from lastwords.formats.log.messages import Message, Messages, messages

TEXTS = [
    "tmux: server invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    "CPU: 3 PID: 812 Comm: tmux: server Not tainted 6.1.0-18-amd64 #1",
    "Mem-Info:",
    "active_anon:310908 inactive_anon:0 isolated_anon:0",
    " active_file:200033 inactive_file:298205 isolated_file:0",
    "Node 0 DMA free:11260kB boost:0kB min:12kB low:24kB high:36kB reserved_highatomic:0KB active_anon:0kB",
    "lowmem_reserve[]: 0 3168 64195 64195 64195",
    "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    "[    431]     0   431    12586     4625   118784        0          -250 systemd-journal",
    "Out of memory: Killed process 812 (tmux: server) total-vm:3676kB, anon-rss:0kB",
]


def read(log: bytes) -> list[Message]:
    lines = log.split(b"\n")
    return list(messages((n, 0, line) for n, line in enumerate(lines[:-1], 1)))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_messages(form: str) -> None:
    found = read(FORMS[form](TEXTS))
    assert [message.text for message in found] == TEXTS
    assert all(message.is_kernel and not message.bare for message in found)


def test_the_rest_of_a_wrapped_line_is_told_by_its_missing_prefix() -> None:
    found = read(WRAPPED["quoted and wrapped"](TEXTS))
    whole: list[str] = []
    for message in found:
        if message.bare:
            whole[-1] += " " + message.text
        else:
            whole.append(message.text)
    assert [" ".join(text.split()) for text in whole] == [" ".join(text.split()) for text in TEXTS]
    assert {message.line.monotonic for message in found} == {511.000001}


def test_journal_tells_who_and_when() -> None:
    for form in ("journal, json", "journal, json-pretty", "journal, export", "journal, verbose"):
        first = read(FORMS[form](TEXTS))[0].line
        assert (first.host, first.tag, first.priority) == ("web", "kernel", 4)
        assert (first.unix, first.monotonic) == (1772331247.0, 511.0)


def test_messages_of_programs_are_told_apart() -> None:
    log = b"""\
Mar  1 02:14:07 web agent[812]: Killed process 12 (java)
Mar  1 02:14:07 web kernel: Killed process 12 (java)
12,1,5,-;agent: Killed process 12 (java)
{"MESSAGE": "Killed process 12 (java)", "_TRANSPORT": "journal", "SYSLOG_IDENTIFIER": "agent"}
"""
    assert [message.is_kernel for message in read(log)] == [False, True, False, False]


def test_bytes_as_numbers_and_lines_within_an_entry() -> None:
    log = b'{"MESSAGE": [65, 10, 255, 66], "_TRANSPORT": "kernel", "__REALTIME_TIMESTAMP": "5"}\n'
    assert [message.text for message in read(log)] == ["A", "\ufffdB"]


def test_an_export_cut_at_both_ends_gives_its_whole_entries() -> None:
    log = FORMS["journal, export"](TEXTS[:4])
    found = read(log[log.index(b"_BOOT_ID") : -20])
    assert [message.text for message in found if message.text in TEXTS] == TEXTS[1:3]


def test_interleaved_streams_are_told_by_host_and_caller() -> None:
    log = b"[    1.000001][  T10] one\n[    1.000002][   C3] two\n[    1.000003][  T10] three\n"
    assert [message.stream for message in read(log)] == [(None, "T10"), (None, "C3"), (None, "T10")]


def test_a_row_of_a_sanitizer_is_no_quotation() -> None:
    assert read(b">ffff888069eef800: 00 00 fb\n")[0].text == ">ffff888069eef800: 00 00 fb"


@given(st.lists(st.binary(max_size=80) | st.sampled_from(FORMS["journal, export"](TEXTS).split(b"\n"))))
def test_anything_is_read(lines: list[bytes]) -> None:
    made = Messages()
    for number, line in enumerate(b"\n".join(lines).split(b"\n"), 1):
        for message in made.feed(number, 0, line):
            assert "\n" not in message.text
    made.end()
