"""What cannot be understood is said by the command that was called, with its own usage."""

from __future__ import annotations

import pytest

from lastwords.cli.main import run


@pytest.mark.parametrize(
    ("argv", "who"),
    [
        (["check", "upload.tar.xz"], "lastwords check"),
        (["oops", "--nope", "x.log"], "lastwords oops"),
        (["plan", "kdump", "host"], "lastwords plan"),
        (["--nope"], "lastwords"),
    ],
)
def test_arguments_too_many_are_told_by_their_command(
    argv: list[str], who: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(argv)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith(f"usage: {who} [") and f"\n{who}: error: unrecognized arguments: " in said
