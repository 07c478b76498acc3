"""OOMAnalyser beside ``lastwords oom`` on the same real logs.

    python bench/oom_peers.py [--oomanalyser PATH] [--corpus DIRECTORY] [--write]

Both get every log of the collection (../shared/corpus/oom beside the checkout). OOMAnalyser is the file
OOMAnalyser.py of its project, or the directory that holds it; without it only lastwords is measured. A log
counts as right when the number of OOM events, who triggered them, the order and every victim are what the
collection's index says; the peer, which looks at the first event only, gets the log from that event on, as
its manual says, and is held against that event. What it leaves unsaid is not wrong, and refusing a log
without an event is right. It is a web page: measured is its source, run by Python.
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

from lastwords.analyzer.oom.reports import events_in
from lastwords.formats.oom.events import BEFORE, WORDS
from lastwords.formats.oom.report import OomEvent
from lastwords.roots.logfile import open_log

TOP = Path(__file__).parent.parent
CORPUS = Path(os.environ.get("LASTWORDS_CORPUS") or TOP.parent / "shared" / "corpus") / "oom"
PAGE = TOP / "docs" / "accuracy.md"
HEADER = "invoked oom-killer"
PARTS = (HEADER, "total_vm", r"Kill(ed)? process")  # header, task table and kill line of a complete report
VERDICTS = ("right", "partly right", "refused", "crashed", "wrong, without a word")


def events_of(path: Path) -> list[OomEvent]:
    """Return the events that lastwords finds."""
    with open_log(str(path), WORDS, before=BEFORE) as reader:
        return list(events_in(reader))


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
        text = _from_first_event(path.read_text(errors="replace"))
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                analyser = module.OOMAnalyser(module.OOMEntity(text))
                accepted = analyser.analyse()
        except Exception:  # whatever a peer raises is a crash of it
            return "crashed"
        if not accepted:
            return "refused" if int(known["n_invoked"]) or known["killed"] else "right"
        return _judge(analyser.oom_result.details, path, known)

    return verdict


def _from_first_event(text: str) -> str:
    """Return the text from the line of the first event's header on, all of it without one."""
    return text[text.rfind("\n", 0, max(text.find(HEADER), 0)) + 1 :]


def _judge(details: dict[str, Any], path: Path, known: dict[str, str]) -> str:
    first = next((event for event in events_of(path) if event.trigger is not None), None)
    victims = {victim.split("/")[0] for victim in known["killed"].split(";") if victim}
    pid = _said(details, "killed_proc_pid")
    trigger = _said(details, "trigger_proc_name")
    names = set(filter(None, known["trigger"].split(",")))
    if (pid and victims and pid not in victims) or (trigger and names and trigger not in names):
        return "wrong, without a word"
    table = details.get("_pstable") or {}
    listed = {row.pid: row.name for row in first.tasks} if first is not None else {}
    shifted = [
        row for row_pid, row in table.items() if listed.get(_number(row_pid)) not in (None, row.get("name"))
    ]
    if shifted:
        return "wrong, without a word"
    several = int(known["n_invoked"]) > 1
    return "partly right" if several or not pid or not trigger else "right"


def _said(details: dict[str, Any], name: str) -> str:
    """Return what the peer says of one thing, empty where it says nothing."""
    value = details.get(name)
    return "" if value in (None, "<not found>") else str(value).strip()


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
        module = load(arguments.oomanalyser)
        tools[f"OOMAnalyser {module.VERSION}"] = peer_of(module)
    else:
        print("OOMAnalyser: skipped, give its path with --oomanalyser")
    verdicts = {
        name: [
            (tool(arguments.corpus / row["file"], row), _complete(arguments.corpus / row["file"]))
            for row in rows
        ]
        for name, tool in tools.items()
    }
    counts = {name: Counter(verdict for verdict, _ in found) for name, found in verdicts.items()}
    complete = {
        name: Counter(verdict for verdict, whole in found if whole) for name, found in verdicts.items()
    }
    table = "\n\n".join(
        (
            table_of(counts, f"{len(rows)} logs"),
            table_of(complete, f"{sum(complete['lastwords oom'].values())} complete logs"),
        )
    )
    print(table)
    if arguments.write:
        write(table)
    return 0 if counts["lastwords oom"]["right"] >= len(rows) * 0.95 else 1


def _complete(path: Path) -> bool:
    """Whether a log holds all parts of a report; an event in a cut one is often not to be read at all."""
    text = path.read_text(errors="replace")
    return all(re.search(part, text) for part in PARTS)


def table_of(counts: dict[str, Counter[str]], title: str) -> str:
    """Return the figures as a table of Markdown."""
    lines = [f"| {title} | " + " | ".join(VERDICTS) + " |", "|---|" + "---|" * len(VERDICTS)]
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
