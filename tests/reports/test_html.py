"""The HTML report: whole without scripts or a network, and nothing from a host becomes a part of it."""

from __future__ import annotations

import base64
import copy
import doctest
import hashlib
import random
import re
from typing import Any

import pytest
from analyzer.test_rules import RULES
from golden_case import case_of
from hosttree import HOSTS
from html_pages import ATTACKS, MIB, Page, golden, kill, poisoned, render
from hypothesis import given
from hypothesis import strategies as st

from lastwords.analyzer.judge import judge
from lastwords.model import Case
from lastwords.reports.html import charts, markup
from lastwords.reports.html.markup import Markup, join, own_text, tag
from lastwords.verdict import Verdict

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "a",
    "header",
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
    "li",
    "dl",
    "div",
    "dt",
    "dd",
    "strong",
    "b",
    "span",
    "nav",
    "main",
    "section",
    "article",
    "footer",
    "script",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "pre",
    "details",
    "summary",
    "svg",
    "rect",
    "text",
    "circle",
}
ATTRIBUTES = {
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "href",
    "class",
    "id",
    "aria-label",
    "aria-labelledby",
    "aria-hidden",
    "role",
    "tabindex",
    "scope",
    "colspan",
    "data-v",
    "open",
    "x",
    "y",
    "cx",
    "cy",
    "r",
    "rx",
    "width",
    "height",
    "title",
}
FAILED = "This part could not be made"


