"""A whole episode in one compiled call: brains on the engine "numba" and the world, tick by tick, without Python."""

from __future__ import annotations

import numpy as np
from numba import njit

from envs.config import tick_constants
from envs.dynamics import step_state
from envs.foraging import AntForagingEnv
from envs.types import N_ACTIONS, N_TICKS
from snn.ant_brain import AntColonyBrain
from snn.ant_kernels import tick
from snn.flush import flushing_to_zero


def run_compiled(env: AntForagingEnv, brain: AntColonyBrain) -> None:
    """Let a colony forage from the reset world to the end of the episode; the same, bit for bit, as tick by tick.

    Parameters
    ----------
    env : reset
    brain : at time 0, on the engine "numba", without recording

    Raises
    ------
    ValueError : another brain, or a world that was not reset.
    """
    if env.state is None or brain.compiled is None or brain.n_ticks > 0:
        raise ValueError(
            "a compiled episode needs a reset world and a new brain on the engine 'numba' without recording."
        )
    with flushing_to_zero():
        _episode(env.state, tick_constants(env.config), env.config.n_ticks, brain.compiled.plan, brain.compiled.parts)
    brain.n_ticks = int(env.state.counts[N_TICKS])


@njit(cache=True, nogil=True)
def _episode(world, constants, n_ticks, plan, parts):
    actions = np.empty((world.obs.shape[0], N_ACTIONS), dtype=np.int64)
    has_finished = False
    while not has_finished and world.counts[N_TICKS] < n_ticks:
        tick(world.counts[N_TICKS], world.obs, plan, parts, actions)
        has_finished = step_state(world, actions, constants)
