"""The few charts of the page, as inline SVG: drawn without scripts, styles or a library.

Widths are per cent, so that a chart fits every screen and paper while its text keeps its size. Colours are
classes of the style sheet. Each chart says in words what it shows (``aria-label``), and no fact is in a chart
alone: a table or a legend beside it has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lastwords.formats.sizes import column
from lastwords.reports.html.markup import Content, Markup, tag

MAP_WIDTH = 960.0
MAP_HEIGHT = 380.0
"""Pixels a map is laid out for."""
_HEAD = 22.0
_GAP = 2.0
_LEAST = 18.0
"""A rectangle narrower or lower than that gets no text."""


@dataclass(frozen=True)
class Part:
    """A part of a bar."""

    label: str
    value: float
    css: str
    """Class that colours it."""
    note: str = ""
    """The value in words."""


def in_bytes(parts: Sequence[Part]) -> list[Part]:
    """Return parts whose values are bytes with these in words, in one unit."""
    said = column([part.value for part in parts])
    return [replace(part, note=note) for part, note in zip(parts, said)]


@dataclass(frozen=True)
class Box:
    """A rectangle of a map, and those in it."""

    label: str
    value: float
    css: str
    note: str
    inner: Sequence[Box] = field(default=())


def percent(value: float) -> str:
    """Return a number as a coordinate.

    >>> percent(33.33333), percent(50.0)
    ('33.33%', '50%')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def bar(parts: Sequence[Part], whole: float, says: str, *, marks: Sequence[Part] = ()) -> Markup:
    """Return one horizontal bar made of parts.

    :param whole: what the full width stands for
    :param says: the chart in words
    :param marks: thin lines at a value: limits, needs
    """
    whole = max(whole, 1e-9)
    pieces: list[Content] = []
    at = 0.0
    for part in parts:
        width = min(max(0.0, part.value) / whole * 100, 100 - at)
        if width > 0.02:
            title = tag("title", f"{part.label}: {part.note}" if part.note else part.label)
            shape = {"x": percent(at), "width": percent(width), "height": "100%"}
            pieces.append(tag("rect", title, class_=f"part {part.css}", **shape))
        at += width
    for mark in marks:
        where = percent(min(mark.value / whole * 100, 99.7))
        title = tag("title", f"{mark.label}: {mark.note}" if mark.note else mark.label)
        pieces.append(tag("rect", title, class_=f"mark {mark.css}", x=where, width="2", height="100%"))
    return tag("svg", *pieces, class_="bar", role="img", aria_label=says)


def legend(parts: Sequence[Part], whole: float) -> Markup:
    """Return the parts of a bar in words: colour, name, value, share."""
    items = [
        tag(
            "li",
            tag("svg", tag("rect", class_=f"part {part.css}", width="100%", height="100%"), class_="swatch",
                aria_hidden="true"),
            tag("span", part.label, class_="name"),
            tag("span", part.note, class_="value"),
            tag("span", share(part.value, whole), class_="share"),
        )
        for part in parts
    ]  # fmt: skip
    return tag("ul", items, class_="legend")


def share(value: float, whole: float) -> str:
    """Return a share in whole per cent.

    >>> share(1, 3), share(1, 3000), share(0, 5)
    ('33 %', '<1 %', '0 %')
    """
    part = value / whole * 100 if whole > 0 else 0.0
    return "<1 %" if 0 < part < 0.5 else f"{part:.0f} %"


def treemap(boxes: Sequence[Box], says: str) -> Markup:
    """Return a map: areas in proportion, boxes within boxes."""
    return tag(
        "svg", _boxes(boxes, MAP_WIDTH, MAP_HEIGHT, 0), class_="map", role="img", aria_label=says,
        height=f"{MAP_HEIGHT:.0f}",
    )  # fmt: skip


