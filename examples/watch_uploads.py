#!/usr/bin/env python3
"""A bot that watches a folder of uploads: opens each new one, writes a ticket beside it, tells a webhook.

    watch_uploads.py /srv/uploads --once
    watch_uploads.py /srv/uploads --every 30 --hook https://chat.example.com/hooks/lastwords

For NAME it writes NAME.lastwords.md (for the ticket) and NAME.lastwords.json (for programs). An upload that
has them already, and has not changed since, is left alone: start it as often as you like. An upload is taken
when it has not grown for a moment. It needs nothing but lastwords and Python, and changes no upload.

Exit status: 0 done (with --once); 2 the folder is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Optional

import lastwords

MARK = ".lastwords."
SETTLED = 10.0
"""Seconds for which an upload must not have changed."""


def uploads(folder: str, settled: float) -> Iterator[str]:
    """Yield the uploads that are whole and have no answer that is newer than they are."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if MARK in name or name.startswith(".") or not os.path.isfile(path):
            continue
        answer = path + MARK + "json"
        try:
            changed = os.stat(path).st_mtime
            if os.path.exists(answer) and os.stat(answer).st_mtime >= changed:
                continue
        except FileNotFoundError:
            continue  # taken away meanwhile
        if time.time() - changed >= settled:
            yield path


def answer(path: str) -> list[dict[str, Any]]:
    """Open an upload and write what is to be said of it; return a line for each host in it."""
    lines: list[dict[str, Any]] = []
    tickets, verdicts = [], []
    try:
        for each in lastwords.open_all(path):
            tickets.append(each.report("markdown"))
            verdicts.append(each.to_json())
            lines.append(
                {
                    "upload": each.path,
                    "host": each.verdict.host["hostname"],
                    "story": each.story.headline,
                    "confidence": each.story.causes[0].confidence if each.story.causes else None,
                    "critical": each.verdict.count(lastwords.Severity.CRITICAL),
                    "missing": [wish.topic for wish in each.story.missing],
                }
            )
    except lastwords.LastwordsError as problem:
        # One clear line, for whoever uploaded it.
        tickets.append(f"{problem}\n")
        verdicts.append({"path": path, "error": str(problem)})
        lines.append({"upload": path, "error": str(problem)})
    write(path + MARK + "md", "\n".join(tickets))
    write(path + MARK + "json", json.dumps(verdicts, indent=1) + "\n")
    return lines


def write(path: str, text: str) -> None:
    """Write a file beside its name, then rename it: a reader never sees half of it."""
    with open(path + ".partial", "w", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
    os.replace(path + ".partial", path)


def tell(hook: Optional[str], line: dict[str, Any]) -> None:
    """Print a line of JSON, and post it where a webhook is given."""
    print(json.dumps(line), flush=True)
    if hook is None:
        return
    body = json.dumps(
        {"text": f"{line.get('host') or line['upload']}: {line.get('story') or line.get('error')}"}
    )
    request = urllib.request.Request(hook, body.encode(), {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except OSError as problem:
        print(f"{hook}: {problem}", file=sys.stderr)


def main() -> int:
    """Watch a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--once", action="store_true", help="look once, then end")
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--settled", type=float, default=SETTLED, metavar="SECONDS")
    parser.add_argument("--hook", metavar="URL", help="post each story there, as JSON with a text")
    arguments = parser.parse_args()
    if not os.path.isdir(arguments.folder):
        print(f"{arguments.folder}: expected a folder", file=sys.stderr)
        return 2
    while True:
        for path in uploads(arguments.folder, arguments.settled):
            for line in answer(path):
                tell(arguments.hook, line)
        if arguments.once:
            return 0
        time.sleep(arguments.every)


if __name__ == "__main__":
    sys.exit(main())
