"""Watch a colony forage: in a window, in the terminal, or as a line every 100 ticks.

python -m envs.play --policy rule --preset maze
python -m envs.play --policy oracle --mode ansi --speed 4 --n-ants 50 --n-random-piles 5
python -m envs.play --policy rule --preset published_rules --episodes 100
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import importlib.util
import math
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from gymnasium.error import Error

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from envs.policies import POLICIES, Policy, make_policy, policy_settings
from envs.presets import PRESETS
from envs.render import render_ansi
from envs.window import Window

MODES = ("human", "ansi", "lines")
_TICKS_PER_LINE = 100
_MOST_DRAWN = 30.0  # pictures per second in a terminal
# Settings of the world whose names mean something else on this command line.
_FLAGS = {"speed": "--ant-speed", "n_ticks": "--ticks"}


class Viewer(Protocol):
    """One way of watching."""

    def show(self, env: AntForagingEnv) -> bool:
        """Show the world and wait for the next tick; returns whether there should be one."""
        ...

    def end(self, env: AntForagingEnv) -> None:
        """The episode is over; not called when the person has had enough."""
        ...

    def close(self) -> None:
        """Leave everything tidy."""
        ...


class WindowViewer:
    """A window, see `envs.window`; it stays until it is closed."""

    def __init__(self, ticks_per_second: float) -> None:
        self._window = Window(ticks_per_second if math.isfinite(ticks_per_second) else _fps())
        if math.isinf(ticks_per_second):
            self._window.speed = math.inf

    def show(self, env: AntForagingEnv) -> bool:
        assert env.state is not None
        self._window.show(env.state, env.config)
        return not self._window.is_closed

    def end(self, env: AntForagingEnv) -> None:
        assert env.state is not None
        self._window.hold(env.state, env.config)

    def close(self) -> None:
        self._window.close()


class TerminalViewer:
    """Pictures in the terminal, each over the one before."""

    def __init__(self, ticks_per_second: float) -> None:
        self._interval = 1.0 / ticks_per_second
        self._next_tick_at = time.perf_counter()
        self._drawn_at = -math.inf
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[?25l\x1b[2J")  # hide the cursor, clear the screen

    def show(self, env: AntForagingEnv) -> bool:
        now = time.perf_counter()
        if now - self._drawn_at >= 1.0 / _MOST_DRAWN:
            self._drawn_at = now
            self.end(env)
        self._next_tick_at = max(self._next_tick_at, now - self._interval) + self._interval
        time.sleep(max(self._next_tick_at - time.perf_counter(), 0.0))
        return True

    def end(self, env: AntForagingEnv) -> None:
        assert env.state is not None
        width, height = shutil.get_terminal_size((100, 53))
        text = render_ansi(env.state, env.config, room=(width, max(height - 3, 1))) + "\n"
        if sys.stdout.isatty():
            text = "\x1b[H" + text.replace("\n", "\x1b[K\n")
        sys.stdout.write(text)
        sys.stdout.flush()

    def close(self) -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[0m\x1b[?25h")


class LinesViewer:
    """A line every 100 ticks, as fast as possible."""

    def __init__(self) -> None:
        self._last_tick = -1

    def show(self, env: AntForagingEnv) -> bool:
        info = env.measures()
        if info["ticks"] % _TICKS_PER_LINE == 0:
            self.end(env)
        return True

    def end(self, env: AntForagingEnv) -> None:
        info = env.measures()
        if info["ticks"] == self._last_tick:
            return
        self._last_tick = info["ticks"]
        sys.stdout.write(f"tick {info['ticks']:6d}  food {info['food']:5d}  fitness {info['fitness']:10.1f}\n")
        sys.stdout.flush()

    def close(self) -> None:
        pass


def default_mode() -> str:
    """A window where pygame and a display are, pictures in a terminal, else lines."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    has_display = sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in variables)
    if has_display and importlib.util.find_spec("pygame") is not None:
        return "human"
    return "ansi" if sys.stdout.isatty() else "lines"


def watch(env: AntForagingEnv, policy: Policy, obs: Any, viewer: Viewer) -> None:
    """Let a colony forage before the eyes of a viewer until the episode, or the viewer's patience, ends."""
    try:
        while viewer.show(env):
            if env.has_ended:
                viewer.end(env)
                return
            obs = env.step(policy.act(obs))[0]
    finally:
        viewer.close()


