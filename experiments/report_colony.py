"""The best colony of a run in a report: pictures of an episode, what one ant senses and fires, what all of them do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.foraging import AntForagingEnv
from envs.render import Layers, render_frame
from envs.types import DEPOSIT, LEFT, MOVE, N_SENSORS, RIGHT, SENSORS, TURN
from experiments.colonies import Colony, read_colony
from experiments.recorded_episode import RecordedEpisode, record_episode
from experiments.replay import check_size
from experiments.report_figures import Curve, Train, chart, picture, raster
from experiments.report_html import NONE, grid, number, paragraph, section, table, words
from experiments.report_sections import RunData, best_row
from experiments.rollout import task_seeds
from experiments.settings import ConfigError
from optim.tasks import Task
from snn import decode
from snn.decoding import MOTORS

_SHOWN = (0.05, 0.3, 0.65, 1.0)  # of the episode
_RASTER_TICKS = 30
_BEFORE = 8  # of these, before the ant picks up its first food
_MOST_HIDDEN = 40  # neurons of the raster


def colony_section(run: Path, data: RunData) -> str:
    """The best colony that is saved, in a world that the run has not met; nothing for other studies.

    Raises
    ------
    ConfigError : its file or the settings are damaged.
    """
    if "env" not in data.settings or not (run / "best.npz").exists():
        return ""
    colony = read_colony(run, None, {"brain.engine": "numba"})
    try:
        decode(colony.genome, colony.config.brain)
    except ValueError as error:
        raise ConfigError(f"{run / 'best.npz'}: {error}") from None
    title = "The best colony"
    try:
        check_size(colony.config)
    except ConfigError as error:
        return section(title, paragraph(f"Not drawn: {error}"))
    seeds = task_seeds(colony.config, Task(0, 0, 0), is_held_out=True)
    episode = record_episode(colony.genome, colony.config, seeds)
    ant = _busiest(episode)
    numbers = [[name, *cells] for name, *cells in behaviour(episode)]
    ticks = np.arange(episode.n_ticks + 1)
    curves = [
        Curve("food units at home", ticks, episode.returned, "best"),
        Curve("ants that carry food", ticks, episode.is_carrying.sum(axis=1), "mean"),
    ]
    beside = table(["", "value", "unit"], numbers) + chart("Over the episode", curves, x_label="tick")
    return section(
        title,
        paragraph(_which(colony, data) + " One episode in a world that the run has not met; the numbers are its own."),
        grid([_frame(episode, seeds[0], tick) for tick in shown_ticks(episode)], "four"),
        f'<div class="grid two"><div>{beside}</div>{_raster(episode, ant)}</div>\n',
    )


def shown_ticks(episode: RecordedEpisode) -> list[int]:
    """Ticks that are drawn: those of which the pheromone is known exactly."""
    known = episode.pheromone_ticks
    places = [int(np.abs(known - share * episode.n_ticks).argmin()) for share in _SHOWN]
    return sorted({int(known[place]) for place in places})


def frame_at(episode: RecordedEpisode, seed: int, tick: int) -> NDArray[np.uint8]:
    """The arena from above after so many ticks of an episode, (height, width, 3).

    Parameters
    ----------
    seed : of its world
    tick : one of `episode.pheromone_ticks`
    """
    env = AntForagingEnv(**dataclasses.asdict(episode.config.env))
    env.reset(seed=seed)
    state = env.state
    assert state is not None  # it was reset
    for name in ("x", "y", "heading", "is_carrying"):
        getattr(state, name)[:] = getattr(episode, name)[tick]
    state.food[:] = episode.food_at(tick)
    state.pheromone[:] = episode.pheromone[np.flatnonzero(episode.pheromone_ticks == tick)[0]]
    return render_frame(state, episode.config.env, Layers(hud=False))


def behaviour(episode: RecordedEpisode) -> list[tuple[str, Any, str]]:
    """What the ants of an episode did: name, value, unit."""
    measures, actions = episode.measures, episode.actions
    rates = {name: episode.spikes.population(name) for name in ("input", "hidden", "output")}
    is_home = episode.returned > 0
    share = "% of ant-ticks"
    return [
        ("food returned", measures["food"], f"of {measures['food_placed'] + measures['food_grown']:,} units"),
        ("fitness", measures["fitness"], ""),
        ("food picked up", measures["pick_ups"], "units"),
        ("first food home", int(is_home.argmax()) if is_home.any() else NONE, "tick"),
        ("length", episode.n_ticks, "ticks"),
        ("moves", _percent(actions[..., MOVE]), share),
        ("turns left", _percent(actions[..., TURN] == LEFT), share),
        ("turns right", _percent(actions[..., TURN] == RIGHT), share),
        ("leaves pheromone", _percent(actions[..., DEPOSIT] != 0), share),
        ("carries food", _percent(episode.is_carrying[:-1]), share),
        *(
            (f"{name} neurons", round(float(trains.mean_rate_hz()[0]), 1), "spikes/s per neuron")
            for name, trains in rates.items()
        ),
    ]


def _percent(is_so: NDArray[Any]) -> float:
    return round(100.0 * float(is_so.mean()), 1)


def _which(colony: Colony, data: RunData) -> str:
    """Whose genome was saved, as far as the records know it."""
    best = data.tables["best"]
    genomes = best.get("genome", np.empty((0, 0)))
    is_alike = genomes.shape[1:] == colony.genome.shape
    saved = np.flatnonzero((genomes == colony.genome).all(axis=1)) if is_alike else np.empty(0, np.intp)
    if not len(saved):
        return "The colony of best.npz, which is none of the fittest of a generation."
    text = f"The colony of best.npz: the best of generation {best['generation'][saved[0]]}."
    if best["fitness"][saved].max() < data.tables["generations"]["best"][best_row(data.tables["generations"])]:
        text += " A better one was found since: the file is written when a run ends or is stopped."
    return text


def _frame(episode: RecordedEpisode, seed: int, tick: int) -> str:
    text = f"tick {tick:,}: {episode.returned[tick]:,} at home, {episode.is_carrying[tick].sum()} carrying"
    image = picture(frame_at(episode, seed, tick), f"The arena after tick {tick}")
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>\n"


def _busiest(episode: RecordedEpisode) -> int:
    """The ant that picks up food most often, the first of them."""
    carried = episode.is_carrying.astype(np.int8)
    return int((np.diff(carried, axis=0) > 0).sum(axis=0).argmax())


def _raster(episode: RecordedEpisode, ant: int) -> str:
    """What an ant senses and fires when it finds its first food."""
    tick_ms = episode.config.brain.tick_ms
    carries = episode.is_carrying[:, ant]
    first = max(int(carries.argmax()) - _BEFORE, 0)
    last = min(first + _RASTER_TICKS, episode.n_ticks)
    labels = {"input": [words(name) for name in SENSORS[:N_SENSORS]], "output": list(MOTORS)}
    rows: list[Train] = []
    left_out = 0
    for kind in ("input", "hidden", "output"):
        spikes = episode.spikes.population(kind)
        size = spikes.n_neurons // episode.config.env.n_ants
        trains = spikes.slice(first * tick_ms, last * tick_ms).trains()[ant * size : (ant + 1) * size]
        chosen = np.sort(np.argsort([-len(times) for times in trains], kind="stable")[:_MOST_HIDDEN])
        left_out += size - len(chosen)
        names = labels.get(kind, [f"hidden {neuron}" for neuron in range(size)])
        rows += [Train(names[neuron], kind, trains[neuron]) for neuron in chosen]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], carries[first:last], [False]]).astype(np.int8)))
    shaded = [(begin * tick_ms, end * tick_ms) for begin, end in edges.reshape(-1, 2).tolist()]
    note = f"; the {left_out} hidden neurons that fire least are left out" if left_out else ""
    title = (
        f"Ant {ant}: senses, spikes and motors in ticks {number(first)} to {number(last)}, shaded while it carries food"
    )
    return raster(title + note, rows, (last - first) * tick_ms, shaded)
