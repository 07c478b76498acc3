"""Kills by daemons that act before the kernel has to: systemd-oomd, earlyoom, nohang, oomd.

    systemd-oomd[34]: Killed /user.slice/a.service due to memory pressure for /user.slice being 64.15% > 1.00%
    earlyoom[12]: sending SIGTERM to process 812 uid 1000 "java": badness 733, VmRSS 3072 MiB
    kernel: oomd kill: 81.28 80.05 42.78 workload.slice/a 1048576 ruleset:[pressure] killer:kill_by_memory v2

Sources: systemd src/oom/oomd-manager.c and oomd-util.c (247 to 258), earlyoom kill.c (1.0 to 1.9), nohang,
facebookincubator/oomd src/oomd/plugins/BaseKillPlugin.cpp.
"""

from __future__ import annotations

import re
from typing import Optional

from lastwords.formats.log.messages import Message
from lastwords.formats.oom.kills import Victim
from lastwords.formats.oom.report import OomEvent

_TAGGED = re.compile(r"(systemd-oomd|earlyoom|nohang|oomd)(?:\[\d{1,10}\])?: ")
_ATTEMPT = re.compile(r"oomd attempting to kill (\d{1,10}) with (?:SIG)?([A-Z]{1,10})")
_KILLED_GROUP = re.compile(r"(?:Killed|Marked) (/\S*)(?: for killing)? due to (.{1,400})")
_SENDING = re.compile(
    r"sending (?P<signal>SIG\w{1,10}) to process (?P<pid>\d{1,10})(?: uid (?P<uid>\d{1,10}))?"
    r' "(?P<comm>.{0,64})": (?:badness|oom_score) (?P<score>-?\d{1,10})(?P<rest>.*)'
)
_KILLING = re.compile(r'[Kk]illing process (?P<pid>\d{1,10})[ :]+"?(?P<comm>[^",]{1,64}?)"?\s*(?:$|,)')
_RSS = re.compile(r"\bVmRSS (\d{1,12}) MiB")
_ADJ = re.compile(r"\boom_score_adj (-?\d{1,5})")
_LOW = re.compile(r"low memory! (.{1,200})")
_OOMD = re.compile(r"oomd kill: ([\d.]+) ([\d.]+) ([\d.]+) +(\S+) +(\d{1,18})(.*)")
_VICTIM_PID = re.compile(r"[Vv]ictim.{0,40}\bPID:? ?(\d{1,10})\b(?:.{0,20}?[Nn]ame: ?([^,)]{1,64}))?")
_PID = re.compile(r"\s*PID: +(\d{1,10})\b(?:.{0,40}?Name: +([^,]{1,64}))?")
_NAME = re.compile(r"\s*Name: +(\S.{0,63}?)(?:,|\s*$)")
_NOHANG = re.compile(r"(?:\[ OK \] ?)?\s*Sending (SIG\w{1,10}) to (.{1,64}?)(?:[;,.]|\s*$)")


class UserKillers:
    """Goes through the messages of one host; several lines may tell of one kill."""

    def __init__(self) -> None:
        self._pids: list[tuple[int, str]] = []
        self._reason: Optional[str] = None
        self._named: tuple[Optional[int], Optional[str]] = (None, None)
        self._last: Optional[OomEvent] = None

    def feed(self, message: Message) -> Optional[OomEvent]:
        """Return the kill that a message tells of; None when it tells of none, or goes on with the last."""
        text, tag = message.text.strip(), message.line.tag
        if (match := _TAGGED.match(text)) is not None and tag in (None, "kernel"):
            text, tag = text[match.end() :], match[1]
        if (match := _OOMD.search(text)) is not None and tag in (None, "kernel", "oomd"):
            return self._made(message, "oomd", _oomd_reason(match), group=match[4], rss=int(match[5]))
        if tag == "systemd-oomd":
            return self._systemd(message, text)
        if tag == "earlyoom":
            return self._earlyoom(message, text)
        if tag == "nohang":
            return self._nohang(message, text)
        return None

    def _systemd(self, message: Message, text: str) -> Optional[OomEvent]:
        if (match := _ATTEMPT.match(text)) is not None:
            self._pids = [*self._pids[-4095:], (int(match[1]), f"SIG{match[2]}")]
        elif (match := _KILLED_GROUP.match(text)) is not None:
            made = self._made(message, "systemd-oomd", match[2], group=match[1])
            made.victims = [Victim(pid, None, signal=signal, how="group") for pid, signal in self._pids]
            self._pids = []
            return made
        return None

    def _earlyoom(self, message: Message, text: str) -> Optional[OomEvent]:
        if (match := _LOW.match(text)) is not None:
            self._reason = match[1]
            return None
        match = _SENDING.match(text) or _KILLING.search(text)
        if match is None:
            return None
        fields = match.groupdict()
        victim = Victim(int(match["pid"]), match["comm"], signal=fields.get("signal"))
        victim.uid = int(fields["uid"]) if fields.get("uid") else None
        victim.score = int(fields["score"]) if fields.get("score") else None
        rest = fields.get("rest") or ""
        rss, adj = _RSS.search(rest), _ADJ.search(rest)
        victim.rss = int(rss[1]) << 20 if rss else None
        victim.oom_score_adj = int(adj[1]) if adj else None
        return self._killed(message, "earlyoom", victim)

    def _nohang(self, message: Message, text: str) -> Optional[OomEvent]:
        if (match := _PID.match(text) or _VICTIM_PID.search(text)) is not None:
            self._named = int(match[1]), (match[2] or "").strip() or self._named[1]
        elif (match := _NAME.match(text)) is not None:
            self._named = self._named[0], match[1]
        elif (match := _NOHANG.match(text)) is not None:
            pid, comm = self._named
            comm = comm if "victim" in match[2] else match[2]
            return self._killed(message, "nohang", Victim(pid, comm, signal=match[1]))
        return None

    def _killed(self, message: Message, killer: str, victim: Victim) -> Optional[OomEvent]:
        last = self._last
        if last is not None and last.killer == killer and last.victims:
            before = last.victims[0]
            if (before.pid, before.comm) == (victim.pid, victim.comm) and victim.signal != before.signal:
                before.signal = victim.signal  # SIGTERM did not suffice
                return None
        made = self._made(message, killer, self._reason)
        made.victims, self._reason = [victim], None
        return made

    def _made(
        self,
        message: Message,
        killer: str,
        reason: Optional[str],
        *,
        group: Optional[str] = None,
        rss: int = 0,
    ) -> OomEvent:
        self._last = OomEvent(message.number, message.offset, killer=killer, reason=reason, task_memcg=group)
        if rss:
            self._last.victims = [Victim(None, None, rss=rss, how="group")]
        return self._last


def _oomd_reason(match: re.Match[str]) -> str:
    return f"memory pressure {match[1]}% over 10 s, {match[2]}% over 60 s, {match[3]}% over 300 s"
