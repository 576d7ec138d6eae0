"""Draw six worlds side by side, each after some ticks of rule-based ants: the figure of docs/world.md.

python experiments/gallery.py --out docs/images/worlds.png
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs import glyphs
from envs.foraging import AntForagingEnv
from envs.glyphs import Image
from envs.policies import make_policy, policy_settings
from envs.render import (
    ANT,
    FOODS,
    GROUND,
    LOADED_ANT,
    MARGIN,
    NEST,
    OUTLINE,
    REPELLENT,
    TEXT,
    TRAIL,
    Layers,
    render_frame,
)
from envs.types import DEPOSIT_REPELLENT


class Panel(NamedTuple):
    preset: str
    n_ticks: int
    seed: int


PANELS = (
    Panel("published_test", 350, 1),
    Panel("obstacles", 500, 2),
    Panel("maze", 900, 4),
    Panel("random_piles", 350, 3),
    Panel("two_pheromones", 180, 8),
    Panel("open", 300, 1),
)
# Pixels: width of a panel (the published arena as it is), room between panels, height of a title, size of letters.
WIDTH, GAP, TITLE, TITLE_UNIT, KEY_UNIT = 516, 20, 44, 3.0, 2.4


def foraged(panel: Panel) -> AntForagingEnv:
    """World after some ticks of rule-based ants; those without food and off the trail deposit the repellent."""
    env = AntForagingEnv(panel.preset, **policy_settings("rule"))
    obs, _ = env.reset(seed=panel.seed)
    ants = make_policy("rule", env, panel.seed)
    for _ in range(panel.n_ticks):
        actions = ants.act(obs)
        if env.config.has_repellent:
            actions[:, DEPOSIT_REPELLENT] = (obs["contact"][:, 0] == 0) & (obs["pheromone"][:, 0] < 0.03)
        obs = env.step(actions)[0]
    return env


def draw_panel(panel: Panel) -> Image:
    """The arena below its name, `WIDTH` pixels wide."""
    from PIL import Image as Picture

    env = foraged(panel)
    assert env.state is not None
    frame = render_frame(env.state, env.config, Layers(hud=False))
    if frame.shape[1] != WIDTH:
        size = (WIDTH, round(frame.shape[0] * WIDTH / frame.shape[1]))
        frame = np.asarray(Picture.fromarray(frame).resize(size, Picture.Resampling.LANCZOS))
    title = np.full((TITLE, WIDTH, 3), MARGIN, dtype=np.uint8)
    glyphs.draw_text(title, panel.preset.replace("_", " "), 12, 8, TITLE_UNIT, TEXT)
    return np.vstack([title, frame])


def draw_key(height: int) -> Image:
    """What the colours mean, `WIDTH` pixels wide."""
    frame = np.full((height, WIDTH, 3), MARGIN, dtype=np.uint8)
    for k, (name, ramp) in enumerate((("pheromone", TRAIL), ("repellent", REPELLENT))):
        at, stops = np.linspace(0, len(ramp) - 1, 255), np.arange(len(ramp))
        shades = np.stack([np.interp(at, stops, channel) for channel in zip(*ramp, strict=True)], axis=1)
        place = (12, 12 + 56 * k)
        glyphs.draw_scale(frame, name, shades.astype(np.float32), ("1", "10", "100", "1000"), place, KEY_UNIT, TEXT)
    sprites = glyphs.ant_sprites(14, ANT, LOADED_ANT, FOODS, OUTLINE)
    glyphs.stamp(frame, sprites[:, 18], np.array([0, 1]), np.array([147.0, 147.0]), np.array([36.0, 250.0]))
    glyphs.draw_text(frame, "ant", 66, 132, KEY_UNIT, TEXT)
    glyphs.draw_text(frame, "with food", 286, 132, KEY_UNIT, TEXT)
    nest = 0.25 * np.array(GROUND) + 0.75 * np.array(NEST)
    for left, colour, name in ((24, np.array(FOODS), "food"), (238, nest, "nest")):
        frame[180:204, left : left + 24] = colour
        glyphs.draw_text(frame, name, left + 42, 178, KEY_UNIT, TEXT)
    return frame


def draw_gallery(panels: Sequence[Panel] = PANELS) -> Image:
    """All panels in rows of three, with a key below the last one if it is lower than the others."""
    cells = [draw_panel(panel) for panel in panels]
    height = max(len(cell) for cell in cells)
    n_rows = -(-len(cells) // 3)
    figure = np.full((n_rows * (height + GAP), 3 * WIDTH + 4 * GAP, 3), MARGIN, dtype=np.uint8)
    for k, cell in enumerate(cells):
        row, column = divmod(k, 3)
        top, left = GAP // 2 + row * (height + GAP), GAP + column * (WIDTH + GAP)
        figure[top : top + len(cell), left : left + WIDTH] = cell
        if height - len(cell) >= 204:
            figure[top + len(cell) : top + height, left : left + WIDTH] = draw_key(height - len(cell))
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("worlds.png"), help="a .png file (default worlds.png)")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".png" or not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: give a .png file in a folder that exists")
    try:
        from PIL import Image as Picture
    except ImportError:
        parser.error("pictures need Pillow: pip install -e '.[plot]'")
    Picture.fromarray(draw_gallery()).save(options.out, optimize=True)
    sys.stdout.write(f"picture {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
