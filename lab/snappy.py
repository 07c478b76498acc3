"""A dump whose pages are packed by libsnappy, as ``makedumpfile -p`` writes it where it was built with that.

No makedumpfile of Debian is: its dump without compression is packed again, page by page.
"""

from __future__ import annotations

import ctypes
import os
import struct

from lab import packages
from lab.common import CACHE, locked
from lab.packages import Archive

LIBRARY = Archive("bookworm", "amd64")
PACKAGE = "libsnappy1v5"
FLAG = 4
"""DUMP_DH_COMPRESSED_SNAPPY of makedumpfile."""
_DESC = struct.Struct("<qIIQ")


def _library() -> ctypes.CDLL:
    target = os.path.join(CACHE, "packages", "libsnappy.so")
    with locked("snappy"):
        if not os.path.exists(target):
            package = LIBRARY.download(PACKAGE)
            name = next(name for name in packages.names_in(package) if ".so.1." in name)
            packages.take_out(package, name, target)
    return ctypes.CDLL(target)


def pack(plain: str, target: str) -> None:
    """Write the dump *plain*, whose pages are not compressed, with each page packed."""
    library = _library()
    with open(plain, "rb") as source, open(target, "wb") as out:
        head = bytearray(source.read(464))
        block, sub, bitmaps = struct.unpack_from("<iiI", head, 428)
        source.seek(0)
        start = bytearray(source.read((1 + sub + bitmaps) * block))
        struct.pack_into("<I", start, 424, struct.unpack_from("<I", start, 424)[0] | FLAG)
        dumped = start[len(start) - bitmaps // 2 * block :]
        count = bin(int.from_bytes(dumped, "little")).count("1")
        descs = source.read(count * _DESC.size)
        out.write(start)
        out.seek(len(start) + len(descs))
        packed = bytearray()
        for offset, size, flags, page_flags in _DESC.iter_unpack(descs):
            source.seek(offset)
            page = source.read(size)
            room = ctypes.c_size_t(size + size // 6 + 64)
            buffer = ctypes.create_string_buffer(room.value)
            status = library.snappy_compress(page, ctypes.c_size_t(size), buffer, ctypes.byref(room))
            data, flag = (
                (buffer.raw[: room.value], FLAG) if not status and room.value < size else (page, flags)
            )
            packed += _DESC.pack(out.tell(), len(data), flag, page_flags)
            out.write(data)
        out.seek(len(start))
        out.write(packed)