def score(env: AntForagingEnv, policy: str, first_seed: int, n_episodes: int) -> list[int]:
    """Food brought home in episodes with the seeds `first_seed`, `first_seed` + 1, …."""
    food = []
    for seed in range(first_seed, first_seed + n_episodes):
        obs, info = env.reset(seed=seed)
        ants = make_policy(policy, env, seed)
        while not env.has_ended:
            obs, _, _, _, info = env.step(ants.act(obs))
        food.append(info["food"])
    return food


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = _make_parser()
    options = vars(parser.parse_args(arguments))
    names = [field.name for field in dataclasses.fields(ForagingConfig)]
    overrides = {name: options[name] for name in names if name in options}
    if options["seed"] < 0 or not options["pace"] >= 0 or options["episodes"] < 1:
        parser.error("--seed and --speed must be >= 0, --episodes >= 1")
    policy, preset = options["policy"], options["preset"]
    try:
        env = AntForagingEnv(preset, **(policy_settings(policy) | overrides))
        with _compiling():
            obs, _ = env.reset(seed=0)
            env.step(make_policy(policy, env).act(obs))
        if options["episodes"] > 1:
            food = score(env, policy, options["seed"], options["episodes"])
            mean, sd = statistics.fmean(food), statistics.stdev(food)
            sys.stdout.write(f"{policy} ants on {preset}, {len(food)} episodes: food {mean:.1f} ± {sd:.1f}\n")
            return 0
        obs, _ = env.reset(seed=options["seed"])
        ants = make_policy(policy, env, options["seed"])
        viewer = _make_viewer(options["mode"] or default_mode(), _fps() * (options["pace"] or math.inf))
    except (ValueError, Error) as error:
        parser.error(str(error))
    try:
        watch(env, ants, obs, viewer)
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    info = env.measures()
    n_food = info["food_placed"] + info["food_grown"]
    sys.stdout.write(
        f"{policy} ants on {preset}, seed {options['seed']}: {info['food']} of {n_food} food units in {info['ticks']} "
        f"ticks, fitness {info['fitness']:.1f}\n"
    )
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="play",
        usage="play [--policy NAME] [--preset NAME] [--mode MODE] [--seed N] [--ticks N] [--speed F] [--n-ants N] ...",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--policy", choices=POLICIES, default="rule", help="who steers the ants (default rule)")
    parser.add_argument("--preset", choices=PRESETS, default="published_test", metavar="NAME", help=", ".join(PRESETS))
    parser.add_argument("--mode", choices=MODES, help="a window, the terminal, or a line every 100 ticks")
    parser.add_argument("--seed", type=int, default=1, help="of the world and the ants (default 1)")
    parser.add_argument(
        "--episodes", type=int, default=1, help="more than one: nothing to watch, mean and sd of the food instead"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, dest="pace", help=f"1 is {_fps():g} ticks a second; 0: as fast as possible"
    )
    world = parser.add_argument_group("settings of the world, on top of the preset; lists as in [1, 2]")
    for field in dataclasses.fields(ForagingConfig):
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        world.add_argument(flag, dest=field.name, default=argparse.SUPPRESS, type=_value, metavar="VALUE")
    return parser


def _value(text: str) -> Any:
    """A number, list or truth value as Python writes it; anything else is text."""
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError, TypeError):
        return text


@contextlib.contextmanager
def _compiling() -> Iterator[None]:
    """Say what takes so long; Ctrl-C ends the process at once, since a compiler cannot be interrupted tidily."""
    if sys.stderr.isatty():
        sys.stderr.write("loading the world (the first time takes half a minute)")
        sys.stderr.flush()
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def _make_viewer(mode: str, ticks_per_second: float) -> Viewer:
    if mode == "human":
        return WindowViewer(ticks_per_second)
    return TerminalViewer(ticks_per_second) if mode == "ansi" else LinesViewer()


def _fps() -> float:
    return float(AntForagingEnv.metadata["render_fps"])


if __name__ == "__main__":
    sys.exit(main())
