"""The world of the ants. Importing this package registers ``AntForaging-v0`` with Gymnasium and, if it is installed,
with PettingZoo.

>>> import gymnasium, envs
>>> env = gymnasium.make("AntForaging-v0", preset="published_training")
>>> many = gymnasium.make_vec("AntForaging-v0", num_envs=64)
>>> ants = envs.parallel_env(n_ants=30)  # PettingZoo
"""

import envs.kernel_cache  # noqa: F401  (before Numba is used)

# isort: split
import importlib.util
from typing import Any

from gymnasium.envs.registration import register, registry

from envs.config import ForagingConfig
from envs.presets import PRESETS, make_config

__all__ = ["PRESETS", "ForagingConfig", "make_config", "parallel_env"]

# Presets that are settings of the publication have names of their own.
_NAMES = {
    "AntForaging-v0": "published_test",
    "AntForagingTraining-v0": "published_training",
    "AntForagingVisual-v0": "published_visual",
}


def parallel_env(
    preset: str | ForagingConfig = "published_test", render_mode: str | None = None, **overrides: Any
) -> Any:
    """The colony as a PettingZoo `ParallelEnv`, one agent per ant; see `envs.parallel.AntForagingParallelEnv`.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled : PettingZoo is missing.
    ValueError : as `envs.foraging.AntForagingEnv`.
    """
    if importlib.util.find_spec("pettingzoo") is None:
        from gymnasium.error import DependencyNotInstalled

        raise DependencyNotInstalled("parallel_env needs PettingZoo: pip install -e '.[multiagent]'")
    from envs.parallel import AntForagingParallelEnv

    return AntForagingParallelEnv(preset, render_mode, **overrides)


def _register() -> None:
    # Strings, so that Numba is loaded by the first `make` only. No max_episode_steps: the world itself truncates after
    # `n_ticks`, and knows then that a further step is an error.
    for name, preset in _NAMES.items():
        if name not in registry:
            register(
                id=name,
                entry_point="envs.foraging:AntForagingEnv",
                vector_entry_point="envs.vector:AntForagingVectorEnv",
                kwargs={"preset": preset},
            )
    try:
        import pettingzoo
    except ImportError:
        return
    known = getattr(pettingzoo, "parallel_registry", None)  # new in PettingZoo 1.27
    if known is not None and "AntForaging-v0" not in known:
        for name, preset in _NAMES.items():
            pettingzoo.register("parallel", name, "envs:parallel_env", kwargs={"preset": preset})


_register()
