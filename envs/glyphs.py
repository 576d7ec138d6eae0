"""Small things on a frame: letters, colour scales and ants, anti-aliased, in plain NumPy."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3)
FloatImage = NDArray[np.float32]
Places = tuple[tuple[int, int], ...]  # left, top
Colour = tuple[int, int, int]

# Letters as strokes on a grid: two digits are a point (x, y), blanks join points to a stroke, slashes part strokes.
# Letters stand on y = 2; small ones are 4 high, digits 6.
_STROKES = {
    "a": "46 42/45 36 16 05 03 12 32 43",
    "b": "08 02/05 16 36 45 43 32 12 03",
    "c": "45 36 16 05 03 12 32 43",
    "d": "48 42/45 36 16 05 03 12 32 43",
    "e": "04 44 45 36 16 05 03 12 32 43",
    "f": "38 28 17 12/06 36",
    "g": "46 41 30 10 01/45 36 16 05 03 12 32 43",
    "h": "08 02/05 16 36 45 42",
    "i": "06 02/08 08",
    "j": "16 11 00/18 18",
    "k": "08 02/36 04/14 32",
    "l": "08 02",
    "m": "06 02/05 16 26 35 32/35 46 56 65 62",
    "n": "06 02/05 16 36 45 42",
    "o": "16 36 45 43 32 12 03 05 16",
    "p": "06 00/05 16 36 45 43 32 12 03",
    "q": "46 40/45 36 16 05 03 12 32 43",
    "r": "06 02/04 15 26 36",
    "s": "45 36 16 05 14 34 43 32 12 03",
    "t": "18 13 22 32/06 36",
    "u": "06 03 12 32 43/46 42",
    "v": "06 22 46",
    "w": "06 12 36 52 66",
    "x": "06 42/02 46",
    "y": "06 22/46 10",
    "z": "06 46 02 42",
    "0": "18 38 47 43 32 12 03 07 18",
    "1": "06 28 22/02 42",
    "2": "07 18 38 47 46 02 42",
    "3": "07 18 38 47 46 35 44 43 32 12 03/15 35",
    "4": "32 38 04 44",
    "5": "48 08 05 35 44 43 32 12 03",
    "6": "38 18 07 03 12 32 43 44 35 15 04",
    "7": "08 48 12",
    "8": "15 06 07 18 38 47 46 35 15 04 03 12 32 43 44 35",
    "9": "12 32 43 47 38 18 07 06 15 35 46",
    "/": "01 38",
    ".": "02 02",
    ",": "12 01",
    ":": "03 03/06 06",
    "-": "05 35",
    "+": "05 45/27 23",
    "=": "04 44/06 46",
    "(": "28 16 14 22",
    ")": "08 16 14 02",
    " ": "",
}
_UNKNOWN = "08 48 42 02 08"
_SPACE, _GAP = 2.0, 2.2  # width of a blank, and what is left free after every letter; grid units
_NAME, _BAR, _ROOM = 62.0, 76.0, 8.0  # of a colour scale: its name, the colours, and what is free beside it
_STROKE = 0.55  # half the width of a stroke, grid units
LINE = 10.0  # height of a line of text, grid units

N_HEADINGS = 72
ANT_LENGTH = 2.5  # patches
_SMALLEST_ANT, _SMALLEST_LEGS = 7.0, 15.0  # pixels: length of an ant, and from which length on it has legs
# An ant of length 2.2 that looks along +x: ellipses (x, half length, half width), and the strokes of its left side.
_BODY = ((-0.6, 0.44, 0.31), (-0.02, 0.24, 0.15), (0.42, 0.24, 0.21))
_LIMBS = (
    ((0.10, 0.10), (0.32, 0.46), (0.58, 0.66)),
    ((0.00, 0.10), (-0.04, 0.52), (-0.16, 0.78)),
    ((-0.10, 0.10), (-0.42, 0.46), (-0.74, 0.72)),
    ((0.56, 0.10), (0.74, 0.32), (1.02, 0.34)),
)
_LOAD = (0.88, 0.30)  # where an ant carries food, and half the size of it


@functools.lru_cache(maxsize=1024)
def glyph(letter: str, unit: float) -> FloatImage:
    """Coverage of a letter by ink, from 0 to 1, with the free space after it.

    Parameters
    ----------
    unit : pixels per grid unit; a digit is 6 units high

    Returns
    -------
    (rows, columns) float32; the height is the same for all letters
    """
    strokes = [
        [(int(point[0]), int(point[1])) for point in stroke.split()]
        for stroke in _STROKES.get(letter.lower(), _UNKNOWN).split("/")
    ]
    width = max((x for stroke in strokes for x, _ in stroke), default=_SPACE)
    rows, columns = math.ceil(LINE * unit), round((width + _GAP) * unit)
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    x, y = x / unit - 0.5 * _GAP, 9.0 - y / unit
    distance = np.full(x.shape, np.inf)
    for stroke in strokes:
        for start, end in itertools.pairwise(stroke):
            np.minimum(distance, _distance(x, y, start, end), out=distance)
    ink = np.clip(0.5 + (_STROKE - distance) * unit, 0.0, 1.0).astype(np.float32)
    ink.flags.writeable = False
    return ink


def text_width(text: str, unit: float) -> int:
    """Pixels that `draw_text` takes from left to right."""
    return sum(glyph(letter, unit).shape[1] for letter in text)


def draw_text(frame: Image, text: str, left: int, top: int, unit: float, colour: Colour) -> int:
    """Write on a frame in place; returns the column after the text. What does not fit on the frame is left out."""
    for letter in text:
        ink = glyph(letter, unit)
        place = frame[top : top + ink.shape[0], left : left + ink.shape[1]]
        ink = ink[: place.shape[0], : place.shape[1], np.newaxis]
        place[:] = np.rint(place + ink * (np.array(colour, dtype=np.float32) - place))
        left += ink.shape[1]
    return left


def flow(widths: Sequence[int], room: tuple[int, int], top: int, unit: float, line: float) -> tuple[Places, int]:
    """Places for things side by side, in as many lines as they need.

    Parameters
    ----------
    widths : pixels
    room : first column and the one after the last
    line : height of a line in grid units

    Returns
    -------
    left, top of every thing; the first row below them
    """
    places, left = [], room[0]
    for width in widths:
        if left > room[0] and left + width > room[1]:
            left, top = room[0], top + math.ceil(line * unit)
        places.append((left, top))
        left += width + round(_ROOM * unit)
    return tuple(places), top + math.ceil(line * unit)


def scale_width(unit: float) -> int:
    """Pixels that `draw_scale` takes from left to right."""
    return round((_NAME + _BAR + _ROOM) * unit)


def draw_scale(
    frame: Image, name: str, shades: FloatImage, marks: Sequence[str], place: tuple[int, int], unit: float, ink: Colour
) -> None:
    """Draw a colour scale with its name before and evenly spaced marks below.

    Parameters
    ----------
    shades : (n, 3), from the left to the right end
    """
    left, top = place
    draw_text(frame, name, left, top, unit, ink)
    first, length = left + round(_NAME * unit), round(_BAR * unit)
    high, low, end = (top + round(height * unit) for height in (1, 8, 9))
    bar = frame[high:low, first : first + length]
    bar[:] = shades[np.arange(bar.shape[1]) * len(shades) // length]
    for k, mark in enumerate(marks):
        middle, small = first + round((length - 1) * k / (len(marks) - 1)), 0.8 * unit
        frame[low:end, middle : middle + 1] = ink
        draw_text(frame, mark, middle - text_width(mark, small) // 2, top + round(9.5 * unit), small, ink)


def half_blocks(image: Image) -> list[str]:
    """An image as lines of text in 24-bit colours: two pixels, one above the other, are one character."""
    image = np.pad(image, ((0, len(image) % 2), (0, 0), (0, 0)))
    lines = []
    last: tuple[list[int], list[int]]
    for upper, lower in zip(image[::2].tolist(), image[1::2].tolist(), strict=True):
        line, last = "", ([], [])
        for pair in zip(upper, lower, strict=True):
            for ground, colour, old in zip((38, 48), pair, last, strict=True):
                if colour != old:
                    line += f"\x1b[{ground};2;{colour[0]};{colour[1]};{colour[2]}m"
            line, last = line + "▀", pair
        lines.append(line + "\x1b[0m")
    return lines


def _distance(
    x: NDArray[np.float64], y: NDArray[np.float64], start: tuple[float, float], end: tuple[float, float]
) -> NDArray[np.float64]:
    """Distance of points to the straight line from `start` to `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / ((dx * dx + dy * dy) or 1.0), 0.0, 1.0)
    return np.asarray(np.hypot(x - start[0] - along * dx, y - start[1] - along * dy))


@functools.lru_cache(maxsize=8)
def ant_sprites(scale: float, ant: Colour, loaded: Colour, load: Colour, outline: Colour) -> FloatImage:
    """Pictures of an ant without and with a load, for `N_HEADINGS` compass headings, seen with +y up.

    Parameters
    ----------
    scale : pixels per patch
    ant, loaded, load, outline : colours of an ant without and with a load, of the load, and of the rim

    Returns
    -------
    (2, N_HEADINGS, size, size, 4) float32: red, green and blue from 0 to 255 times opacity, and opacity from 0 to 1.
        The ant stands at the common corner of the four pixels in the middle; size is even.
    """
    length = max(ANT_LENGTH * scale, _SMALLEST_ANT)
    half = math.ceil(0.58 * length)
    sprites = np.empty((2, N_HEADINGS, 2 * half, 2 * half, 4), dtype=np.float32)
    quarter = N_HEADINGS // 4
    for is_loaded, colour in enumerate((ant, loaded)):
        for k in range(quarter):
            heading = 360.0 * k / N_HEADINGS
            sprite = _ant_sprite(length, half, heading, colour, load if is_loaded else None, outline)
            for turn in range(4):
                sprites[is_loaded, k + turn * quarter] = np.rot90(sprite, -turn)
    sprites.flags.writeable = False
    return sprites


def _ant_sprite(
    length: float, half: int, heading: float, colour: Colour, load: Colour | None, outline: Colour
) -> FloatImage:
    """One picture of `ant_sprites`, from 3 × 3 samples per pixel."""
    fine, unit = 3, length / 2.2
    down, right = (np.mgrid[0 : 2 * half * fine, 0 : 2 * half * fine] + 0.5) / fine - half
    sine, cosine = math.sin(math.radians(heading)), math.cos(math.radians(heading))
    along, across = (right * sine - down * cosine) / unit, np.abs(right * cosine + down * sine) / unit
    rim = max(0.09, 0.6 / unit)
    body = np.full(along.shape, np.inf)  # about the distance to the body
    for x, a, b in _BODY:
        np.minimum(body, (np.hypot((along - x) / a, across / b) - 1.0) * b, out=body)
    limbs = np.full(along.shape, np.inf)
    if length >= _SMALLEST_LEGS:
        for limb in _LIMBS:
            for start, end in itertools.pairwise(limb):
                np.minimum(limbs, _distance(along, across, start, end) - 0.035, out=limbs)
    food = np.maximum(np.abs(along - _LOAD[0]), across) - _LOAD[1]
    picture = np.zeros((*along.shape, 4), dtype=np.float32)
    picture[(body < rim) | (limbs < 0.4 * rim)] = (*outline, 1.0)
    picture[limbs < 0.0] = (*(0.8 * np.array(colour)), 1.0)
    picture[body < 0.0] = (*colour, 1.0)
    if load is not None:
        picture[food < rim] = (*outline, 1.0)
        picture[food < 0.0] = (*load, 1.0)
    return picture.reshape(2 * half, fine, 2 * half, fine, 4).mean(axis=(1, 3))


def stamp(
    frame: Image,
    sprites: FloatImage,
    which: NDArray[np.int64],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> None:
    """Lay pictures over a frame in place, later ones over earlier ones; what lies outside of it is left out.

    Up to 64 pictures are laid one by one. More are laid in 64 bundles: where two pictures of a bundle overlap, the
    later one counts alone, which shows at its soft rim only.

    Parameters
    ----------
    frame : (height, width, 3)
    sprites : (n, size, size, 4), as `ant_sprites`
    which : (n_places,) index of the picture for each place
    rows, columns : (n_places,) pixel coordinates of the middle of the pictures
    """
    size = sprites.shape[1]
    offset = np.arange(size) - size // 2
    first = np.rint(rows).astype(np.int64)[:, np.newaxis] + offset
    second = np.rint(columns).astype(np.int64)[:, np.newaxis] + offset
    bundle = 1 + len(which) // 64
    for k in range(0, len(which), bundle):
        part = slice(k, k + bundle)
        row, column = first[part, :, np.newaxis], second[part, np.newaxis, :]
        is_inside = (row >= 0) & (row < frame.shape[0]) & (column >= 0) & (column < frame.shape[1])
        picture = sprites[which[part]][is_inside]
        place = np.broadcast_to(row, is_inside.shape)[is_inside], np.broadcast_to(column, is_inside.shape)[is_inside]
        frame[place] = np.rint(picture[:, :3] + (1.0 - picture[:, 3:]) * frame[place])
