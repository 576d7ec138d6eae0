"""Pictures of the world: `ForagingState` to an RGB frame or to text, in plain NumPy."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs import glyphs
from envs.config import ForagingConfig
from envs.glyphs import LINE, N_HEADINGS, Colour, Image, Places
from envs.types import FOOD_GROWN, FOOD_PLACED, N_FOOD, N_TICKS, WALL, ForagingState

# Hues that stay apart for the three kinds of colour blindness (seen through the simulation of Machado et al. 2009).
GROUND: Colour = (27, 26, 34)
MARGIN: Colour = (14, 13, 18)
WALLS: Colour = (118, 112, 108)
NEST: Colour = (122, 92, 205)
NEST_EDGE: Colour = (178, 154, 244)
FOODS: Colour = (80, 184, 240)
ANT: Colour = (240, 112, 48)
LOADED_ANT: Colour = (255, 222, 70)
OUTLINE: Colour = (12, 10, 14)
TEXT: Colour = (206, 204, 212)
# Colours of a pheromone, from the least that is shown to `10**DECADES` times as much.
TRAIL: tuple[Colour, ...] = ((10, 74, 66), (4, 126, 96), (64, 192, 138), (176, 240, 196), (248, 255, 242))
REPELLENT: tuple[Colour, ...] = ((72, 22, 84), (138, 40, 140), (214, 86, 196), (246, 170, 230), (255, 240, 252))
DECADES = 3

_PLAIN = " .+-n#123456789*↑↗→↘↓↙←↖⇑⇗⇒⇘⇓⇙⇐⇖"  # characters of a text without colours, the least important first
_SMALL = 0.8  # letters of the colour scales, compared with those of the numbers
_BEST_SIDE, _MAX_SIDE, _MAX_SCALE, _MIN_WIDTH = 720, 1400, 24, 280  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What a picture shows of the world, apart from its ground and walls."""

    pheromone: bool = True  # and the repellent
    nest: bool = True
    food: bool = True
    ants: bool = True
    hud: bool = True  # the numbers and colour scales below the arena


ALL_LAYERS = Layers()


class FrameLayout(NamedTuple):
    """Where things are on a frame, in pixels; the same in all frames of a config and a choice of layers.

    The middle of patch (x, y) is at column ``left + (x - x_min + 0.5) / stride * scale`` and row
    ``top + (y_max - y + 0.5) / stride * scale``.
    """

    height: int  # of the frame; even, as video codecs want it
    width: int
    scale: int  # pixels per cell
    stride: int  # patches per cell: 1, or more in arenas of more patches than a frame has pixels
    left: int  # of the arena
    top: int
    bottom: int  # first row below the arena and its margin
    text_unit: float  # size of the letters, see `envs.glyphs`
    status: Places  # left, top of the numbers
    bars: Places  # left, top of the colour scales


