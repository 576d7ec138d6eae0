"""Output spike counts of a tick to actions of the world; pure."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Output neurons in genome order.
MOTORS = ("move", "left", "right", "pheromone")
MOVE, LEFT, RIGHT, PHEROMONE = range(len(MOTORS))
TURN_STRAIGHT, TURN_LEFT, TURN_RIGHT = range(3)


def decode_actions(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Actions of a colony: the larger of left and right turns (equal: straight), any spike moves or deposits.

    Parameters
    ----------
    counts : (n_ants, 4) int64, spikes of move, left, right, pheromone within one tick

    Returns
    -------
    (n_ants, 3) int64: turn (0 straight, 1 left, 2 right), move (0, 1), deposit (0, 1)
    """
    actions = np.empty((len(counts), 3), dtype=np.int64)
    decode_into(counts, actions)
    return actions


@njit(cache=True, nogil=True)
def decode_into(counts, actions):
    """`decode_actions` into an array; counts may be of any number type."""
    for ant in range(counts.shape[0]):
        left, right = counts[ant, LEFT], counts[ant, RIGHT]
        actions[ant, 0] = TURN_LEFT if left > right else TURN_RIGHT if right > left else TURN_STRAIGHT
        actions[ant, 1] = 1 if counts[ant, MOVE] > 0 else 0
        actions[ant, 2] = 1 if counts[ant, PHEROMONE] > 0 else 0
