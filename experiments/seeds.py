"""Seeds by identity: what runs decides, never which rank runs it or when. Pure."""

from __future__ import annotations

import numpy as np

# Who meets the same worlds: nobody (as published), everyone within a generation, everyone in the whole run, or everyone
# in an evaluation, whose worlds no run has seen.
RUN_WORLDS = ("individual", "generation", "run")
WORLDS = (*RUN_WORLDS, "held_out")


def episode_seeds(root: int, generation: int, individual: int, episode: int, worlds: str) -> tuple[int, int]:
    """Seeds of one episode of one individual.

    Parameters
    ----------
    worlds : one of `WORLDS`

    Returns
    -------
    env_seed, nest_seed : int; NEST takes 1 … 2**32 - 1
    """
    # Keys of different length or beginning never meet.
    key = {
        "individual": (generation, individual, episode),
        "generation": (generation, episode),
        "run": (0, 0, 0, episode),
        "held_out": (1, 0, 0, episode),
    }[worlds]
    words = np.random.SeedSequence(root, spawn_key=key).generate_state(2)
    env_seed, nest_seed = (int(word) for word in words)
    return env_seed, nest_seed % (2**32 - 1) + 1


def optimizer_seed(root: int) -> np.random.SeedSequence:
    """Seed of the outer loop."""
    return np.random.SeedSequence(root, spawn_key=(0,))


def initial_rng(root: int) -> np.random.Generator:
    """Generator of the first generation, the same for every optimizer."""
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(1,)))


def members_rng(root: int) -> np.random.Generator:
    """Generator of the members around a first network, where that has one of its own: any number of them around it."""
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(1, 0, 0, 0, 0)))


def order_rng(root: int, epoch: int) -> np.random.Generator:
    """Generator of the order in which an epoch shows its examples."""
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(0, 0, 0, 0, epoch)))
