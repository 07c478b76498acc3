"""Rust functions bear their path, and nothing that a log holds makes the reader fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastwords.formats.crash.frames import frames_of
from lastwords.formats.crash.rust_symbols import LENGTH, demangle


@pytest.mark.parametrize(
    ("symbol", "path"),
    [
        ("_RNvCs1234_4acme4open", "acme::open"),
        ("_RNvNtCs1234_4acme3dev4open", "acme::dev::open"),
        ("_RNvMCs1234_4acmeNtB2_6Device3add", "<acme::Device>::add"),
        (
            "_RNvXs0_Cs1234_4acmeNtB5_6DeviceNtNtCs5678_6kernel4file10Operations4open",
            "<acme::Device as kernel::file::Operations>::open",
        ),
        ("_RNCNvCs1234_4acme4open0B3_", "acme::open::{closure#0}"),
        ("_RINvCs1234_4acme4openReE", "acme::open::<&str>"),
        ("_RINvCs1234_4acme4openAhj10_E", "acme::open::<[u8; 16]>"),
        ("_RINvCs1234_4acme4openTlmEFEuE", "acme::open::<(i32, u32), fn()>"),
        ("_RNvCs1234_4acme4open.llvm.1234", "acme::open"),
        ("_RNvCs1234_4acme", "_RNvCs1234_4acme"),
        ("_RNvB_1a", "_RNvB_1a"),
        ("_RAM_free", "_RAM_free"),
        ("_ZN4acme4openE", "_ZN4acme4openE"),
        ("acme_open", "acme_open"),
    ],
)
def test_a_symbol_is_the_path_of_a_function(symbol: str, path: str) -> None:
    assert demangle(symbol) == path


def test_a_frame_bears_the_path() -> None:
    (frame,) = frames_of(" _RNvMCs1234_4acmeNtB2_6Device3add+0x1c/0x40 [acme]")
    assert (frame.name, frame.module) == ("<acme::Device>::add", "acme")


@given(st.text(alphabet="_RNCvtMXYIBETLKASFDpsu0123456789az", max_size=300))
def test_anything_is_read_in_bounds(text: str) -> None:
    assert len(demangle(f"_R{text}")) <= LENGTH + 2


def test_steps_back_do_not_make_a_short_name_endless() -> None:
    doubling = "INvC1a1b" + "".join(f"TB{at}_B{at}_E" for at in range(60)) + "E"
    assert len(demangle(f"_R{doubling}")) <= LENGTH
