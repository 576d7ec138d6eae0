"""Charts as inline SVG, and pictures as data addresses: what a page can hold without asking for anything else.

Nothing has a style attribute, which the policy of a page forbids: looks are classes of ``templates/report.css``. What
is missing, or too large to draw, leaves a gap.
"""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # of numbers


SIZE = (520, 270)  # of a chart in units of its own: about as many pixels on a screen
SMALL = (340, 190)
MOST_POINTS = 600  # of a curve; where there are more, the least and the greatest of every few are drawn
_LARGEST = 1e300  # drawn: beyond, differences overflow
_RIGHT = 20  # units beside a chart, for half a number
_LETTER = 6.3  # units, mean width of a letter
_MOST_PICTURE = 200_000  # bytes


class Curve(NamedTuple):
    """A line through points; `kind` is its class: "best", "mean", "other"."""

    label: str
    x: Array  # (n,)
    y: Array  # (n,), NaN: a gap
    kind: str


class Band(NamedTuple):
    """The area between two lines; `kind` is its class: "wide", "middle", "narrow"."""

    label: str
    x: Array  # (n,)
    low: Array  # (n,)
    high: Array  # (n,)
    kind: str


class Train(NamedTuple):
    """A row of a raster."""

    label: str
    kind: str  # class: "input", "hidden", "output"
    times: Array  # (n,)


class _Scale(NamedTuple):
    """Values to places on a line."""

    low: float
    high: float
    first: float  # place of `low`
    last: float

    def __call__(self, values: Any) -> Any:
        return self.first + (values - self.low) / (self.high - self.low) * (self.last - self.first)


def chart(
    title: str,
    curves: Sequence[Curve],
    bands: Sequence[Band] = (),
    size: tuple[int, int] = SIZE,
    x_label: str = "generation",
) -> str:
    """A figure with lines and bands over a whole number; empty if no value can be drawn.

    Parameters
    ----------
    size : width, height
    """
    values = np.concatenate(
        [*(curve.y for curve in curves), *(np.concatenate([band.low, band.high]) for band in bands)]
    )
    places = np.concatenate([*(curve.x for curve in curves), *(band.x for band in bands)])
    if not _drawable(values).any():
        return ""
    width, height = size
    ticks = _ticks(*_range(values), n=5)
    left = 14 + _LETTER * max(len(_short(tick)) for tick in ticks)
    has_legend = len(curves) + len(bands) > 1
    x = _Scale(*_x_range(places), left, width - _RIGHT)
    y = _Scale(*_padded(_range(values)), height - 38, 26 if has_legend else 8)
    parts = [_axes(x, y, ticks, size, x_label)]
    parts += [_area(band, x, y) for band in bands] + [_line(curve, x, y) for curve in curves]
    if has_legend:
        lines = [(curve.label, curve.kind, False) for curve in curves]
        parts.append(_legend([*lines, *((band.label, band.kind, True) for band in bands)], left))
    return _figure(title, "".join(parts), size)


def raster(title: str, trains: Sequence[Train], stop: float, shaded: Iterable[tuple[float, float]]) -> str:
    """A figure of events: one row per train, from time 0 to `stop` in ms.

    Parameters
    ----------
    shaded : begin and end of times that stand out
    """
    height = 14.0 if len(trains) < 40 else 9.0
    size = (SIZE[0], round(height * len(trains)) + 46)
    left = 14 + _LETTER * max(len(train.label) for train in trains)
    x, bottom = _Scale(0.0, stop, left, size[0] - _RIGHT), size[1] - 38
    parts = [
        f'<rect class="shaded" x="{x(begin):.1f}" y="8" width="{x(end) - x(begin):.1f}" height="{bottom - 8}"/>'
        for begin, end in shaded
    ]
    for row, train in enumerate(trains):
        top = 8 + row * height
        marks = "".join(f"M{place:.1f} {top + 1:.1f}v{height - 2:.1f}" for place in x(train.times).tolist())
        parts.append(f'<path class="spikes {train.kind}" d="{marks}"/>' if marks else "")
        if train.label:
            parts.append(_text(train.label, left - 7, top + height / 2 + 4, "end"))
    parts.append(_x_axis(x, _ticks(0.0, stop, 6), bottom, "time, ms", size[0]))
    return _figure(title, "".join(parts), size)


def picture(image: NDArray[np.uint8], text: str) -> str:
    """An image (height, width, 3) as an element of a page; shrunk until it has at most 200 kB."""
    content = to_png(image)
    while len(content) > _MOST_PICTURE and min(image.shape[:2]) > 1:
        image = image[::2, ::2]
        content = to_png(image)
    source = base64.b64encode(content).decode()
    height, width = image.shape[:2]
    return f'<img width="{width}" height="{height}" alt="{html.escape(text)}" src="data:image/png;base64,{source}">'


