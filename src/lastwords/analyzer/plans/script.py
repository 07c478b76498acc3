"""How the scripts of plans are written: one frame for all, names quoted, files written whole.

Everything that comes from a host is hostile: in commands it goes through :func:`quote`, in comments through
:func:`comment`.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from typing import Optional

from lastwords.hookspecs import Script
from lastwords.model import Case, ExitCode, LastwordsError

WIDTH = 100
FRAME = """\
#!/bin/sh
{head}
set -eu
{functions}
apply() {{
{apply}
}}

undo() {{
{undo}
}}

if [ "$(id -u)" -ne 0 ]; then
    echo "$0: run this as root" >&2
    exit 1
fi
case "${{1:-apply}}" in
apply) apply ;;
undo) undo ;;
*)
    echo "usage: $0 [apply|undo]" >&2
    exit 2
    ;;
esac
"""
_END = "LASTWORDS_END"
_ODD = re.compile(r"[^\x20-\x7e\u00a1-\u1fff\u2c00-\ufffc]")


class NothingToDo(LastwordsError):
    """The plan has nothing to mend: the host is so already."""

    exit_code = ExitCode.OK


class NotPlannable(LastwordsError):
    """What is asked for does not exist on this host, or the plan cannot mend it. The line says which."""


def render(script: Script, case: Case, made_by: str) -> str:
    """Return the whole script.

    :param made_by: the command line that made it
    """
    hostname = (case.facts.get("host") or {}).get("hostname")
    head = [script.title, "", *script.why, ""]
    head.append(f"Made by: {made_by}" + (f", for {hostname}" if hostname else ""))
    head.append(
        "Read it first. As root, `sh FILE` does it, `sh FILE undo` takes it back; twice does no harm."
    )
    return FRAME.format(
        head="\n".join(comment(paragraph) for paragraph in head),
        functions=f"\n{script.functions.strip()}\n" if script.functions else "",
        apply=_indented(script.apply),
        undo=_indented(script.undo),
    )


def quote(text: str) -> str:
    """Return a word for the shell."""
    return shlex.quote(_ODD.sub("?", text))


def literal(name: str, text: str) -> str:
    """Return an assignment of a word that came from a host to a shell variable."""
    quoted = quote(text)
    odd = "# This is the name as it is.\n# shellcheck disable=SC1003,SC2016\n" if quoted != text else ""
    return f"{odd}{name}={quoted}"


def comment(text: str) -> str:
    """Return a paragraph as a comment; line ends and control characters in it are made harmless.

    >>> comment("evil\\nrm -rf /")
    '# evil?rm -rf /'
    """
    text = _ODD.sub("?", text)
    if not text:
        return "#"
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# "))


def write_file(path: str, lines: tuple[str, ...]) -> str:
    """Return shell that writes a small file, its directory made; no line may come from a host unchecked.

    >>> print(write_file("/etc/x.d/y.conf", ("[Service]", "A=1")))
    mkdir -p /etc/x.d
    cat > /etc/x.d/y.conf <<'LASTWORDS_END'
    [Service]
    A=1
    LASTWORDS_END
    """
    if any(_ODD.search(line) or line == _END for line in lines):
        raise NotPlannable(f"{path}: a line for it has characters that no configuration file should have")
    directory = path.rpartition("/")[0]
    body = "\n".join(lines)
    return f"mkdir -p {quote(directory)}\ncat > {quote(path)} <<'{_END}'\n{body}\n{_END}"


def remove_file(path: str, *, directory_too: bool = False) -> str:
    """Return shell that removes a file, and its directory if it is empty then."""
    lines = [f"rm -f {quote(path)}"]
    if directory_too:
        lines.append(f"rmdir {quote(path.rpartition('/')[0])} 2>/dev/null || :")
    return "\n".join(lines)


def _indented(body: str) -> str:
    """Return lines indented, but for what is between ``<<'END'`` and ``END``."""
    found: list[str] = []
    here: Optional[str] = None
    for line in body.strip("\n").split("\n"):
        found.append(line if here or not line else "    " + line)
        if here is None and line.endswith(f"<<'{_END}'"):
            here = _END
        elif line == here:
            here = None
    return "\n".join(found)
