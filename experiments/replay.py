"""A colony as a web page: `stigmergy replay RUN|FILE.npz [--genome ROW] [--episode K] [--engine NAME] [-o FILE.html]`.

The page is one file that needs nothing else, no network either: ants, food, pheromone, every spike, at any tick.
"""

from __future__ import annotations

import base64
import html
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envs import render
from envs.presets import PRESETS
from envs.types import N_SENSORS, SENSORS
from experiments.colonies import Colony, read_colony
from experiments.command import Parser, checked_path, guarded
from experiments.config import AntsConfig
from experiments.console import say
from experiments.files import StorageError, write_text
from experiments.pages import fill, policy, template
from experiments.process import EXIT_DONE
from experiments.provenance import collect_provenance, git_commit
from experiments.recorded_episode import MAX_NEURON_STEPS, RecordedEpisode, neuron_steps, record_episode
from experiments.replay_data import pack_episode
from experiments.rollout import task_seeds
from experiments.settings import ConfigError
from optim.tasks import Task
from snn import decode
from snn.decoding import MOTORS
from snn.params import ENGINES, INPUT_LAG_MS

MAX_FIELD_PATCHES = 60_000_000  # of all pheromone fields together: 240 MB
_SCRIPTS = ("replay_episode.js", "replay_arena.js", "replay_charts.js", "replay_panel.js", "replay_app.js")
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy replay", description=__doc__)
    parser.add_argument("colony", type=checked_path, metavar="RUN|FILE.npz", help="a run folder, or a file of genomes")
    parser.add_argument("--genome", type=int, metavar="ROW", help="row of the file; default the first")
    parser.add_argument("--episode", type=int, default=0, metavar="K", help="which world no run has met; default 0")
    parser.add_argument("--engine", choices=ENGINES, default="numba", help="both give the same spikes; default numba")
    parser.add_argument("-o", "--out", type=checked_path, default=Path("replay.html"), metavar="FILE", help="the page")
    return guarded(lambda: _replay(parser.parse(arguments)))


def _replay(options: dict[str, Any]) -> int:
    out: Path = options["out"]
    check_output(out)
    if options["episode"] < 0:
        raise ConfigError(f"--episode {options['episode']}: episodes are counted from 0.")
    colony = read_colony(options["colony"], options["genome"], {"brain.engine": options["engine"]})
    check_size(colony.config)
    try:
        decode(colony.genome, colony.config.brain)
    except ValueError as error:
        raise ConfigError(f"{options['colony']}: {error}") from None
    seeds = task_seeds(colony.config, Task(0, 0, options["episode"]), is_held_out=True)
    try:
        episode = record_episode(colony.genome, colony.config, seeds)
    except KeyboardInterrupt:
        sys.stderr.write("stopped: no page was written\n")
        return _INTERRUPTED
    page = make_page(episode, describe(colony, episode, options["genome"], options["episode"], seeds[0]))
    write_text(out, page)
    measures = episode.measures
    say(
        f"page {out}: {measures['ticks']:,} ticks, {measures['food']} food units, fitness {measures['fitness']:.1f}, "
        f"{len(page) / 1e6:.2f} MB"
    )
    return EXIT_DONE


def check_output(out: Path) -> None:
    """Refuse a page that could not be written, before any work.

    Raises
    ------
    ConfigError : another ending than .html.
    StorageError : the folder does not exist, or `out` is one.
    """
    if out.suffix != ".html":
        raise ConfigError(f"--out {out}: a page is an .html file. Choose this ending.")
    if not out.parent.is_dir():
        raise StorageError(f"{out} cannot be written: the folder {out.parent} does not exist. Make it first.")
    if out.is_dir():
        raise StorageError(f"{out} cannot be written: it is a folder. Choose another name.")