@pytest.mark.parametrize("attack", [*ATTACKS, "".join(ATTACKS)])
def test_attacks_stay_text(attack: str) -> None:
    text = render(poisoned("debian12", attack))
    page = Page(text)
    assert {name for name, _ in page.elements} <= TAGS
    assert {key for _, attributes in page.elements for key in attributes} <= ATTRIBUTES
    assert page.comments == []
    assert FAILED not in text
    assert all(str(link["href"]).startswith("#") for link in page.all("a"))
    assert len(page.all("script")) == len(page.all("style")) == 1
    assert "pwned" not in page.text["script"] + page.text["style"]
    text.encode()  # lone surrogates would not be UTF-8
    for bad in "\x00\x07\x1b\x9b\u202e\u2028\ufeff":
        assert bad not in text


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_is_loaded_and_only_our_own_runs(host: str) -> None:
    text = render(golden(host, [kill(5)]))
    page = Page(text)
    policy = next(
        str(m["content"]) for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.text[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.search(r"url\(|@import|https?:", page.text["style"] + page.text["script"])
    assert len(page.text["script"].encode()) < 10_000
    assert len(text.encode()) < 1_000_000
    assert len(re.findall(r'\bid="([^"]*)"', text)) == len(set(re.findall(r'\bid="([^"]*)"', text)))
    targets = {str(attributes.get("id")) for _, attributes in page.elements}
    assert {str(link["href"])[1:] for link in page.all("a")} <= targets


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_shown_with_all_its_parts(host: str) -> None:
    verdict = golden(host, [kill(5)])
    text = render(verdict)
    page = Page(text)
    assert FAILED not in text
    expected = ["story", "findings", "timeline", "oom", "memory", "ranking", "cgroups", "crash", "boot"]
    assert page.sections == [*expected, "not-seen", "facts"]
    everything = re.sub(r"<[^>]*>", "", text)
    for finding in verdict.findings:
        assert markup.escape(finding.title) in everything
    assert verdict.host["hostname"] in page.text["h1"]
    for words in ("java alone held 2.5 GiB", "in no counter", "GFP_HIGHUSER", "confirmed by the formula"):
        assert words in everything


def test_a_section_without_facts_is_absent() -> None:
    page = Page(render(judge("x", Case({}, [], {}, "bundle", None), [])))
    assert page.sections == ["story", "findings", "not-seen"]
    whole = case_of("rhel9", {}, [])
    alone = {
        "memory": ["memory", "cgroups"],
        "processes": ["ranking"],
        "kdump": ["crash"],
        "crash_dumps": ["crash"],
        "boot": ["boot"],
        "host": [],
    }
    for name, sections in alone.items():
        page = Page(render(judge("x", Case({name: whole.facts[name]}, [], {}, "bundle", None), [])))
        assert [
            each for each in page.sections if each not in ("story", "findings", "not-seen", "facts")
        ] == sections


def holed(value: Any, chance: random.Random) -> Any:
    """Return facts in which some values could not be read."""
    if isinstance(value, dict):
        return {key: None if chance.random() < 0.15 else holed(each, chance) for key, each in value.items()}
    if isinstance(value, list):
        return [holed(each, chance) for each in value]
    return value


KEYS = {"path", "pid", "version", "unit", "key", "name", "comm", "start", "end", "records", "groups"}


@pytest.mark.parametrize("seed", range(12))
def test_what_could_not_be_read_costs_no_section(seed: int) -> None:
    chance = random.Random(seed)
    for host in HOSTS:
        case = case_of(host, {}, [kill(5)])
        # What a schema does not let be null stays.
        facts = {name: restored(holed(each, chance), each) for name, each in case.facts.items()}
        text = render(Verdict("x", Case(facts, case.events, {}, "bundle", None), []))
        assert re.findall(FAILED + "[^<]*", text) == []
        Page(text)


def restored(holes: Any, whole: Any) -> Any:
    if isinstance(holes, dict):
        return {k: whole[k] if k in KEYS and v is None else restored(v, whole[k]) for k, v in holes.items()}
    if isinstance(holes, list):
        return [restored(a, b) for a, b in zip(holes, whole)]
    return holes


def test_a_section_that_fails_costs_no_other() -> None:
    text = render(golden("rhel9", memory__meminfo=["not", "a", "mapping"]))
    assert FAILED in text
    assert {"boot", "facts", "crash"} <= set(Page(text).sections)


def test_a_huge_host_makes_no_huge_file() -> None:
    processes = copy.deepcopy(case_of("rhel9", {}, []).facts["processes"]["records"][0])
    many = [{**processes, "pid": pid, "comm": "<" * 15, "start_ticks": pid} for pid in range(1, 20_000)]
    events = [kill(n / 10, explanation=None) for n in range(5000)]
    text = render(golden("rhel9", events, processes__records=many, kernel__version="&" * 3_000_000))
    assert len(text.encode()) < 2_000_000
    assert "left out" in text


def test_commands_and_evidence_are_shown_as_they_are() -> None:
    verdict = golden("rhel9", kdump__kexec__crash_loaded=False)
    text = render(verdict)
    assert "systemctl status kdump.service\nsystemctl enable --now kdump.service\ncat /sys/kernel" in text
    assert (
        '<code class="place">/sys/kernel/kexec_crash_loaded</code>: <code class="said">0</code>, expected'
        in text
    )


def test_states_of_boot_entries() -> None:
    text = render(golden("debian12"))
    entries = text[text.index('id="boot"') :]
    assert re.search(r"Debian GNU/Linux <span[^>]*>default</span>", entries)
    assert re.search(r'<th scope="row">6.1.0-17-amd64</th>.{0,200}missing', entries)
    damaged = [{"path": "/boot/initrd.img-6.1.0-18-amd64", "complete": False, "damage": "cut after 9 bytes"}]
    entries = render(golden("debian12", initramfs__images=damaged))
    assert "cut after 9 bytes" in entries
    assert '<span class="badge critical">damaged</span>' in entries


def test_memory_without_an_owner_is_named() -> None:
    held = {"MemTotal": 1000 * MIB, "AnonPages": 300 * MIB, "MemFree": 100 * MIB}
    text = render(golden("rhel9", memory__meminfo=held))
    assert re.search(r"in no counter</span><span class=\"value\">600.0 MiB", text)


@given(st.lists(st.floats(0.01, 1e12), min_size=1, max_size=60))
def test_a_map_is_filled_in_proportion(values: list[float]) -> None:
    values.sort(reverse=True)
    boxes = charts.layout(values, 960.0, 380.0)
    assert len(boxes) == len(values)
    for value, (left, top, wide, high) in zip(values, boxes):
        assert wide * high == pytest.approx(value / sum(values) * 960 * 380, rel=1e-6, abs=1e-6)
        assert left >= -1e-6 and top >= -1e-6 and left + wide <= 960.01 and top + high <= 380.01


def test_markup_cannot_forget() -> None:
    for module in (markup, charts):
        assert doctest.testmod(module).failed == 0
    assert tag("p", "<b>", class_="a\"b'c").html == '<p class="a&quot;b&#x27;c">&lt;b&gt;</p>'
    assert join("<", tag("br"), None, ["&", 3]).html == "&lt;<br>&amp;3"
    with pytest.raises(TypeError):
        f"{Markup('x')}"
    forbidden: tuple[dict[str, Any], ...] = (
        {"onclick": "x"},
        {"style": "x"},
        {"src": "x"},
        {"href": "javascript:x"},
    )
    for attributes in forbidden:
        with pytest.raises(ValueError):
            tag("a", **attributes)
    with pytest.raises(ValueError):
        tag("img onerror=x")
    with pytest.raises(ValueError):
        own_text("script", "'</script>'")


def test_the_lines_around_an_evidence_are_folded_and_escaped() -> None:
    lines = [(7, "before"), (8, "<script>alert(1)</script> it"), (9, "\x1b[31mafter")]
    case = case_of("rhel9", {}, [{**kill(0), "line": 8}])
    case.around = lambda path, line: lines
    page = render(judge("x", case, RULES.values()))
    assert "the lines around it" in page
    assert "8  &lt;script&gt;alert(1)&lt;/script&gt; it" in page
    assert "<script>alert" not in page
