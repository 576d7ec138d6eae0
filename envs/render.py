"""Pictures of the world: `ForagingState` to an RGB frame, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.types import WALL, ForagingConfig, ForagingState

PIXELS_PER_PATCH = 12
GROUND = np.array([24, 22, 30])
WALLS = np.array([112, 104, 98])
NEST = np.array([124, 78, 190])
FOODS = np.array([64, 188, 235])
TRAIL_LOW, TRAIL_HIGH = np.array([20, 96, 46]), np.array([214, 255, 190])
ANT, LOADED_ANT = np.array([235, 94, 52]), np.array([255, 221, 64])
OUTLINE = np.array([12, 10, 14])
# Pheromone shown from this content on; the colour is logarithmic up to 100 times as much.
VISIBLE_PHEROMONE = 1.0


def render_frame(state: ForagingState, config: ForagingConfig) -> NDArray[np.uint8]:
    """The arena seen from above, +y up.

    Ground dark, walls grey, nest violet, food blue (paler where one unit is left of several), pheromone green to white
    on a logarithmic scale, ants orange, ants that carry food yellow; the tip of an ant points along its heading.

    Returns
    -------
    (rows, columns, 3) uint8, `PIXELS_PER_PATCH` pixels per patch
    """
    x_min, x_max, y_min, y_max = config.arena
    window = np.s_[y_min : y_max + 1, x_min : x_max + 1]
    patches = np.empty((y_max - y_min + 1, x_max - x_min + 1, 3))
    patches[:] = GROUND
    _paint_pheromone(patches, state.pheromone[window])
    is_nest = state.is_nest[window]
    patches[is_nest] = 0.35 * patches[is_nest] + 0.65 * NEST
    food = state.food[window]
    fullness = np.minimum(food / max(config.food_per_patch, 1), 1.0)[..., None]
    patches = np.where(food[..., None] > 0, FOODS * (0.55 + 0.45 * fullness), patches)
    patches[state.objects[window] == WALL] = WALLS
    frame = np.repeat(np.repeat(patches, PIXELS_PER_PATCH, axis=0), PIXELS_PER_PATCH, axis=1)
    for ant in range(state.x.shape[0]):
        colour = LOADED_ANT if state.is_carrying[ant] else ANT
        _paint_ant(frame, state.x[ant] - x_min, state.y[ant] - y_min, state.heading[ant], colour)
    return np.ascontiguousarray(frame[::-1]).astype(np.uint8)


def _paint_pheromone(patches: NDArray[np.float64], pheromone: NDArray[np.float64]) -> None:
    """Blend the trail colours over `patches` where there is enough pheromone to see."""
    level = np.clip(np.log10(np.maximum(pheromone, VISIBLE_PHEROMONE) / VISIBLE_PHEROMONE) / 2.0, 0.0, 1.0)[..., None]
    trail = TRAIL_LOW + level * (TRAIL_HIGH - TRAIL_LOW)
    opacity = np.where(pheromone[..., None] > VISIBLE_PHEROMONE, 0.35 + 0.65 * level, 0.0)
    patches[:] = (1.0 - opacity) * patches + opacity * trail


def _paint_ant(frame: NDArray[np.float64], x: float, y: float, heading: float, colour: NDArray[np.int64]) -> None:
    """Draw one ant as a drop with a dark rim at patch coordinates (x, y) of the frame."""
    scale, reach = PIXELS_PER_PATCH, 1.6
    rows, columns = frame.shape[:2]
    row_low, row_high = (int(np.clip((y + 0.5 + side * reach) * scale, 0, rows)) for side in (-1, 1))
    column_low, column_high = (int(np.clip((x + 0.5 + side * reach) * scale, 0, columns)) for side in (-1, 1))
    pixel_y, pixel_x = np.mgrid[row_low:row_high, column_low:column_high]
    dx, dy = (pixel_x + 0.5) / scale - 0.5 - x, (pixel_y + 0.5) / scale - 0.5 - y
    radians = np.radians(heading)
    along = dx * np.sin(radians) + dy * np.cos(radians)
    across = dx * np.cos(radians) - dy * np.sin(radians)
    # A drop: half width falls from the round tail at -0.8 to the pointed head at +1.1 patches.
    half_width = 0.62 * np.sqrt(np.clip((along + 0.8) / 0.5, 0.0, 1.0)) * np.clip((1.1 - along) / 1.4, 0.0, 1.0)
    window = frame[row_low:row_high, column_low:column_high]
    window[np.abs(across) < half_width + 0.14 * (half_width > 0)] = OUTLINE
    window[np.abs(across) < half_width - 0.02] = colour
