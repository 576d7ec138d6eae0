"""The live picture of `render_mode="human"`: a window with keys, the only file that imports pygame."""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled, Error

from envs.config import ForagingConfig
from envs.glyphs import Image
from envs.render import ALL_LAYERS, MARGIN, render_frame
from envs.types import ForagingState

KEYS = "space pause · right step · + - speed · p pheromone · a ants · h numbers · Esc end"
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, math.inf)  # times the ticks per second of the world
_MOST_DRAWN = 60.0  # pictures per second: of a faster colony not every tick is drawn
_LONGEST_NAP = 0.01  # seconds between looks at the keys


class Window:
    """A window that shows a colony tick by tick.

    Keys: space pauses and goes on; the right arrow or the full stop does one tick of a paused colony; + and - change
    the speed in steps, up to "as fast as possible"; p, a and h hide and show pheromone, ants and numbers; Esc, or
    closing the window, ends the showing: `is_closed` is true from then on and `show` does nothing, so that whoever
    drives the colony decides what that means. The window can be resized.

    Parameters
    ----------
    fps : ticks per second at speed 1

    Raises
    ------
    gymnasium.error.DependencyNotInstalled : pygame is missing.
    gymnasium.error.Error : there is no display.
    """

    def __init__(self, fps: float):
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            self._pygame: Any = importlib.import_module("pygame")
        except ImportError:
            raise DependencyNotInstalled(
                "the window of render_mode='human' needs pygame: pip install -e '.[render]'"
            ) from None
        try:
            self._pygame.display.init()
            driver = self._pygame.display.get_driver()
        except self._pygame.error:
            driver = "offscreen"  # what SDL falls back to by itself: a window that nobody sees
        if driver == "offscreen" and os.environ.get("SDL_VIDEODRIVER") != "offscreen":
            raise Error("render_mode='human' needs a display, and there is none: use 'ansi' or 'rgb_array'.")
        self.fps = fps
        self.is_closed = False
        self.is_paused = False
        self.layers = ALL_LAYERS
        self.speed = 1.0
        self._screen: Any = None
        self._is_step_asked = False
        self._drawn_at = -math.inf
        self._next_tick_at = time.perf_counter()

    def show(self, state: ForagingState, config: ForagingConfig) -> None:
        """Draw the colony, and wait until its next tick is due: a moment, or as long as it is paused."""
        if self.is_closed:
            return
        self._is_step_asked = False
        if self.is_paused or time.perf_counter() - self._drawn_at >= 1.0 / _MOST_DRAWN:
            self._draw(state, config)
        self._wait(state, config, self._is_due)
        interval = 1.0 / (self.fps * self.speed)
        self._next_tick_at = max(self._next_tick_at, time.perf_counter() - interval) + interval

    def hold(self, state: ForagingState, config: ForagingConfig) -> None:
        """Show the last picture until the window is closed."""
        if self.is_closed:
            return
        self._draw(state, config)
        self._wait(state, config, lambda: False)

    def close(self) -> None:
        """Close the window."""
        if not self.is_closed:
            self.is_closed = True
            self._screen = None
            self._pygame.display.quit()

    def _is_due(self) -> bool:
        return self._is_step_asked if self.is_paused else time.perf_counter() >= self._next_tick_at

    def _wait(self, state: ForagingState, config: ForagingConfig, is_over: Callable[[], bool]) -> None:
        """Serve the keys until `is_over`, or the window is closed."""
        while True:
            if self._serve_events() and not self.is_closed:
                self._draw(state, config)
            if self.is_closed or is_over():
                return
            left = self._next_tick_at - time.perf_counter()
            time.sleep(left if 0.0 < left < _LONGEST_NAP else _LONGEST_NAP)

    def _serve_events(self) -> bool:
        """Do what the waiting events ask for; returns whether the picture must be drawn again."""
        is_stale = False
        for event in self._pygame.event.get() if self._screen is not None else ():
            if event.type == self._pygame.QUIT:
                self.close()
            elif event.type == self._pygame.KEYDOWN:
                is_stale |= self._press(event.key, getattr(event, "unicode", ""))
            elif event.type in (self._pygame.VIDEORESIZE, self._pygame.WINDOWEXPOSED):
                is_stale = True
            if self.is_closed:
                break
        return is_stale

    def _press(self, key: int, letter: str) -> bool:
        """React to a key; returns whether it has a meaning."""
        keys, layers = self._pygame, self.layers
        if key == keys.K_ESCAPE:
            self.close()
        elif key == keys.K_SPACE:
            self.is_paused = not self.is_paused
        elif key in (keys.K_RIGHT, keys.K_PERIOD):
            self._is_step_asked = True
        elif key in (keys.K_PLUS, keys.K_KP_PLUS, keys.K_EQUALS) or letter == "+":
            self.speed = min((s for s in SPEEDS if s > self.speed), default=self.speed)
        elif key in (keys.K_MINUS, keys.K_KP_MINUS) or letter == "-":
            self.speed = max((s for s in SPEEDS if s < self.speed), default=self.speed)
        elif key == keys.K_p:
            self.layers = replace(layers, pheromone=not layers.pheromone)
        elif key == keys.K_a:
            self.layers = replace(layers, ants=not layers.ants)
        elif key == keys.K_h:
            self.layers = replace(layers, hud=not layers.hud)
        else:
            return False
        self._next_tick_at = min(self._next_tick_at, time.perf_counter() + 1.0 / (self.fps * self.speed))
        return True

    def _draw(self, state: ForagingState, config: ForagingConfig) -> None:
        frame = render_frame(state, config, self.layers)
        if self._screen is None:
            self._open(frame)
        speed = "as fast as possible" if math.isinf(self.speed) else f"× {self.speed:g}"
        self._pygame.display.set_caption(f"AntForaging   {speed}{'   paused' if self.is_paused else ''}   ({KEYS})")
        screen = self._pygame.display.get_surface()
        screen.fill(MARGIN)
        picture = self._fitted(frame, screen.get_size())
        left, top = ((room - side) // 2 for room, side in zip(screen.get_size(), picture.get_size(), strict=True))
        screen.blit(picture, (left, top))
        self._pygame.display.flip()
        self._drawn_at = time.perf_counter()

    def _open(self, frame: Image) -> None:
        """Open the window in the size of the picture, or smaller if the display is."""
        height, width = frame.shape[:2]
        room_x, room_y = self._pygame.display.get_desktop_sizes()[0]
        share = min(0.9 * room_x / width, 0.9 * room_y / height, 1.0)
        size = (max(int(share * width), 1), max(int(share * height), 1))
        self._screen = self._pygame.display.set_mode(size, self._pygame.RESIZABLE)

    def _fitted(self, frame: Image, room: tuple[int, int]) -> Any:
        """The picture as large as the window allows: sharp if enlarged to a whole multiple, else smooth."""
        height, width = frame.shape[:2]
        picture = self._pygame.image.frombuffer(np.ascontiguousarray(frame).tobytes(), (width, height), "RGB")
        share = min(room[0] / width, room[1] / height)
        size = (max(round(share * width), 1), max(round(share * height), 1))
        if size == (width, height):
            return picture
        transform = self._pygame.transform
        return transform.scale(picture, size) if share == int(share) else transform.smoothscale(picture, size)
