"""Variants of a colony: what is taken from it, or which other world it is put into. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.config import ForagingConfig
from envs.presets import PRESETS
from envs.types import N_SENSORS, NEST_LEFT, NEST_MIDDLE, NEST_RIGHT, SENSORS
from experiments.config import AntsConfig
from optim.base import Array
from snn import AntBrainConfig
from snn.topology import ant_brain_pairs

N_SHUFFLES = 5
N_ANTS = (5, 10, 15, 20, 30, 50)
EVAPORATION = (0.0, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0)  # share lost per update
# Presets with the sensors and motors of an ant brain, whose ants and food are laid out otherwise.
LAYOUTS = (
    "published_test",
    "published_training",
    "random_piles",
    "moving_food",
    "changing_food",
    "obstacles",
    "maze",
    "open",
)
_NEST = (NEST_LEFT, NEST_MIDDLE, NEST_RIGHT)
# What a colony keeps when it is put into another layout.
_KEPT = ("n_ants", "n_ticks", "has_pheromone_sense", "has_pheromone_deposit")


class Variant(NamedTuple):
    """A genome and a world."""

    group: str  # "intact", "sensor", "pheromone", "brain", "ants", "evaporation" or "layout"
    name: str
    genome: Array  # (genome_size,)
    world: ForagingConfig


def silence(genome: Array, sensors: tuple[int, ...], brain: AntBrainConfig) -> Array:
    """The genome with the weights from these input neurons set to 0.

    To the other neurons that is the same, spike for spike, as input neurons that never fire, the start-up transient
    included.
    """
    source, _ = ant_brain_pairs(brain)
    silenced = genome.copy()
    silenced[: len(source)][np.isin(source, sensors)] = 0.0  # the weights stand before the delays
    return silenced


def blocks(brain: AntBrainConfig) -> NDArray[np.int64]:
    """Which synapses are of a kind, by source and target population: a number for each, (n_synapses,)."""
    ends = np.cumsum([brain.n_inputs, brain.n_hidden, brain.n_outputs])
    source, target = (np.searchsorted(ends, nodes, side="right") for nodes in ant_brain_pairs(brain))
    return np.asarray(source * (len(ends) + 1) + target)


def shuffle(genome: Array, brain: AntBrainConfig, rng: np.random.Generator) -> Array:
    """The genome with its weights, and independently its delays, permuted within each block of synapses."""
    kinds = blocks(brain)
    genes = genome.reshape(2, len(kinds)).copy()
    for row in genes:
        for kind in np.unique(kinds):
            row[kinds == kind] = rng.permutation(row[kinds == kind])
    return genes.ravel()


def make_variants(genome: Array, config: AntsConfig) -> list[Variant]:
    """The intact colony first, then every variant that differs from it.

    Parameters
    ----------
    genome : (genome_size,)
    config : of the colony; its seed decides the permutations
    """
    world, brain = config.env, config.brain
    variants = [Variant("intact", "intact", genome, world)]
    for sensor in range(N_SENSORS):
        variants.append(Variant("sensor", SENSORS[sensor], silence(genome, (sensor,), brain), world))
    nest = silence(genome, _NEST, brain)
    variants.append(Variant("sensor", ", ".join(SENSORS[sensor] for sensor in _NEST), nest, world))

    def add(group: str, name: str, **settings: Any) -> None:
        variants.append(Variant(group, name, genome, dataclasses.replace(world, **settings)))

    add("pheromone", "no pheromone sense", has_pheromone_sense=False)
    add("pheromone", "no pheromone deposit", has_pheromone_deposit=False)
    add("pheromone", "no diffusion", diffusion=0.0)
    add("pheromone", "no diffusion, no evaporation", diffusion=0.0, evaporation=0.0)
    for index in range(N_SHUFFLES):
        rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(2, 0, 0, 0, 0, index)))
        variants.append(Variant("brain", f"shuffled {index + 1}", shuffle(genome, brain, rng), world))
    for n_ants in N_ANTS:
        add("ants", str(n_ants), n_ants=n_ants)
    for evaporation in EVAPORATION:
        add("evaporation", f"{evaporation:g}", evaporation=evaporation)
    kept = {name: getattr(world, name) for name in _KEPT}
    for preset in LAYOUTS:
        variants.append(Variant("layout", preset, genome, dataclasses.replace(PRESETS[preset], **kept)))
    return [v for v in variants if v.group == "intact" or v.world != world or not np.array_equal(v.genome, genome)]