@functools.lru_cache(maxsize=64)
def frame_layout(config: ForagingConfig, layers: Layers = ALL_LAYERS) -> FrameLayout:
    """Layout of the frames of a world: about 720 pixels for the longer side of the arena, at most 1,400."""
    x_min, x_max, y_min, y_max = config.arena
    columns, rows = x_max - x_min + 1, y_max - y_min + 1
    side = max(columns, rows)
    stride = math.ceil(side / _MAX_SIDE)
    scale = min(max(_BEST_SIDE // side, 2 if 2 * side <= _MAX_SIDE else 1), _MAX_SCALE)
    margin = min(max(scale, 8), 12)
    width, bottom = math.ceil(columns / stride) * scale, math.ceil(rows / stride) * scale + 2 * margin
    frame_width = width + 2 * margin
    height, unit, status, bars = bottom, 0.0, Places(), Places()
    if layers.hud:
        frame_width = max(frame_width, _MIN_WIDTH)
        unit = 1.5 if frame_width < 450 else 2.0 if frame_width < 900 else 2.5
        room = (margin, frame_width - margin)
        widths = [glyphs.text_width(text, unit) for text in _longest_status(config)]
        status, height = glyphs.flow(widths, room, height, unit, LINE)
        widths = [glyphs.scale_width(_SMALL * unit)] * (2 if config.has_repellent else 1)
        bars, height = glyphs.flow(widths, room, height + round(2 * unit), _SMALL * unit, 1.9 * LINE)
    left = (frame_width - width) // 2
    return FrameLayout(
        height + height % 2, frame_width + frame_width % 2, scale, stride, left, margin, bottom, unit, status, bars
    )


def render_frame(state: ForagingState, config: ForagingConfig, layers: Layers = ALL_LAYERS) -> Image:
    """The arena seen from above, +y up.

    Ground dark, walls grey, nest violet, food blue (darker where a patch is not full), pheromone green to white and
    repellent magenta to white on a logarithmic scale, ants orange, or yellow with the food they carry in front. Below:
    the tick, the food brought to the nest of all food there was, the ants that carry food, and the colour scales.

    Returns
    -------
    (height, width, 3) uint8, see `frame_layout`; both even
    """
    layout = frame_layout(config, layers)
    scale, frame = layout.scale, _blank_frame(config, layers).copy()
    cells = cell_colours(state, config, layers, layout.stride)
    arena = frame[layout.top :, layout.left :][: cells.shape[0] * scale, : cells.shape[1] * scale]
    arena[:] = cells.repeat(scale, axis=0).repeat(scale, axis=1)
    if scale >= 6:
        _draw_edges(arena.reshape(cells.shape[0], scale, cells.shape[1], scale, 3), state, config, layers)
    if layers.ants:
        x_min, _, _, y_max = config.arena
        sprites = glyphs.ant_sprites(scale / layout.stride, ANT, LOADED_ANT, FOODS, OUTLINE)
        which = np.rint(state.heading * (N_HEADINGS / 360.0)).astype(np.int64) % N_HEADINGS
        glyphs.stamp(
            frame[: layout.bottom],
            sprites.reshape(-1, *sprites.shape[2:]),
            which + N_HEADINGS * state.is_carrying,
            layout.top + (y_max - state.y + 0.5) * scale / layout.stride,
            layout.left + (state.x - x_min + 0.5) * scale / layout.stride,
        )
    if layers.hud:
        for (left, top), text in zip(layout.status, _status(state), strict=True):
            glyphs.draw_text(frame, text, left, top, layout.text_unit, TEXT)
    return frame


def _draw_edges(tiles: Image, state: ForagingState, config: ForagingConfig, layers: Layers) -> None:
    """A light line round the nest and a dark one round each patch of food, on (rows, scale, columns, scale, 3)."""
    if layers.nest:
        padded = np.pad(_shown(state.is_nest, config), 1)
        inside = padded[1:-1, 1:-1]
        for near, line in ((padded[:-2, 1:-1], 0), (padded[2:, 1:-1], -1)):
            rows, columns = np.nonzero(inside & ~near)
            tiles[rows, line, columns] = NEST_EDGE
        for near, line in ((padded[1:-1, :-2], 0), (padded[1:-1, 2:], -1)):
            rows, columns = np.nonzero(inside & ~near)
            tiles[rows, :, columns, line] = NEST_EDGE
    if layers.food:
        rows, columns = np.nonzero(_shown(state.food, config))
        tiles[rows, -1, columns] //= 2
        tiles[rows, :, columns, 0] //= 2


def _shown(field: NDArray[Any], config: ForagingConfig) -> NDArray[Any]:
    """The arena's part of a field, the top row first."""
    x_min, x_max, y_min, y_max = config.arena
    return field[y_min : y_max + 1, x_min : x_max + 1][::-1]


def cell_colours(state: ForagingState, config: ForagingConfig, layers: Layers = ALL_LAYERS, stride: int = 1) -> Image:
    """Colours of the arena without its ants, one for every `stride` by `stride` patches; the top row is the first.

    Where patches share a cell the largest content counts, and walls hide food, food the nest, the nest pheromone.

    Returns
    -------
    (rows, columns, 3) uint8
    """
    is_wall, is_nest, food, trail = (
        _largest(_shown(field, config), stride, stride)
        for field in (state.objects == WALL, state.is_nest, state.food, state.pheromone)
    )
    colours = np.full((*is_wall.shape, 3), GROUND, dtype=np.float32)
    if layers.pheromone:
        _lay(colours, _shades(TRAIL)[_levels(trail, config.deposit)])
    if layers.pheromone and config.has_repellent:
        trail = _largest(_shown(state.repellent, config), stride, stride)
        _lay(colours, _shades(REPELLENT)[_levels(trail, config.repellent_deposit)])
    if layers.nest:
        colours[is_nest] = 0.25 * colours[is_nest] + 0.75 * np.array(NEST)
    if layers.food:
        fullness = np.minimum(food / max(config.food_per_patch + config.food_surplus, 1), 1.0)[food > 0, np.newaxis]
        colours[food > 0] = np.array(FOODS) * (0.55 + 0.45 * fullness)
    colours[is_wall] = WALLS
    return np.rint(colours).astype(np.uint8)


def least_shown(deposit: float) -> float:
    """The least pheromone that is shown: 1 for the published deposit of 60, a power of ten."""
    return 10.0 ** min(max(round(math.log10(deposit / 60.0)), -30), 30) if deposit > 0 else 1.0


def _levels(field: NDArray[Any], deposit: float) -> NDArray[np.uint8]:
    """Place of a content on the colour scale: 0 if it is not shown, else 1 … 255 over `DECADES` powers of ten."""
    least = least_shown(deposit)
    share = np.log10(np.maximum(field, 0.5 * least) / least) / DECADES
    return np.clip(1.0 + 254.0 * share, 0.0, 255.0).astype(np.uint8)


@functools.cache
def _shades(ramp: tuple[Colour, ...]) -> NDArray[np.float32]:
    """(256, 4) colours by level, times opacity, and opacity: weak trails let the ground through."""
    share = np.clip((np.arange(256) - 1) / 254, 0.0, 1.0)
    stops = np.linspace(0.0, 1.0, len(ramp))
    shades = np.stack([np.interp(share, stops, channel) for channel in zip(*ramp, strict=True)], axis=1)
    opacity = np.minimum(0.3 + 2.8 * share, 1.0)[:, np.newaxis] * (np.arange(256) > 0)[:, np.newaxis]
    return np.hstack([shades * opacity, opacity]).astype(np.float32)


def _lay(colours: NDArray[np.float32], shades: NDArray[np.float32]) -> None:
    colours *= 1.0 - shades[..., 3:]
    colours += shades[..., :3]


def _largest(field: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """The largest value in every block of `rows` by `columns`; blocks at the far edges may be smaller."""
    for axis, size in enumerate((rows, columns)):
        if size > 1:
            field = np.maximum.reduceat(field, np.arange(0, field.shape[axis], size), axis=axis)
    return field


def _status(state: ForagingState) -> tuple[str, str, str]:
    counts = state.counts
    n_food = counts[FOOD_PLACED] + counts[FOOD_GROWN]
    return f"tick {counts[N_TICKS]}", f"food {counts[N_FOOD]}/{n_food}", f"carrying {state.is_carrying.sum()}"


def _longest_status(config: ForagingConfig) -> tuple[str, str, str]:
    """Texts at least as wide as those of any tick."""
    n_food = config.total_food + config.n_pile_patches * config.food_surplus
    if config.growth_period:
        n_food += config.n_ticks // config.growth_period
    return f"tick {config.n_ticks}", f"food {n_food}/{n_food}", f"carrying {config.n_ants}"


@functools.lru_cache(maxsize=8)
def _blank_frame(config: ForagingConfig, layers: Layers) -> Image:
    """A frame with its colour scales, and nothing in the arena; read-only."""
    layout = frame_layout(config, layers)
    frame = np.full((layout.height, layout.width, 3), MARGIN, dtype=np.uint8)
    kinds = (("pheromone", TRAIL, config.deposit), ("repellent", REPELLENT, config.repellent_deposit))
    for place, (name, ramp, deposit) in zip(layout.bars, kinds, strict=False):
        bar = np.full((255, 3), GROUND, dtype=np.float32)
        _lay(bar, _shades(ramp)[1:])
        numbers = [f"{least_shown(deposit) * 10**k:g}" for k in range(DECADES + 1)]
        glyphs.draw_scale(frame, name, np.rint(bar), numbers, place, _SMALL * layout.text_unit, TEXT)
    frame.flags.writeable = False
    return frame


def render_ansi(
    state: ForagingState, config: ForagingConfig, layers: Layers = ALL_LAYERS, room: tuple[int, int] = (100, 50)
) -> str:
    """The arena as lines of text that fit into `room` (columns, lines), and a line with the numbers.

    Two cells, one above the other, are one character, a half block in 24-bit colours; those of `render_frame`. If the
    environment variable NO_COLOR is set the characters are plain: ``#`` wall, ``n`` nest, digits and ``*`` units of
    food, ``.`` and ``+`` pheromone, ``-`` more repellent than pheromone, arrows ants (double ones with food).
    """
    x_min, x_max, y_min, y_max = config.arena
    stride = max(math.ceil((x_max - x_min + 1) / room[0]), math.ceil((y_max - y_min + 1) / (2 * room[1])))
    lines = (_plain_lines if os.environ.get("NO_COLOR") else _coloured_lines)(state, config, layers, stride)
    if layers.hud:
        lines.append("   ".join(_status(state)))
    return "\n".join(lines)


def _coloured_lines(state: ForagingState, config: ForagingConfig, layers: Layers, stride: int) -> list[str]:
    cells = cell_colours(state, config, layers, stride)
    if layers.ants:
        rows, columns = (place // stride for place in _ant_patches(state, config))
        for is_drawn, colour in ((~state.is_carrying, ANT), (state.is_carrying, LOADED_ANT)):
            cells[rows[is_drawn], columns[is_drawn]] = colour
    return glyphs.half_blocks(cells)


def _plain_lines(state: ForagingState, config: ForagingConfig, layers: Layers, stride: int) -> list[str]:
    wall, nest, food, ant = (_PLAIN.index(first) for first in "#n1↑")
    units = _shown(state.food, config)
    codes: NDArray[Any] = np.zeros(units.shape, dtype=np.int64)
    if layers.pheromone:
        trail = _shown(state.pheromone, config) / least_shown(config.deposit)
        codes[:] = (trail >= 1.0) + 1 * (trail >= 10.0)
        if config.has_repellent:
            repellent = _shown(state.repellent, config) / least_shown(config.repellent_deposit)
            codes[(repellent >= 1.0) & (repellent > trail)] = 3
    if layers.nest:
        codes[_shown(state.is_nest, config)] = nest
    if layers.food:
        codes = np.where(units > 0, food + np.minimum(units, 10) - 1, codes)
    codes[_shown(state.objects, config) == WALL] = wall
    if layers.ants:
        direction = np.rint(state.heading / 45.0).astype(np.int64) % 8
        np.maximum.at(codes, _ant_patches(state, config), ant + direction + 8 * state.is_carrying)
    return ["".join(_PLAIN[code] for code in row) for row in _largest(codes, 2 * stride, stride).tolist()]


def _ant_patches(state: ForagingState, config: ForagingConfig) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the ants' patches in the arena, the top row first."""
    x_min, x_max, y_min, y_max = config.arena
    rows = y_max - np.clip(np.floor(state.y + 0.5), y_min, y_max).astype(np.int64)
    return rows, np.clip(np.floor(state.x + 0.5), x_min, x_max).astype(np.int64) - x_min
