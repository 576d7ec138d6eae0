"""The world of the ants. Importing this package registers ``AntForaging-v0`` with Gymnasium.

>>> import gymnasium, envs
>>> env = gymnasium.make("AntForaging-v0", preset="published_training")
"""

from gymnasium.envs.registration import register, registry

from envs.types import ForagingConfig, make_config

__all__ = ["ForagingConfig", "make_config"]

if "AntForaging-v0" not in registry:
    # A string, so that Numba is loaded by the first `make` only. No max_episode_steps: the world itself truncates after
    # `n_ticks`, and knows then that a further step is an error.
    register(id="AntForaging-v0", entry_point="envs.foraging:AntForagingEnv")
