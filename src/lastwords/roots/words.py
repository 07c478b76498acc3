"""Finds the lines of a block that hold one of some words, where nearly no block holds any.

What a search of a block costs, in nanoseconds a byte (CPython 3.9 to 3.13): whether it holds one word 0.3 to
0.6, a regular expression of several words 6, making lines of it and looking at each 10. So the fewest
possible words are looked for in whole blocks, and where they must be many, only in lines unlike all before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

_FEW = 8
"""Words that are sooner looked for in a block than its lines are made and compared."""
_DIGITS = b"0123456789"
_MOST_KNOWN = 16 << 20
"""Bytes of lines that are remembered to hold none of the words."""
_STEM = 3
"""Bytes that two gates have in common when they are looked for as one."""
_FREQUENT = b" etaoinsrhldcu:"
"""Bytes that most lines have several times."""


class Finder:
    """Goes through a log block by block.

    :param words: a line counts that holds one of them
    :param stems: few byte strings of which each word holds one: a block without any is passed over
    :param gates: when given, words count only after their gate in the same line
    """

    def __init__(
        self,
        words: Sequence[bytes],
        stems: Sequence[bytes] = (),
        gates: Mapping[bytes, Sequence[bytes]] = {},
    ) -> None:
        self._words = _Words(words, stems)
        self._gates = [
            (stem, [(gate, re.compile(re.escape(gate) + rb"([^\n]*)"), _Words(gates[gate])) for gate in its])
            for stem, its in _by_stem(gates).items()
        ]

    def starts(self, block: bytes) -> list[int]:
        """Return where the lines start that count, in order."""
        found: set[int] = set()
        if not self._gates:
            for word in self._words.within(block):
                found.update(_starts(block, word))
        for stem, its in self._gates:
            if not _holds(block, stem):
                continue
            for gate, line, words in its:
                if gate != stem and not _holds(block, gate):
                    continue
                within = words.within(b"\n".join(line.findall(block)))
                for match in line.finditer(block) if within else ():
                    if any(word in match[1] for word in within):
                        found.add(block.rfind(b"\n", 0, match.start()) + 1)
        return sorted(found)


class _Words:
    """Tells which of some words a text holds, one text after another.

    Logs repeat themselves: of many words, none need be looked for in a line that is, but for its numbers,
    one in which there was none.
    """

    def __init__(self, words: Sequence[bytes], stems: Sequence[bytes] = ()) -> None:
        self._stems = [(stem, [word for word in words if stem in word]) for stem in stems]
        self._few = words if len(words) <= _FEW and not stems else ()
        # The same is left out of both: a line that holds a word holds it then too.
        self._many = {} if stems or self._few else {word: word.translate(None, _DIGITS) for word in words}
        self._known: set[bytes] = set()
        self._size = 0

    def within(self, text: bytes) -> list[bytes]:
        """Return the words that a text holds, perhaps some more."""
        found = [word for word in self._few if _holds(text, word)]
        for stem, words in self._stems:
            if _holds(text, stem):
                found += [word for word in words if _holds(text, word)]
        if self._many:
            lines = set(text.translate(None, _DIGITS).split(b"\n")) - self._known
            unlike = b"\n".join(lines)
            found = [word for word, short in self._many.items() if short in unlike]
            self._learn(line for line in lines if not any(self._many[word] in line for word in found))
        return found

    def _learn(self, lines: Iterable[bytes]) -> None:
        if self._size > _MOST_KNOWN:
            self._known, self._size = set(), 0
        more = set(lines)
        self._known |= more
        self._size += sum(map(len, more))


def _by_stem(gates: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """Return gates by what they have in common, where that is long enough to be rare.

    >>> _by_stem((b"oomd", b"kernel:", b"earlyoom"))
    {b'oom': [b'oomd', b'earlyoom'], b'kernel:': [b'kernel:']}
    """
    found: dict[bytes, list[bytes]] = {}
    for gate in gates:
        pairs = ((stem, _common(stem, gate)) for stem in found)
        stem, common = max(pairs, key=lambda pair: len(pair[1]), default=(b"", b""))
        if len(common) < _STEM:
            found[gate] = [gate]
        else:
            found = {common if key == stem else key: its for key, its in found.items()}
            found[common].append(gate)
    return found


def _common(one: bytes, other: bytes) -> bytes:
    """Return the longest part that both have."""
    sizes = range(len(one), 0, -1)
    parts = (one[at : at + size] for size in sizes for at in range(len(one) - size + 1))
    return next((part for part in parts if part in other), b"")


def _holds(text: bytes, word: bytes) -> bool:
    """Return whether a text holds a word. Looks for the rarer of its ends: for the last byte find() does."""
    if word[0] in _FREQUENT and word[-1] not in _FREQUENT:
        return text.find(word) >= 0
    return text.rfind(word) >= 0


def _starts(block: bytes, word: bytes) -> Iterator[int]:
    at = block.find(word)
    while at >= 0:
        yield block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        at = block.find(word, end) if end >= 0 else -1
