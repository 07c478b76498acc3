"""Names of Rust functions: what the compiler makes of paths (symbol mangling v0), read back.

Kernels print ``_RNvMs3_NtCs1234_4acme7processNtB5_7Process10update_ref``; people and public dashboards say
``<acme::process::Process>::update_ref``. Source: Rust RFC 2603.
"""

from __future__ import annotations

from functools import lru_cache

_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize",
    "j": "usize", "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16",
    "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_POINTERS = {"R": "&", "Q": "&mut ", "P": "*const ", "O": "*mut "}
DEPTH = 60
"""Types within types, and steps back into the name, that are followed."""
LENGTH = 1000
"""Characters of a path; a longer one is no function's."""
STEPS = 2000
"""Parts of one name that are read: steps back could make a short name endless."""


@lru_cache(maxsize=4096)
def demangle(symbol: str) -> str:
    """Return the path that a symbol stands for; anything that is no Rust symbol as it is.

    >>> demangle("_RNvMs3_NtCs1234_4acme7processNtB5_7Process10update_ref")
    '<acme::process::Process>::update_ref'
    >>> demangle("_RNvXCs1234_4acmeNtB2_6DeviceNtNtCs5678_6kernel4file10Operations4open")
    '<acme::Device as kernel::file::Operations>::open'
    >>> demangle("_RAM_free"), demangle("_RNvB_")
    ('_RAM_free', '_RNvB_')
    """
    if not symbol.startswith("_R"):
        return symbol
    try:
        path = _Reader(symbol.partition(".")[0][2:]).path(0)
    except (ValueError, IndexError):
        return symbol
    return path if len(path) <= LENGTH else symbol


class _Reader:
    """Reads one symbol from left to right; raises ValueError or IndexError where it is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.steps = 0

    def take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def eat(self, char: str) -> bool:
        found = self.text[self.at : self.at + 1] == char
        self.at += found
        return found

    def number(self) -> int:
        """Return a number of base 62; ``_`` alone is 0, others are one less than meant."""
        value = 0
        if self.eat("_"):
            return 0
        while not self.eat("_"):
            value = value * 62 + _DIGITS.index(self.take())
        return value + 1

    def marked(self, char: str) -> int:
        """Return an optional number after a letter, 0 where the letter is not."""
        return self.number() + 1 if self.eat(char) else 0

    def identifier(self) -> tuple[int, str]:
        """Return which of several of the same name is meant, and the name."""
        which = self.marked("s")
        puny = self.eat("u")
        digits = ""
        while self.text[self.at : self.at + 1].isdigit():
            digits += self.take()
            if digits == "0":
                break
        self.eat("_")
        end = self.at + int(digits)
        name, self.at = self.text[self.at : end], end
        if end > len(self.text):
            raise ValueError("cut")
        if puny:
            start, _, code = name.rpartition("_")
            name = (start + "-" + code).encode("ascii").decode("punycode")
        return which, name

    def back(self, depth: int, *, a_type: bool) -> str:
        """Return what stands earlier in the symbol, at the place that is told here."""
        target, here = self.number(), self.at
        if target >= here - 1:
            raise ValueError("a step forward")
        self.at = target
        found = self.type(depth + 1) if a_type else self.path(depth + 1)
        self.at = here
        return found

    def path(self, depth: int) -> str:
        self.steps += 1
        if depth > DEPTH or self.steps > STEPS:
            raise ValueError("too deep")
        tag = self.take()
        if tag == "C":
            return self.identifier()[1]
        if tag in "MX":
            self.marked("s")
            self.path(depth + 1)
            own = self.type(depth + 1)
            return f"<{own} as {self.path(depth + 1)}>" if tag == "X" else f"<{own}>"
        if tag == "Y":
            own = self.type(depth + 1)
            return f"<{own} as {self.path(depth + 1)}>"
        if tag == "N":
            space = self.take()
            outer = self.path(depth + 1)
            which, name = self.identifier()
            if space.isupper():
                kind = {"C": "closure", "S": "shim"}.get(space, space)
                name = f"{{{kind}{':' if name else ''}{name}#{which}}}"
            return f"{outer}::{name}" if name else outer
        if tag == "I":
            outer = self.path(depth + 1)
            return f"{outer}::<{', '.join(self.until_end(depth))}>"
        if tag == "B":
            return self.back(depth, a_type=False)
        raise ValueError(tag)

    def until_end(self, depth: int) -> list[str]:
        """Return the generic arguments, or the members of a tuple: types, lifetimes, constants."""
        found = []
        while not self.eat("E"):
            if self.eat("L"):
                self.number()
            elif self.eat("K"):
                found.append(self.constant(depth + 1))
            else:
                found.append(self.type(depth + 1))
        return found

    def constant(self, depth: int) -> str:
        if self.eat("B"):
            target, here = self.number(), self.at
            if target >= here - 1 or depth > DEPTH:
                raise ValueError("a step forward")
            self.at = target
            found = self.constant(depth + 1)
            self.at = here
            return found
        kind = self.take()
        if kind == "p":
            return "_"
        end = self.text.index("_", self.at)
        digits, self.at = self.text[self.at : end], end + 1
        sign = "-" if digits.startswith("n") else ""
        value = int(digits.lstrip("n") or "0", 16)
        return {"b": str(bool(value)).lower()}.get(kind, f"{sign}{value}")

    def type(self, depth: int) -> str:
        self.steps += 1
        if depth > DEPTH or self.steps > STEPS:
            raise ValueError("too deep")
        tag = self.take()
        if tag in _BASIC:
            return _BASIC[tag]
        if tag == "A":
            inner = self.type(depth + 1)
            return f"[{inner}; {self.constant(depth + 1)}]"
        if tag == "S":
            return f"[{self.type(depth + 1)}]"
        if tag == "T":
            members = self.until_end(depth)
            return f"({members[0]},)" if len(members) == 1 else f"({', '.join(members)})"
        if tag in _POINTERS:
            if self.eat("L"):
                self.number()
            return _POINTERS[tag] + self.type(depth + 1)
        if tag == "F":
            return self.function(depth)
        if tag == "D":
            return self.dynamic(depth)
        if tag == "B":
            return self.back(depth, a_type=True)
        self.at -= 1
        return self.path(depth + 1)

    def function(self, depth: int) -> str:
        self.marked("G")
        unsafe = "unsafe " if self.eat("U") else ""
        abi = ""
        if self.eat("K"):
            abi = 'extern "C" ' if self.eat("C") else f'extern "{self.identifier()[1]}" '
        arguments = self.until_end(depth)
        result = self.type(depth + 1)
        ends = f" -> {result}" if result != "()" else ""
        return f"{unsafe}{abi}fn({', '.join(arguments)}){ends}"

    def dynamic(self, depth: int) -> str:
        self.marked("G")
        traits = []
        while not self.eat("E"):
            trait, bound = self.path(depth + 1), []
            while self.eat("p"):
                name = self.identifier()[1]
                bound.append(f"{name} = {self.type(depth + 1)}")
            traits.append(f"{trait}<{', '.join(bound)}>" if bound else trait)
        if self.eat("L"):
            self.number()
        return f"dyn {' + '.join(traits)}"
