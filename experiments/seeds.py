"""Seeds by identity: what runs decides, never which rank runs it or when. Pure."""

from __future__ import annotations

import numpy as np


def episode_seeds(root: int, generation: int, individual: int, episode: int) -> tuple[int, int]:
    """Seeds of one episode of one individual.

    Returns
    -------
    env_seed, nest_seed : int; NEST takes 1 … 2**32 - 1
    """
    return _pair(np.random.SeedSequence(root, spawn_key=(generation, individual, episode)))


def common_episode_seeds(root: int, generation: int, episode: int) -> tuple[int, int]:
    """Seeds of an episode that all individuals of a generation share (common random numbers)."""
    return _pair(np.random.SeedSequence(root, spawn_key=(generation, episode)))


def optimizer_seed(root: int) -> np.random.SeedSequence:
    """Seed of the outer loop."""
    return np.random.SeedSequence(root, spawn_key=(0,))


def initial_rng(root: int) -> np.random.Generator:
    """Generator of the first generation, the same for every optimizer."""
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=(1,)))


def _pair(sequence: np.random.SeedSequence) -> tuple[int, int]:
    env_seed, nest_seed = (int(word) for word in sequence.generate_state(2))
    return env_seed, nest_seed % (2**32 - 1) + 1
