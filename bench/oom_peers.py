"""OOMAnalyser beside ``lastwords oom`` on the same real logs.

    python bench/oom_peers.py [--oomanalyser PATH] [--corpus DIRECTORY] [--write]

Both get every log of the collection (../shared/corpus/oom beside the checkout). OOMAnalyser is the file
OOMAnalyser.py of its project, or the directory that holds it; without it only lastwords is measured. A log
counts as right when the number of OOM events, who triggered them, the order and every victim are what the
collection's index says; the peer, which looks at the first event only, is held against that one.
``--write`` puts the table into docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.util
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

from lastwords.formats.oom_events import BEFORE, WORDS, OomEvents
from lastwords.formats.oom_report import OomEvent
from lastwords.roots.logfile import open_log

TOP = Path(__file__).parent.parent
CORPUS = Path(os.environ.get("LASTWORDS_CORPUS") or TOP.parent / "shared" / "corpus") / "oom"
PAGE = TOP / "docs" / "accuracy.md"
VERDICTS = ("right", "partly right", "refused", "crashed", "wrong, without a word")


def events_of(path: Path) -> list[OomEvent]:
    """Return the events that lastwords finds."""
    found: list[OomEvent] = []
    with open_log(str(path), WORDS, before=BEFORE) as reader:
        made = OomEvents(reader.clock)
        for message in reader:
            found += made.feed(message)
            reader.want(made.wanted)
        return found + made.end()


def ours(path: Path, known: dict[str, str]) -> str:
    """Return the verdict on lastwords for one log."""
    events = events_of(path)
    triggers = [event.trigger for event in events if event.trigger is not None]
    killed = {
        f"{victim.pid}/{victim.comm or '?'}"
        for event in events
        if event.killer == "kernel"
        for victim in event.victims
        if victim.pid is not None
    }
    agree = (
        len(triggers) == int(known["n_invoked"]),
        {trigger.comm for trigger in triggers} == set(filter(None, known["trigger"].split(","))),
        not known["order"] or {str(trigger.order) for trigger in triggers} == set(known["order"].split(",")),
        killed == set(filter(None, known["killed"].split(";"))),
    )
    return "right" if all(agree) else "wrong, without a word"


def peer_of(module: ModuleType) -> Callable[[Path, dict[str, str]], str]:
    """Return a function that gives the verdict on OOMAnalyser for one log."""

    def verdict(path: Path, known: dict[str, str]) -> str:
        text = path.read_text(errors="replace")
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                analyser = module.OOMAnalyser(module.OOMEntity(text))
                accepted = analyser.analyse()
        except Exception:  # whatever a peer raises is a crash of it
            return "crashed"
        if not accepted:
            return "refused"
        return _judge(analyser.oom_result.details, path, known)

    return verdict


def _judge(details: dict[str, Any], path: Path, known: dict[str, str]) -> str:
    first = next((event for event in events_of(path) if event.trigger is not None), None)
    victims = set(filter(None, known["killed"].split(";")))
    pid = str(details.get("killed_proc_pid", "")).strip()
    trigger = str(details.get("trigger_proc_name", "")).strip()
    names = set(filter(None, known["trigger"].split(",")))
    if (victims and pid not in {victim.split("/")[0] for victim in victims}) or (
        names and trigger not in names
    ):
        return "wrong, without a word"
    table = details.get("_pstable") or {}
    listed = {row.pid: row.name for row in first.tasks} if first is not None else {}
    shifted = [
        row for row_pid, row in table.items() if listed.get(_number(row_pid)) not in (None, row.get("name"))
    ]
    if shifted:
        return "wrong, without a word"
    several = int(known["n_invoked"]) > 1
    return "partly right" if several or not pid else "right"


def _number(text: object) -> int:
    found = re.search(r"\d+", str(text))
    return int(found[0]) if found else -1


def load(path: Path) -> ModuleType:
    """Load OOMAnalyser.py without its web page."""
    source = path / "OOMAnalyser.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location("OOMAnalyser", source)
    assert spec is not None and spec.loader is not None, source
    module = importlib.util.module_from_spec(spec)
    sys.modules["OOMAnalyser"] = module
    spec.loader.exec_module(module)
    return module


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--oomanalyser", type=Path)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    index = arguments.corpus / "INDEX.tsv"
    if not index.exists():
        print(f"skipped: no collection of logs at {arguments.corpus}")
        return 0
    rows = list(csv.DictReader(io.StringIO(index.read_text()), delimiter="\t", quoting=csv.QUOTE_NONE))
    tools: dict[str, Callable[[Path, dict[str, str]], str]] = {"lastwords oom": ours}
    if arguments.oomanalyser is not None:
        tools["OOMAnalyser"] = peer_of(load(arguments.oomanalyser))
    else:
        print("OOMAnalyser: skipped, give its path with --oomanalyser")
    counts = {
        name: Counter(tool(arguments.corpus / row["file"], row) for row in rows)
        for name, tool in tools.items()
    }
    table = table_of(counts, len(rows))
    print(table)
    if arguments.write:
        write(table)
    return 0 if counts["lastwords oom"]["right"] >= len(rows) * 0.95 else 1


def table_of(counts: dict[str, Counter[str]], total: int) -> str:
    """Return the figures as a table of Markdown."""
    lines = [f"| {total} logs | " + " | ".join(VERDICTS) + " |", "|---|" + "---|" * len(VERDICTS)]
    for name, found in counts.items():
        lines.append(f"| {name} | " + " | ".join(str(found[verdict]) for verdict in VERDICTS) + " |")
    return "\n".join(lines)


def write(table: str, page: Optional[Path] = None) -> None:
    """Put the table into the page."""
    page = page or PAGE
    text = page.read_text()
    page.write_text(
        re.sub(r"(<!-- measured: oom -->\n).*?(<!-- end -->)", rf"\1{table}\n\2", text, flags=re.DOTALL)
    )


if __name__ == "__main__":
    sys.exit(main())
