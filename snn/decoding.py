"""Output spike counts of a tick to actions of the world; pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Output neurons in genome order.
MOVE, LEFT, RIGHT, PHEROMONE = range(4)


def decode_actions(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Actions of a colony: the larger of left and right turns (equal: straight), any spike moves or deposits.

    Parameters
    ----------
    counts : (n_ants, 4) int64, spikes of move, left, right, pheromone within one tick

    Returns
    -------
    (n_ants, 3) int64: turn (0 straight, 1 left, 2 right), move (0, 1), deposit (0, 1)
    """
    left, right = counts[:, LEFT], counts[:, RIGHT]
    turn = np.where(left > right, 1, np.where(right > left, 2, 0))
    return np.stack([turn, counts[:, MOVE] > 0, counts[:, PHEROMONE] > 0], axis=1).astype(np.int64)