def _boxes(boxes: Sequence[Box], width: float, height: float, depth: int) -> list[Markup]:
    """Draw boxes into an area that many pixels wide, if the page is as wide as it was laid out for."""
    if width < 4 or height < 4:
        return []
    return [
        _box(box, left / width * 100, top, wide, high, wide / width * 100, depth)
        for box, (left, top, wide, high) in zip(boxes, layout([box.value for box in boxes], width, height))
        if wide > 1 and high > 1
    ]


def _box(box: Box, left: float, top: float, wide: float, high: float, share_: float, depth: int) -> Markup:
    high = max(1.0, high - _GAP)
    kind = f"depth{min(depth, 1)}" if box.inner else "leaf"
    pieces: list[Content] = [
        tag("title", f"{box.label}: {box.note}"),
        tag("rect", class_=f"box {box.css} {kind}", width="100%", height="100%", rx="2"),
    ]
    if wide > 3 * _LEAST and high > _LEAST:
        pieces.append(tag("text", f"{box.label} {box.note}", x="6", y="15"))
    if box.inner and high > _HEAD + 8:
        inside = _boxes(box.inner, wide - 8, high - _HEAD - 4, depth + 1)
        frame = {"x": "1%", "y": f"{_HEAD:.0f}", "width": "98%", "height": f"{high - _HEAD - 3:.1f}"}
        pieces.append(tag("svg", inside, **frame))
    place = {"x": percent(left), "y": f"{top:.1f}", "height": f"{high:.1f}"}
    return tag("svg", *pieces, width=percent(max(share_ - 0.25, 0.1)), **place)


def layout(values: Sequence[float], width: float, height: float) -> list[tuple[float, float, float, float]]:
    """Return a rectangle for each value (the greatest first), its area in proportion, as square as can be.

    Squarified treemaps (Bruls, Huizing, van Wijk 2000): rows along the shorter side, each closed as soon as
    one more would make it worse.

    >>> layout([3, 1], 100, 50)
    [(0.0, 0.0, 75.0, 50.0), (75.0, 0.0, 25.0, 50.0)]
    """
    scale = width * height / (sum(values) or 1.0)
    areas = [max(value, 0.0) * scale for value in values]
    found: list[tuple[float, float, float, float]] = []
    left = top = 0.0
    while areas:
        side = max(min(width - left, height - top), 1e-6)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
            count += 1
        row, areas = areas[:count], areas[count:]
        thick = sum(row) / side
        at = 0.0
        for area in row:
            long = area / thick if thick else 0.0
            if width - left >= height - top:
                found.append((left, top + at, thick, long))
            else:
                found.append((left + at, top, long, thick))
            at += long
        if width - left >= height - top:
            left += thick
        else:
            top += thick
    return found


def _worst(areas: Sequence[float], side: float) -> float:
    total = sum(areas)
    if not total:
        return 0.0
    least = max(min(areas), 1e-9)
    return max(side * side * max(areas) / total**2, total**2 / (side * side * least))


def lane(
    marks: Sequence[tuple[float, str, str]], says: str, spans: Sequence[tuple[float, float, str, str]] = ()
) -> Markup:
    """Return a line of time.

    :param marks: place (0 to 100), class and meaning of each dot
    :param spans: begin and end (0 to 100), class and meaning of each bar
    """
    pieces: list[Content] = [tag("rect", class_="track", width="100%", height="2", y="10")]
    for begin, end, css, meaning in spans:
        where = {"x": percent(begin), "width": percent(max(end - begin, 0.3)), "y": "5", "height": "12"}
        pieces.append(tag("rect", tag("title", meaning), class_=f"span {css}", rx="2", **where))
    for place, css, meaning in marks:
        # Not at the very ends, where half of a dot would be cut off.
        where = {"cx": percent(min(max(place, 0.5), 99.5)), "cy": "11", "r": "5"}
        pieces.append(tag("circle", tag("title", meaning), class_=f"dot {css}", **where))
    return tag("svg", *pieces, class_="lane", role="img", aria_label=says)
