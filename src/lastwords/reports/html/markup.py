"""HTML that cannot forget to escape.

:class:`Markup` is what :func:`tag` returns; everything else that is put into a tag is text and gets escaped.
Markup is no string, so a type checker, and at the latest the page itself, shows where the two were mixed up.

    >>> tag("p", "a < b & ", tag("b", "c"), class_="x").html
    '<p class="x">a &lt; b &amp; <b>c</b></p>'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from html import escape as html_escape
from typing import Union

from lastwords.reports.words import CONTROL

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_ENDS = re.compile(r"</|<!--")
VOID = frozenset(("meta", "input", "br"))


class Markup:
    """A piece of HTML. Made by :func:`tag`, :func:`join` and :func:`own_text` only."""

    __slots__ = ("html",)

    def __init__(self, html: str) -> None:
        self.html = html

    def __str__(self) -> str:
        raise TypeError("markup is not text: put it into a tag, or take its .html")


Content = Union[None, str, int, float, Markup, Iterable["Content"]]
"""What can stand in a tag. ``None`` is nothing."""
Attribute = Union[None, bool, str, int, float]
"""``None`` and ``False`` leave an attribute out, ``True`` gives it without a value."""


def escape(text: str) -> str:
    """Return text as it stands in HTML, between tags or in a quoted attribute.

    >>> escape('<img src=x onerror="alert(1)">')
    '&lt;img src=x onerror=&quot;alert(1)&quot;&gt;'
    """
    return html_escape(CONTROL.sub("\ufffd", text), quote=True)


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """Return an element.

    :param name: of the element; from the program, never from a host
    :param attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``
    :raises ValueError: an attribute that the page's own policy forbids: a script or a style of its own, a
        link that leaves the page
    """
    words = [_word(name)]
    for key, value in attributes.items():
        if value is not None and value is not False:
            words.append(_attribute(key, value))
    head = f"<{' '.join(words)}>"
    return Markup(head if name in VOID else f"{head}{_html(content)}</{name}>")


def join(*content: Content) -> Markup:
    """Return pieces one after the other."""
    return Markup(_html(content))


def own_text(name: str, text: str, /) -> Markup:
    """Return a ``style`` or ``script`` element with a text of our own, unescaped as HTML wants it.

    :raises ValueError: the text would end the element
    """
    if _ENDS.search(text):
        raise ValueError(f"{name}: its text would end the element")
    return Markup(f"<{_word(name)}>{text}</{name}>")


def _html(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content.html
    if isinstance(content, str):
        return escape(content)
    if isinstance(content, (int, float)):
        return escape(str(content))
    return "".join(map(_html, content))


def _attribute(key: str, value: Attribute) -> str:
    name = _word(key.rstrip("_").replace("_", "-"))
    if name == "style" or name.startswith("on") or name in ("src", "action", "formaction"):
        raise ValueError(f"{name}: not in this page")
    if name == "href" and not str(value).startswith("#"):
        raise ValueError(f"{value!r}: a link leaves the page")
    return name if value is True else f'{name}="{escape(str(value))}"'


@cache
def _word(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: no name of an element or attribute")
    return name