def to_png(image: NDArray[np.uint8]) -> bytes:
    """A PNG file of an image (height, width, 3); every row is stored as its difference from the one above."""
    height, width = image.shape[:2]
    rows = np.full((height, 1 + 3 * width), 2, dtype=np.uint8)  # 2: that filter
    rows[:, 1:] = np.diff(image.reshape(height, -1), axis=0, prepend=np.zeros((1, 3 * width), dtype=np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    packed = [struct.pack(">I", len(data)) + kind + data + _crc(kind + data) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def thin(x: Array, y: Array) -> tuple[Array, Array]:
    """At most about `MOST_POINTS` of the points (n,) of a curve, its extremes among them."""
    if len(x) <= MOST_POINTS:
        return x, y
    kept = [np.array([0, len(x) - 1])]
    for rows in np.array_split(np.arange(len(x)), MOST_POINTS // 2):
        inside = y[rows]
        if np.isnan(inside).all():
            kept.append(rows[:1])
        else:
            kept.append(rows[[np.nanargmin(inside), np.nanargmax(inside)]])
    places = np.unique(np.concatenate(kept))
    return x[places], y[places]


def _crc(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _figure(title: str, content: str, size: tuple[int, int]) -> str:
    name = html.escape(title)
    box = f'viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{name}"'
    return f"<figure><figcaption>{name}</figcaption><svg {box}>{content}</svg></figure>\n"


def _drawable(values: Array) -> NDArray[np.bool_]:
    return np.isfinite(values) & (np.abs(np.nan_to_num(values)) < _LARGEST)


def _range(values: Array) -> tuple[float, float]:
    values = values[_drawable(values)]
    low, high = float(values.min()), float(values.max())
    if high - low <= max(1e-12 * max(abs(low), abs(high)), 1e-290):
        room = 0.05 * abs(low) or 1.0
        return low - room, high + room
    return low, high


def _padded(limits: tuple[float, float]) -> tuple[float, float]:
    room = 0.04 * (limits[1] - limits[0])
    return limits[0] - room, limits[1] + room


def _x_range(places: Array) -> tuple[float, float]:
    low, high = float(places.min()), float(places.max())
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _ticks(low: float, high: float, n: int, least: float = 0.0) -> list[float]:
    """About `n` round numbers from `low` to `high`, at least `least` apart."""
    rough = max((high - low) / n, least)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _short(value: float) -> str:
    """A tick, to the digits that a step of ticks may have."""
    text = f"{value:,.0f}" if abs(value) < 1e6 and value == round(value) else f"{value:.6g}"
    return text.replace("-", "−")


def _text(text: str, x: float, y: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _axes(x: _Scale, y: _Scale, ticks: Sequence[float], size: tuple[int, int], x_label: str) -> str:
    right, bottom = size[0] - _RIGHT, size[1] - 38
    lines = [f'<path class="grid" d="M{x.first:.1f} {y(tick):.1f}H{right}"/>' for tick in ticks]
    labels = [_text(_short(tick), x.first - 7, y(tick) + 4, "end") for tick in ticks]
    x_ticks = _ticks(x.low, x.high, 6 if size[0] > 400 else 4, least=1.0)
    return "".join([*lines, *labels, _x_axis(x, x_ticks, bottom, x_label, size[0])])


def _x_axis(x: _Scale, ticks: Sequence[float], bottom: float, label: str, width: float) -> str:
    marks = "".join(f"M{x(tick):.1f} {bottom}v4" for tick in ticks)
    labels = [_text(_short(tick), x(tick), bottom + 17, "middle") for tick in ticks]
    line = f'<path class="axis" d="M{x.first:.1f} {bottom}H{width - _RIGHT}{marks}"/>'
    return "".join([line, *labels, _text(label, (x.first + width - _RIGHT) / 2, bottom + 33, "middle")])


def _pieces(*columns: Array) -> list[NDArray[np.intp]]:
    """Rows without a gap between them."""
    rows = np.flatnonzero(np.all([_drawable(column) for column in columns], axis=0))
    return [piece for piece in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(piece)]


def _path(x: Array, y: Array) -> str:
    return "M" + " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _line(curve: Curve, x: _Scale, y: _Scale) -> str:
    x_values, y_values = thin(curve.x, curve.y)
    pieces = _pieces(y_values)
    lines = "".join(_path(x(x_values[rows]), y(y_values[rows])) for rows in pieces if len(rows) > 1)
    alone = [row for rows in pieces for row in rows if len(rows) == 1 or len(x_values) <= 40]
    dots = "".join(
        f'<circle class="{curve.kind}" cx="{x(x_values[row]):.1f}" cy="{y(y_values[row]):.1f}" r="2.4"/>'
        for row in alone
    )
    return (f'<path class="line {curve.kind}" d="{lines}"/>' if lines else "") + dots


def _area(band: Band, x: _Scale, y: _Scale) -> str:
    paths = []
    for rows in _pieces(band.low, band.high):
        places = x(band.x[rows])
        if len(rows) == 1:  # as wide as can be seen
            places, rows = places + np.array([-4.0, 4.0]), np.repeat(rows, 2)
        around = np.concatenate([places, places[::-1]])
        paths.append(_path(around, y(np.concatenate([band.low[rows], band.high[rows][::-1]]))) + "Z")
    return f'<path class="area {band.kind}" d="{"".join(paths)}"/>'


def _legend(entries: Sequence[tuple[str, str, bool]], left: float) -> str:
    parts, place = [], left
    for label, kind, is_area in entries:
        if is_area:
            parts.append(f'<rect class="area {kind}" x="{place:.1f}" y="7" width="18" height="10"/>')
        else:
            parts.append(f'<path class="line {kind}" d="M{place:.1f} 12h18"/>')
        parts.append(_text(label, place + 24, 16, "start"))
        place += 40 + _LETTER * len(label)
    return "".join(parts)