def check_size(config: AntsConfig) -> None:
    """Refuse an episode that is too large for a page.

    Raises
    ------
    ConfigError : names the limit, and what goes instead.
    """
    world, brain = config.env, config.brain
    n_neurons = brain.n_inputs + brain.n_hidden + brain.n_outputs
    n_steps = world.n_ticks * round(brain.tick_ms / brain.resolution_ms)
    n_fields = math.ceil(world.n_ticks / world.pheromone_period) + 2
    sizes = (
        (f"{world.n_ants:,} ants × {n_neurons} neurons × {n_steps:,} steps", MAX_NEURON_STEPS),
        (f"{n_fields:,} pheromone fields × {world.width:,} × {world.height:,} patches", MAX_FIELD_PATCHES),
    )
    totals = (neuron_steps(config), n_fields * world.width * world.height)
    for total, (factors, most) in zip(totals, sizes, strict=True):
        if total > most:
            raise ConfigError(
                f"{factors} are {total:,}, too many for a page, which holds up to {most:,}. See the colony in a "
                "smaller world: a file, e.g. RUN/best.npz, is taken to the published test world."
            )


def describe(colony: Colony, episode: RecordedEpisode, row: int | None, k: int, world_seed: int) -> dict[str, Any]:
    """What a page says about its colony: plain values; no path, host or user is among them.

    Parameters
    ----------
    row : of the genome in its file, or None; k : number of the episode
    """
    config, measures = colony.config, episode.measures
    n_food = measures["food_placed"] + measures["food_grown"]
    name = colony.name.encode("utf-8", "replace").decode() + ("" if row is None else f", genome {row}")
    commit, _, changes = git_commit().partition("+")
    preset = config.preset + ("" if config.env == PRESETS[config.preset] else " with changes")
    version: str = collect_provenance(config.seed, 1, "", commit)["versions"]["stigmergy"]
    if commit:
        version += f" ({commit[:10]}{', changed' if changes else ''})"
    return {
        "name": name,
        "summary": f"world seed {world_seed} · {measures['food']} of {n_food} food units returned",
        "source": f"stigmergy {version} · preset {preset} · seed {config.seed}, episode {k} · "
        f"engine {config.brain.engine}",
        "n_food": n_food,
        "world": _world(episode),
        "brain": {
            "n_hidden": config.brain.n_hidden,
            "tick_ms": config.brain.tick_ms,
            "step_ms": config.brain.resolution_ms,
            "input_lag_ms": INPUT_LAG_MS,
            "has_startup_transient": config.brain.has_startup_transient,
            "sensors": SENSORS[:N_SENSORS],
            "motors": MOTORS,
        },
        "colours": {
            "ground": render.GROUND,
            "margin": render.MARGIN,
            "wall": render.WALLS,
            "nest": render.NEST,
            "nest-edge": render.NEST_EDGE,
            "food": render.FOODS,
            "ant": render.ANT,
            "loaded": render.LOADED_ANT,
            "outline": render.OUTLINE,
            "text": render.TEXT,
        },
        "trail": render.TRAIL,
    }


def _world(episode: RecordedEpisode) -> dict[str, Any]:
    world = episode.config.env
    return {
        "arena": world.arena,
        "n_ants": world.n_ants,
        "n_ticks": episode.n_ticks,
        "capacity": max(world.food_per_patch + world.food_surplus, 1),
        "view": world.n_ray_points * world.ray_step,
        "departure_interval": world.departure_interval,
        "least_pheromone": render.least_shown(world.deposit),
        "decades": render.DECADES,
    }


def make_page(episode: RecordedEpisode, description: Mapping[str, Any]) -> str:
    """The whole page as text.

    Nothing in it asks the network, and its policy forbids it to; only its own script runs, whatever the texts hold.

    Parameters
    ----------
    description : from `describe`
    """
    packed = pack_episode(episode)
    header = json.dumps({**description, "arrays": packed.arrays})
    style, script = template("replay.css"), "".join(template(name) for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{script}}})();\n'
    parts = {
        "title": html.escape(f"{description['name']} · {description['summary']}"),
        "policy": policy(style, script),
        "style": style,
        "script": script,
        "header": header.replace("<", "\\u003c"),  # no text can end the element it is in
        "stream": base64.b64encode(packed.stream).decode(),
    }
    return fill("replay.html", parts)
