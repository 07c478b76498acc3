"""The page: head and policy, what the host is, the sections that have something to say, style and script."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple, Optional

from lastwords import __version__
from lastwords.formats.sizes import size
from lastwords.model import Severity
from lastwords.plugins import describe
from lastwords.reports import words
from lastwords.reports.html import (
    boot,
    cgroups,
    changes,
    crash,
    facts,
    findings,
    memory,
    not_seen,
    oom,
    ranking,
    story,
    timeline,
)
from lastwords.reports.html.markup import Content, Markup, own_text, tag
from lastwords.verdict import Verdict


class Section(NamedTuple):
    """A part of the page."""

    id: str
    title: str
    build: Callable[[Verdict], Optional[Markup]]
    """Returns its content; None when the case has nothing on it."""


SECTIONS = (
    Section("story", "What happened", story.section),
    Section("findings", "Findings", findings.section),
    Section("changes", "What changed", changes.section),
    Section("timeline", "Timeline", timeline.section),
    Section("oom", "Out of memory", oom.section),
    Section("memory", "Memory", memory.section),
    Section("ranking", "Next victim", ranking.section),
    Section("cgroups", "Control groups", cgroups.section),
    Section("crash", "Crash dumps", crash.section),
    Section("boot", "Boot", boot.section),
    Section("not-seen", "Not seen", not_seen.section),
    Section("facts", "Raw facts", facts.section),
)


def page(verdict: Verdict) -> str:
    """Return the whole document."""
    style, script = _own("style.css"), _own("script.js")
    sections = [
        (section, content) for section in SECTIONS if (content := _built(section, verdict)) is not None
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"lastwords {__version__}"),
        tag("title", _title(verdict)),
        own_text("style", style),
    )
    body = tag(
        "body",
        tag("a", "To the content", href="#content", class_="skip"),
        _header(verdict),
        tag(
            "nav",
            tag("ul", [tag("li", tag("a", section.title, href=f"#{section.id}")) for section, _ in sections]),
            aria_label="Sections",
        ),
        tag("main", [_framed(section, content) for section, content in sections], id="content"),
        tag("footer", tag("p", f"lastwords {__version__}, from {words.plain(verdict.path)}")),
        own_text("script", script),
    )
    return "<!doctype html>\n" + tag("html", head, "\n", body, lang="en").html + "\n"


def _built(section: Section, verdict: Verdict) -> Optional[Markup]:
    """Return the content of a section; one that fails says so and costs no other."""
    try:
        return section.build(verdict)
    except Exception as problem:
        return tag("p", f"This part could not be made: {describe(problem)}", class_="none")


def _framed(section: Section, content: Markup) -> Content:
    heading = tag("h2", section.title, id=f"{section.id}-title")
    return tag("section", heading, content, id=section.id, aria_labelledby=f"{section.id}-title"), "\n"


def _header(verdict: Verdict) -> Markup:
    host, case = verdict.host, verdict.case
    uptime = (case.facts.get("host") or {}).get("uptime")
    known = [
        ("System", host["distribution"]),
        ("Kernel", host["kernel_release"]),
        ("Machine", host["architecture"]),
        ("Memory", size(host["memory_total"]) if host["memory_total"] else None),
        ("Up", words.duration(uptime) if uptime else None),
        (
            "File written" if case.root_kind == "log" else "Seen",
            words.moment(case.taken_at) if case.taken_at else None,
        ),
        ("Input", f"{words.input_kind(case)} {os.path.basename(verdict.path.rstrip('/'))}"),
    ]
    tally = [
        tag(
            "li",
            tag("strong", verdict.count(severity)),
            " ",
            severity.word,
            class_=f"tally {severity.word}" if verdict.count(severity) else "tally zero",
        )
        for severity in reversed(Severity)
    ]
    return tag(
        "header",
        tag("p", "lastwords", class_="brand"),
        tag("h1", words.plain(host["hostname"] or verdict.path)),
        tag("ul", tally, class_="tallies", aria_label="Findings by severity"),
        tag(
            "dl", [tag("div", tag("dt", k), tag("dd", words.plain(v))) for k, v in known if v], class_="known"
        ),
        tag("ul", [tag("li", words.plain(note)) for note in case.notes], class_="notes")
        if case.notes
        else None,
    )


def _title(verdict: Verdict) -> str:
    worst = verdict.worst()
    said = f"{verdict.count(worst)} {worst.word}" if worst is not None else "nothing found"
    return f"{words.plain(verdict.host['hostname'] or verdict.path)}: {said} (lastwords)"


def _policy(style: str, script: str) -> str:
    """Return the content security policy: nothing is loaded, and of scripts and styles only our own run."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _own(name: str) -> str:
    """Return a file that lies beside this module, in a zip archive as well."""
    import pkgutil

    data = pkgutil.get_data(__package__ or "", name)
    assert data is not None, name
    return data.decode()
