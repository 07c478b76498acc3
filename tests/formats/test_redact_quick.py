"""The quick look before the rules: whatever they would remove, it must not wave through."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastwords.formats.redact import secrets as module

WORDS = [
    *(
        "password",
        "PASSWD",
        "passphrase",
        "Passwort",
        "secret",
        "TOKEN",
        "api_key",
        "apikey",
        "auth_key",
        "key",
    ),
    *(
        "ftp_pass",
        "pass",
        "bypass",
        "pwd",
        "psk",
        "private_key",
        "iscsi:",
        "ftp://joe:pw@host/x",
        "password_pbkdf2",
    ),
    *(
        "systemd.set_credential=",
        "Authorization: Basic ",
        "grub.pbkdf2.sha512.10000.AB",
        "Speculation_Store_Bypass:",
    ),
    *("-----BEGIN RSA PRIVATE KEY-----", "x1", "0", "--", "=", ": ", " ", "\n", "\t", '"', ",", "@"),
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_nothing_that_a_rule_removes_is_waved_through(words: list[str]) -> None:
    data = "".join(words).encode()
    if module.suspicious(data):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "suspicious", lambda _: True)
        assert module.redact(data) == (data, 0)


def test_the_status_of_every_process_passes_quickly() -> None:
    with open("/proc/self/status", "rb") as file:
        assert not module.suspicious(file.read())
    assert module.suspicious(b"Speculation_Store_Bypass:\tvulnerable\npassword=x")
