"""zstd by the system's own libzstd, where the Python package zstandard is not: as in the zipapp.

Source: zstd.h of 1.4 and later (the stable part), section "Streaming decompression".
"""

from __future__ import annotations

import ctypes
from typing import Any

LIBRARY = "libzstd.so.1"
_WINDOW_LOG_MAX = 100
"""ZSTD_d_windowLogMax."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which are alike."""

    _fields_ = (("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t))


def _loaded() -> Any:
    library = ctypes.CDLL(LIBRARY)
    for name, result, arguments in (
        ("ZSTD_createDStream", ctypes.c_void_p, ()),
        ("ZSTD_freeDStream", ctypes.c_size_t, (ctypes.c_void_p,)),
        ("ZSTD_DCtx_setParameter", ctypes.c_size_t, (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)),
        ("ZSTD_decompressStream", ctypes.c_size_t, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)),
        ("ZSTD_isError", ctypes.c_uint, (ctypes.c_size_t,)),
        ("ZSTD_getErrorName", ctypes.c_char_p, (ctypes.c_size_t,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class ZstdLibrary:
    """An incremental decoder of one frame: ``decompress(data, limit)``, ``eof``, ``unused_data``.

    :param window: largest window that a frame may ask for, as a power of two
    :raises OSError: the system has no such library, or an older one
    """

    def __init__(self, window: int) -> None:
        try:
            self._library = _loaded()
        except AttributeError as problem:
            raise OSError(str(problem)) from None
        self._stream = self._library.ZSTD_createDStream()
        self._library.ZSTD_DCtx_setParameter(self._stream, _WINDOW_LOG_MAX, window)
        self._out = ctypes.create_string_buffer(1 << 17)
        self._input = b""
        self.eof = False

    def __del__(self) -> None:
        if getattr(self, "_stream", None):
            self._library.ZSTD_freeDStream(self._stream)

    @property
    def unused_data(self) -> bytes:
        """What was given and not needed."""
        return self._input

    def decompress(self, data: bytes, limit: int) -> bytes:
        """Return what comes next, at most *limit* bytes; nothing when more input is wanted.

        :raises ValueError: the data is damaged
        """
        if self.eof:
            return b""
        self._input += data
        given = ctypes.cast(ctypes.c_char_p(self._input), ctypes.c_void_p)
        source = _Buffer(given, len(self._input), 0)
        target = _Buffer(ctypes.addressof(self._out), min(limit, len(self._out)), 0)
        code = self._library.ZSTD_decompressStream(self._stream, ctypes.byref(target), ctypes.byref(source))
        if self._library.ZSTD_isError(code):
            raise ValueError("zstd: " + self._library.ZSTD_getErrorName(code).decode("ascii", "replace"))
        self._input = self._input[source.at :]
        self.eof = code == 0
        return ctypes.string_at(self._out, target.at)
