"""An episode of a spiking colony, everything kept: what the ants sensed, fired and did, and the world around them."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.foraging import AntForagingEnv
from envs.types import ForagingState
from experiments.config import AntsConfig
from optim.base import Array
from snn import AntColonyBrain, decode
from snn.spike_trains import SpikeTrains

MAX_NEURON_STEPS = 200_000_000  # that can be recorded: 142 published ants for 2,000 ticks, 3 to 4.5 GB at the peak


class FoodChanges(NamedTuple):
    """When the food on a patch changed, and to how many units; in the order of the ticks."""

    tick: NDArray[np.int64]  # (n_changes,)
    patch: NDArray[np.int64]  # (n_changes,) flat index, y * width + x
    units: NDArray[np.int64]  # (n_changes,) from then on


class RecordedEpisode(NamedTuple):
    """What happened. Row t of a table with n_ticks + 1 rows is the state before tick t, the last that at the end."""

    config: AntsConfig
    x: NDArray[np.float64]  # (n_ticks + 1, n_ants) patches
    y: NDArray[np.float64]  # (n_ticks + 1, n_ants) patches
    heading: NDArray[np.float64]  # (n_ticks + 1, n_ants) degrees, 0 = +y, clockwise
    is_carrying: NDArray[np.bool_]  # (n_ticks + 1, n_ants)
    obs: NDArray[np.int8]  # (n_ticks, n_ants, 11) what the brains were given in each tick
    actions: NDArray[np.int8]  # (n_ticks, n_ants, 3) what they answered: turn, move, deposit
    returned: NDArray[np.int64]  # (n_ticks + 1,) food units in the nest
    fitness: NDArray[np.float64]  # (n_ticks + 1,) of the colony so far
    first_food: NDArray[np.int64]  # (height, width) units at the start
    food_changes: FoodChanges
    pheromone_ticks: NDArray[np.int64]  # (n_fields,) after how many ticks each field was taken, 0 first
    pheromone: NDArray[np.float32]  # (n_fields, height, width)
    objects: NDArray[np.int8]  # (height, width) at the start: 0, WALL or FOOD of `envs.types`
    nest: NDArray[np.float64]  # (2,) x, y of its centre
    spikes: SpikeTrains  # populations "input", "hidden", "output"; neuron k of ant a is a * size + k
    measures: dict[str, Any]  # the last info of the world

    @property
    def n_ticks(self) -> int:
        """Ticks that the episode took."""
        return len(self.obs)

    def food_at(self, tick: int) -> NDArray[np.int64]:
        """(height, width) units on the ground after so many ticks."""
        food, is_past = self.first_food.copy(), self.food_changes.tick <= tick
        food.flat[self.food_changes.patch[is_past]] = self.food_changes.units[is_past]  # the last change stays
        return food


def neuron_steps(config: AntsConfig) -> int:
    """Steps of all neurons of a colony in an episode of full length, which `MAX_NEURON_STEPS` bounds."""
    world, brain = config.env, config.brain
    n_neurons = brain.n_inputs + brain.n_hidden + brain.n_outputs
    return world.n_ants * n_neurons * world.n_ticks * round(brain.tick_ms / brain.resolution_ms)


def record_episode(genome: Array, config: AntsConfig, seeds: tuple[int, int]) -> RecordedEpisode:
    """Let a colony forage until the episode ends, and keep everything; the episode is that of `run_episode`.

    Parameters
    ----------
    genome : (genome_size,) float64
    seeds : env_seed, nest_seed

    Raises
    ------
    ValueError : a genome that does not fit ``config.brain``.
    snn.nest_kernel.NestUnavailableError : NEST is the engine, but missing or built with MPI.
    """
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    weights_pA, delays_ms = decode(genome, config.brain)
    obs, _ = env.reset(seed=seeds[0])
    state = env.state
    assert state is not None  # it was reset
    first_food, objects = state.food.copy(), state.objects.copy()
    bodies, seen, actions, infos, changes = [_bodies(state)], [], [], [env.measures()], []
    fields, times = [state.pheromone.astype(np.float32)], [0]
    food = first_food.copy()
    with AntColonyBrain(
        weights_pA, delays_ms, config.env.n_ants, config.brain, rng_seed=seeds[1], has_recording=True
    ) as brain:
        while not env.has_ended:
            seen.append(obs.copy())
            action = brain.act(obs)
            obs = env.step(action)[0]
            actions.append(action)
            bodies.append(_bodies(state))
            infos.append(env.measures())
            patches = np.flatnonzero(state.food != food)
            changes += [(len(seen), patch, state.food.flat[patch]) for patch in patches]
            food[:] = state.food
            if (len(seen) - 1) % config.env.pheromone_period == 0 or env.has_ended:
                fields.append(state.pheromone.astype(np.float32))
                times.append(len(seen))
        spikes = brain.spikes()
    x, y, heading, is_carrying = (np.array(column) for column in zip(*bodies, strict=True))
    return RecordedEpisode(
        config=config,
        x=x,
        y=y,
        heading=heading,
        is_carrying=is_carrying,
        obs=np.array(seen),
        actions=np.array(actions, dtype=np.int8),
        returned=np.array([info["food"] for info in infos]),
        fitness=np.array([info["fitness"] for info in infos]),
        first_food=first_food,
        food_changes=FoodChanges(*np.array(changes, dtype=np.int64).reshape(-1, 3).T),
        pheromone_ticks=np.array(times),
        pheromone=np.array(fields),
        objects=objects,
        nest=state.nest.copy(),
        spikes=spikes,
        measures=infos[-1],
    )


def _bodies(state: ForagingState) -> tuple[NDArray[Any], ...]:
    return state.x.copy(), state.y.copy(), state.heading.copy(), state.is_carrying.copy()
