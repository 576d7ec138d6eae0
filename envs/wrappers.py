"""Wrappers for libraries that take less than Gymnasium allows."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray


class FlatActions(gymnasium.ActionWrapper[Any, Any, Any], RecordConstructorArgs):
    """The action of a colony in one row, ant by ant; `gymnasium.wrappers.FlattenObservation` does it for observations.

    Some libraries of reinforcement learning take action spaces with one axis only.

    Parameters
    ----------
    env : with a ``MultiDiscrete`` or ``Box`` action space of any shape

    Raises
    ------
    ValueError : another action space.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]):
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        space = env.action_space
        if isinstance(space, spaces.MultiDiscrete):
            self.action_space = spaces.MultiDiscrete(space.nvec.ravel())
        elif isinstance(space, spaces.Box):
            self.action_space = spaces.Box(space.low.ravel(), space.high.ravel(), dtype=np.float32)
        else:
            raise ValueError(f"FlatActions takes MultiDiscrete and Box actions, not {space}.")

    def action(self, action: Any) -> NDArray[Any]:
        """The action in the shape of the colony."""
        shape = self.env.action_space.shape
        assert shape is not None
        return np.asarray(action).reshape(shape)
