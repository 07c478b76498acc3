"""The kernel log in a dump: ring buffer (5.10 and later), records (3.5 to 5.9), plain ring (before).

The text is that of ``makedumpfile --dump-dmesg``. Sources: kernel/printk/printk_ringbuffer.[ch] and printk.c;
struct printk_log of 3.5 to 5.9; printk.c and dump_dmesg() of makedumpfile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from lastwords.formats.vmcore.kernel import Kernel, Region
from lastwords.formats.vmcore.source import DumpError, Missing

MAX_RECORDS_BITS = 22
"""Greatest ring that is read: CONFIG_LOG_BUF_SHIFT is 25 at most, and a record 32 bytes on average."""
MAX_TEXT_BITS = 30
_COMMITTED, _FINALIZED = 1, 2
_BYTES = re.compile(rb"[^\t-\r -~]")
_CPU = 0x80000000
_STOP_AFTER = 1 << 16
"""Records in a row that are not there, after which no more are looked for."""


@dataclass(frozen=True)
class Record:
    """One message."""

    time: int
    """Nanoseconds of the kernel's clock; 0 in the plain ring, whose text has its own stamps."""
    text: bytes
    level: Optional[int] = None
    """0 (emergency) to 7 (debug)."""
    caller: Optional[str] = None
    """``T123`` a task, ``C0`` a CPU; since 5.10."""
    stamped: bool = True
    """False in the plain ring."""

    def line(self, caller: bool = False) -> bytes:
        """Return it as makedumpfile prints it, without the last newline; of several lines, as several.

        :param caller: with the caller, as makedumpfile does since 1.7.6

        >>> Record(1234567890, b"two\\nlines\\x01").line()
        b'[    1.234567] two\\n               lines\\\\x01'
        """
        if not self.stamped:
            return self.text
        prefix = b"[%5d.%06d] " % (self.time // 10**9, self.time % 10**9 // 1000)
        if caller and self.caller:
            prefix += b"[%8s] " % self.caller.encode()
        text = _BYTES.sub(lambda match: b"\\x%02x" % match[0][0], self.text)
        return prefix + text.replace(b"\n", b"\n" + b" " * len(prefix))


class KernelLog:
    """The log of one kernel; iterate over it once."""

    def __init__(self, kernel: Kernel) -> None:
        """Find the buffer. :raises DumpError: VMCOREINFO does not tell where it is"""
        self._kernel = kernel
        info = kernel.info
        if info.find_symbol("prb"):
            self.kind = "ring buffer"
        elif info.find_symbol("log_buf"):
            self.kind = "records" if info.find_symbol("log_first_idx") else "plain"
        else:
            raise DumpError("VMCOREINFO tells neither prb nor log_buf: the kernel log cannot be found")
        self.lost = 0
        """Records that are not in the dump, as far as the log was read."""

    def __iter__(self) -> Iterator[Record]:
        """Yield the messages, oldest first. :raises DumpError: what leads to them is not there"""
        return {"ring buffer": self._ring, "records": self._records, "plain": self._plain}[self.kind]()

    def _ring(self) -> Iterator[Record]:
        kernel, info = self._kernel, self._kernel.info
        word, long = kernel.word, info.offset("atomic_long_t.counter")
        at = kernel.pointer(info.symbol("prb"))
        ring = kernel.read(at, info.size("printk_ringbuffer"))

        def field(struct_at: str, name: str, size: int = word, extra: int = 0) -> int:
            offset = info.offset(struct_at) + info.offset(name) + extra
            return kernel.integer(ring[offset : offset + size])

        descs = "printk_ringbuffer.desc_ring"
        data = "printk_ringbuffer.text_data_ring"
        bits, text_bits = (
            field(descs, "prb_desc_ring.count_bits", 4),
            field(data, "prb_data_ring.size_bits", 4),
        )
        if bits > MAX_RECORDS_BITS or text_bits > MAX_TEXT_BITS:
            raise DumpError(f"printk ring buffer of 2^{bits} records and 2^{text_bits} bytes: absurd")
        count, text_size = 1 << bits, 1 << text_bits
        id_mask = (1 << word * 8 - 2) - 1
        head = field(descs, "prb_desc_ring.head_id", extra=long) & id_mask
        tail = field(descs, "prb_desc_ring.tail_id", extra=long) & id_mask
        desc_size, info_size = info.size("prb_desc"), info.size("printk_info")
        desc_table = Region(kernel, field(descs, "prb_desc_ring.descs"), count * desc_size)
        info_table = Region(kernel, field(descs, "prb_desc_ring.infos"), count * info_size)
        texts = Region(kernel, field(data, "prb_data_ring.data"), text_size)
        state_at = info.offset("prb_desc.state_var") + long
        block_at = info.offset("prb_desc.text_blk_lpos")
        begin_at = block_at + info.offset("prb_data_blk_lpos.begin")
        next_at = block_at + info.offset("prb_data_blk_lpos.next")
        time_at, length_at = info.offset("printk_info.ts_nsec"), info.offset("printk_info.text_len")
        caller_at = (
            info.offset("printk_info.caller_id") if info.has("OFFSET(printk_info.caller_id)") else None
        )

        missed = 0
        number = min((head - tail & id_mask) + 1, count)
        for i in range(number):
            record = head - (number - 1 - i) & id_mask
            slot = record % count
            try:
                desc = desc_table.read(slot * desc_size, desc_size)
                state = kernel.integer(desc[state_at : state_at + word])
                if state & id_mask != record or state >> word * 8 - 2 not in (_COMMITTED, _FINALIZED):
                    continue
                begin = kernel.integer(desc[begin_at : begin_at + word]) % text_size
                following = kernel.integer(desc[next_at : next_at + word]) % text_size
                if begin == following:  # no text
                    continue
                if begin > following:  # wrapped, unless it ends with the ring
                    begin, following = (0, following) if following else (begin, text_size)
                about = info_table.read(slot * info_size, info_size)
                length = kernel.integer(about[length_at : length_at + 2])
                text = texts.read(begin + word, max(0, min(length, following - begin - word)))
                missed = 0
            except Missing:
                self.lost += 1
                missed += 1
                if missed > _STOP_AFTER:
                    return
                continue
            caller = None
            if caller_at is not None:
                caller_id = kernel.integer(about[caller_at : caller_at + 4])
                caller = f"{'C' if caller_id & _CPU else 'T'}{caller_id & ~_CPU}"
            # struct printk_info: text_len, then a byte of facility and one of flags (5 bits) and level.
            level = about[length_at + 3] >> 5 if len(about) > length_at + 3 else None
            yield Record(kernel.integer(about[time_at : time_at + 8]), text, level, caller)

    def _records(self) -> Iterator[Record]:
        kernel, info = self._kernel, self._kernel.info
        # struct log of 3.5 to 3.10 was renamed.
        name = "printk_log" if info.has("SIZE(printk_log)") else "log"
        head = info.size(name)
        time_at, length_at, text_at = (
            info.offset(f"{name}.{each}") for each in ("ts_nsec", "len", "text_len")
        )
        size = kernel.number(info.symbol("log_buf_len"))
        if size > 1 << MAX_TEXT_BITS:
            raise DumpError(f"log buffer of {size} bytes: absurd")
        buffer = Region(kernel, kernel.pointer(info.symbol("log_buf")), size)
        at, end = kernel.number(info.symbol("log_first_idx")), kernel.number(info.symbol("log_next_idx"))
        seen = 0
        try:
            while at != end and seen <= size:
                record = buffer.read(at, head)
                length = kernel.integer(record[length_at : length_at + 2])
                if length == 0:  # the rest of the buffer is unused
                    at = 0
                    record = buffer.read(at, head)
                    length = kernel.integer(record[length_at : length_at + 2])
                    if length == 0 or end == 0:
                        return
                if length < head:
                    raise DumpError(f"log record at {at}: expected at least {head} bytes, found {length}")
                text_length = kernel.integer(record[text_at : text_at + 2])
                text = buffer.read(at + head, min(text_length, length - head))
                # ts_nsec, len, text_len, dict_len, then a byte of facility and one of flags and level.
                level = record[text_at + 5] >> 5 if len(record) > text_at + 5 else None
                yield Record(kernel.integer(record[time_at : time_at + 8]), text, level)
                at += length
                seen += length
        except Missing:
            self.lost += 1  # and, as each record leads to the next, all after it

    def _plain(self) -> Iterator[Record]:
        kernel, info = self._kernel, self._kernel.info
        size = kernel.number(info.symbol("log_buf_len"))
        if not 0 < size <= 1 << MAX_TEXT_BITS:
            raise DumpError(f"log buffer of {size} bytes: absurd")
        end = kernel.number(info.symbol("log_end"))
        base = kernel.pointer(info.symbol("log_buf"))
        parts = [(0, end)] if end < size else [(end % size, size), (0, end % size)]
        rest = b""
        for start, stop in parts:
            for at in range(start, stop, 1 << 14):
                try:
                    rest += kernel.read(base + at, min(1 << 14, stop - at))
                except Missing:
                    self.lost += 1
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield Record(0, line, stamped=False)
        if rest:
            yield Record(0, rest, stamped=False)
