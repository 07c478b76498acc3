"""How far the choice of the guilty frame depends on single logs.

    $ python bench/crash_words.py

The functions that are never to blame are families of words (:mod:`lastwords.formats.crash.skip`). Takes away
the words that one log alone needs, and those that only a third of the logs needs, and prints which titles are
still right. Both are lower bounds: a word that comes from the kernel's source and not from a log is taken
away as well when only one log holds such a function.
"""

from __future__ import annotations

import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "formats"))

from test_crash_corpus import Case, cases, reports

from lastwords.formats.crash import frame_pick as crash_frame_pick
from lastwords.formats.crash import skip as crash_skip

DRAWS = 12
FAMILIES = {
    "COMMON": crash_skip._HELPERS,
    "WAITING": (crash_skip._WAITING,),
    "ANCHORS": (crash_skip._SYSTEM_CALLS, crash_skip._DISPATCHING),
}
NAMES = re.compile(rb"([A-Za-z_]\w*)(?:\.[\w.]*)?\+0x|\((\w+)\) from")


def take_away(words: Iterable[str]) -> None:
    """Let the code do without some words; none restores all."""
    gone = set(words)
    for name, families in FAMILIES.items():
        left = [word for each in families for word in each.split() if word not in gone]
        setattr(crash_frame_pick, name, crash_skip.family(*left))


def right(case: Case) -> bool:
    """Return whether the first title of a log is what it should be."""
    found = reports(case.log)
    return bool(found) and found[0].title == case.title


def main() -> None:
    """Find out which log needs which word, take words away, print what is left."""
    logs = [case for case in cases() if case.title]
    take_away(())
    good = {case.name for case in logs if right(case)}
    functions = {case.name: {(a or b).decode() for a, b in NAMES.findall(case.log)} for case in logs}
    needs: dict[str, set[str]] = defaultdict(set)
    words = {word for families in FAMILIES.values() for each in families for word in each.split()}
    for word in sorted(words):
        pattern = crash_skip.family(word)
        touched = [c for c in logs if c.name in good and any(map(pattern.search, functions[c.name]))]
        take_away([word])
        needs[word] = {case.name for case in touched if not right(case)}
    print(f"{len(words)} words; {sum(map(bool, needs.values()))} are needed by some log, ", end="")
    print(f"{sum(len(each) == 1 for each in needs.values())} by one alone")
    take_away(word for word, each in needs.items() if len(each) == 1)
    print(f"all words: {len(good) / len(logs):.1%}")
    print(f"without those that one log alone needs: {sum(map(right, logs)) / len(logs):.1%}")
    chance, shares = random.Random(1), []
    for _ in range(DRAWS):
        held = chance.sample(logs, len(logs) // 3)
        names = {case.name for case in held}
        take_away(word for word, each in needs.items() if each and each <= names)
        shares.append(sum(map(right, held)) / len(held))
    print(f"a third, without those that only it needs, mean of {DRAWS}: {sum(shares) / DRAWS:.1%}")


if __name__ == "__main__":
    main()
