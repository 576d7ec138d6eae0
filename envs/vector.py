"""Many colonies in one call: the native vector environment of `AntForaging-v0`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.config import ForagingConfig, tick_constants
from envs.dynamics import begin_tick, step_batch
from envs.generators import initial_state
from envs.presets import make_config
from envs.render import render_frame
from envs.rewards import colony_fitness
from envs.spaces import Observation, action_space, checked_actions, observation, observation_space
from envs.types import COUNTS, FINISH_TICK, N_TICKS, BoolArray, FloatArray, ForagingState, IntArray

_AUTORESET_MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)


class AntForagingVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` colonies in worlds of the same settings, advanced by one compiled loop.

    Equal, bit for bit, to as many `AntForagingEnv` with the seeds s, s + 1, …; `gymnasium.make_vec("AntForaging-v0",
    num_envs=N)` makes it. Observations, actions, rewards and infos are those of the single environment with an axis of
    colonies in front.

    Parameters
    ----------
    num_envs : >= 1
    preset, **overrides : as `AntForagingEnv`
    render_mode : None or "rgb_array" (`render` gives a frame per colony)
    autoreset_mode : what `step` does with a colony whose episode has ended. NEXT_STEP: the next call resets it,
        whatever its action, with reward 0. DISABLED: nothing; reset it with ``reset(options={"reset_mask": mask})``, a
        step before that is an error. Also as text, "NextStep" or "Disabled".

    Raises
    ------
    ValueError : as `AntForagingEnv`; fewer than one colony; another autoreset mode.
    """

    def __init__(
        self,
        num_envs: int = 1,
        preset: str | ForagingConfig = "published_test",
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **overrides: Any,
    ):
        if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
            raise ValueError(f"num_envs={num_envs!r} is not allowed: it must be a whole number >= 1.")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode={render_mode!r} is not supported by many colonies: use None or 'rgb_array'.")
        known = {mode.value: mode for mode in _AUTORESET_MODES}
        mode = known.get(str(getattr(autoreset_mode, "value", autoreset_mode)))
        if mode is None:
            raise ValueError(f"autoreset_mode={autoreset_mode!r} is not supported: use one of {', '.join(known)}.")
        self.config = make_config(preset, **overrides)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 20, "autoreset_mode": mode}
        self.single_observation_space = observation_space(self.config)
        self.single_action_space = action_space(self.config)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.batch: ForagingState | None = None
        self._constants = tick_constants(self.config)
        self._fitness = np.zeros(num_envs)
        self._generators = [seeding.np_random(None) for _ in range(num_envs)]  # with their seeds

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode in every world, or in those of a mask.

        Parameters
        ----------
        seed : s for the seeds s, s + 1, …; a seed or None for each; or None: the generators go on
        options : ``{"reset_mask": (num_envs,) bool}`` leaves the other colonies alone

        Raises
        ------
        ValueError : seeds or mask of another length or type, or a mask without a colony.
        gymnasium.error.Error : a seed that is no whole number >= 0. No colony was reset.
        gymnasium.error.ResetNeeded : a mask before the first reset.
        """
        is_chosen = self._checked_mask(options)
        if seed is None or isinstance(seed, int | np.integer):
            seeds = [None if seed is None else int(seed) + k for k in range(self.num_envs)]
        elif isinstance(seed, Sequence | np.ndarray):
            seeds = [int(one) if isinstance(one, np.integer) else one for one in seed]
        else:
            raise ValueError(f"seed={seed!r} is not allowed: it must be a whole number, or one for each colony.")
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed has {len(seeds)} entries, expected one for each of {self.num_envs} colonies.")
        chosen = [int(k) for k in np.flatnonzero(is_chosen)]
        # A bad seed must not leave some colonies in a new episode: all generators come first.
        fresh = {k: seeding.np_random(seeds[k]) for k in chosen if seeds[k] is not None}
        for k in chosen:
            self._generators[k] = fresh.get(k, self._generators[k])
            self._start(k)
        assert self.batch is not None
        infos = self._infos(is_chosen)
        self._fitness[is_chosen] = infos["fitness"][is_chosen]
        return observation(self.batch, self.config), infos

    def step(
        self, actions: IntArray | FloatArray
    ) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Advance every world by one tick.

        Parameters
        ----------
        actions : (num_envs, n_ants, n_parts); those of colonies that are reset by this call are not looked at

        Returns
        -------
        obs; rewards (num_envs,) float64; terminations, truncations (num_envs,) bool; infos, each entry (num_envs,)

        Raises
        ------
        ValueError : wrong shape or type, or a value outside the action space; no world has changed.
        gymnasium.error.ResetNeeded : before the first reset; with autoreset disabled, after the end of an episode.
        """
        if self.batch is None:
            raise ResetNeeded("AntForaging: step was called before the first reset. Call envs.reset() first.")
        has_ended = self._has_ended()
        if self.metadata["autoreset_mode"] is AutoresetMode.DISABLED and has_ended.any():
            raise ResetNeeded(
                f"AntForaging: step was called after the end of the episodes of colonies {np.flatnonzero(has_ended)}. "
                'Reset them with envs.reset(options={"reset_mask": mask}) first.'
            )
        checked = checked_actions(actions, self.config, self.num_envs, ~has_ended)
        step_batch(self.batch, checked, self._constants, ~has_ended)
        for k in np.flatnonzero(has_ended):
            self._start(int(k))
        infos = self._infos()
        rewards = np.where(has_ended, 0.0, infos["fitness"] - self._fitness)
        self._fitness = infos["fitness"].copy()
        is_finished = infos["finish_tick"] >= 0
        is_out_of_time = self._has_ended() & ~is_finished
        return observation(self.batch, self.config), rewards, is_finished, is_out_of_time, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """RGB frame of every colony, or None without a render mode.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        """
        if self.render_mode is None:
            return None
        return tuple(render_frame(self.state(k), self.config) for k in range(self.num_envs))

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Generator of every colony."""
        return tuple(generator for generator, _ in self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """Seed of the generator of every colony."""
        return tuple(seed for _, seed in self._generators)

    def state(self, k: int) -> ForagingState:
        """State of colony `k`, as views.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        """
        if self.batch is None:
            raise ResetNeeded("AntForaging: the worlds have no state before the first reset. Call envs.reset() first.")
        return ForagingState(*(array[k] for array in self.batch))

    def _start(self, k: int) -> None:
        """New episode of colony `k`, up to its first observation."""
        fresh = initial_state(self.config, self._generators[k][0])
        begin_tick(fresh, self._constants)
        if self.batch is None:
            self.batch = ForagingState(*(np.zeros((self.num_envs, *part.shape), part.dtype) for part in fresh))
        array: Any
        for array, part in zip(self.batch, fresh, strict=True):
            array[k] = part

    def _has_ended(self) -> BoolArray:
        assert self.batch is not None
        counts = self.batch.counts
        has_ended: BoolArray = (counts[:, FINISH_TICK] >= 0) | (counts[:, N_TICKS] >= self.config.n_ticks)
        return has_ended

    def _infos(self, is_chosen: BoolArray | None = None) -> dict[str, Any]:
        """Measures of all colonies, each with its Gymnasium mask ``_name``: whose information is new."""
        assert self.batch is not None
        infos: dict[str, Any] = dict(zip(COUNTS, self.batch.counts.T.copy(), strict=True))
        infos["fitness"] = colony_fitness(self.batch.counts, self.config)
        is_new = np.ones(self.num_envs, dtype=np.bool_) if is_chosen is None else is_chosen
        return infos | {f"_{name}": is_new.copy() for name in infos}

    def _checked_mask(self, options: dict[str, Any] | None) -> BoolArray:
        """Colonies to reset: all, or those of ``options["reset_mask"]``."""
        if options is None or "reset_mask" not in options:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(options["reset_mask"])
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(
                f"options['reset_mask'] has shape {mask.shape}, type {mask.dtype} and {np.count_nonzero(mask)} entries "
                f"that are true: it must be ({self.num_envs},) bool with at least one."
            )
        if self.batch is None:
            raise ResetNeeded("AntForaging: the first reset must be of all colonies: call envs.reset() without a mask.")
        return mask
