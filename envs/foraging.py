"""`AntForaging-v0`: the Gymnasium shell around the compiled world."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from envs.dynamics import begin_tick, step_state
from envs.generators import initial_state
from envs.render import render_frame
from envs.rewards import colony_fitness
from envs.types import (
    ACTION_SIZES,
    COUNTS,
    FINISH_TICK,
    N_ACTIONS,
    N_SENSORS,
    N_TICKS,
    ForagingState,
    IntArray,
    make_config,
    tick_constants,
)


class AntForagingEnv(gymnasium.Env[NDArray[np.int8], IntArray]):
    """A colony of ants forages three piles of food and talks through one pheromone.

    The world of Jimenez-Romero et al. 2024 (Swarm Intelligence 18:1-28, doi:10.1007/s11721-023-00231-6): a walled arena
    of 41 × 60 patches, 15 ants that all start at the nest, three piles at fixed places, a nest at a random place.
    Picking up and dropping food are reflexes of the body; turning, walking and depositing are decided by the action.

    ## Observation space
    ``MultiBinary((n_ants, 11))``, int8; one row per ant:

    | column | sensor | 1 when |
    |---|---|---|
    | 0, 1 | wall, food ahead | the first object within 5.5 patches along the heading is a wall, or food |
    | 2, 3, 4 | smell left, middle, right | the pheromone is strongest there, two patches ahead (exactly one is set) |
    | 5 | nociceptive | the ant stands on a wall patch |
    | 6 | reward | the ant has just picked food up |
    | 7, 8, 9 | nest left, middle, right | the nest scent is strongest there (exactly one is set) |
    | 10 | on nest | the ant stands on the nest |

    ## Action space
    ``MultiDiscrete`` of shape ``(n_ants, 3)``: turn (0 straight, 1 left 6°, 2 right 6°), move (0, 1 = one patch
    forward), deposit (0, 1 = add 60 to the patch). Executed in this order.

    ## Reward
    The change of the colony's fitness (see `envs.rewards.colony_fitness`): +220 per food unit brought to the nest,
    +1.5 per pick-up, small costs per move, turn, deposit and tick. The sum of rewards is the fitness.

    ## Start and end of an episode
    Ants start at the nest centre with random headings. The episode terminates when all food is in the nest (tested
    every 7 ticks) and is truncated after `n_ticks` = 2,000 ticks.

    ## Info
    ``food, pick_ups, moves, turns, deposits, wall_contacts, ticks, finish_tick`` since reset, and ``fitness``.

    Parameters
    ----------
    preset : "published_test" (2 food units per pile patch, 152 in all) or "published_training" (1 unit, 77 in all)
    render_mode : None or "rgb_array"
    **overrides : any field of `envs.types.ForagingConfig`, e.g. ``n_ants=30``

    Raises
    ------
    ValueError : unknown preset, setting or render mode, or a value outside its range.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012  (Gymnasium's contract)

    def __init__(self, preset: str = "published_test", render_mode: str | None = None, **overrides: Any):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode={render_mode!r} is unknown: give None or one of {self.metadata['render_modes']}."
            )
        self.config = make_config(preset, **overrides)
        self.render_mode = render_mode
        n_ants = self.config.n_ants
        self.observation_space = spaces.MultiBinary((n_ants, N_SENSORS))
        self.action_space = spaces.MultiDiscrete(np.tile(ACTION_SIZES, (n_ants, 1)))
        self.state: ForagingState | None = None
        self._constants = tick_constants(self.config)
        self._fitness = 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.int8], dict[str, Any]]:
        """Start an episode. `options` is not used.

        Returns
        -------
        obs : (n_ants, 11) int8; info : dict, see the class
        """
        super().reset(seed=seed)
        self.state = initial_state(self.config, self.np_random)
        begin_tick(self.state, self._constants)
        info = self.measures()
        self._fitness = info["fitness"]
        return self.state.obs.copy(), info

    def step(self, action: IntArray) -> tuple[NDArray[np.int8], float, bool, bool, dict[str, Any]]:
        """Advance the world by one tick.

        Parameters
        ----------
        action : (n_ants, 3) integers of the action space

        Raises
        ------
        ValueError : wrong shape or type, or a value outside the action space; the state is unchanged.
        gymnasium.error.ResetNeeded : before the first reset, or after the end of the episode.
        """
        if self.state is None or self.has_ended:
            when = "before the first reset" if self.state is None else "after the end of the episode"
            raise ResetNeeded(f"AntForaging: step was called {when}. Call env.reset() first.")
        is_finished = bool(step_state(self.state, self._checked(action), self._constants))
        is_out_of_time = self.has_ended and not is_finished
        info = self.measures()
        previous, self._fitness = self._fitness, info["fitness"]
        return self.state.obs.copy(), self._fitness - previous, is_finished, is_out_of_time, info

    def render(self) -> NDArray[np.uint8] | None:
        """RGB frame (height, width, 3) uint8 of the arena, or None without a render mode."""
        if self.render_mode is None:
            return None
        if self.state is None:
            raise ResetNeeded("AntForaging: render was called before the first reset. Call env.reset() first.")
        return render_frame(self.state, self.config)

    def _checked(self, action: IntArray) -> IntArray:
        """Action as (n_ants, 3) int64, or ValueError."""
        actions = np.asarray(action)
        shape = (self.config.n_ants, N_ACTIONS)
        if actions.shape != shape:
            raise ValueError(f"action has shape {actions.shape}, expected (n_ants, 3) = {shape}.")
        if actions.dtype.kind not in "iu":
            raise ValueError(
                f"action has dtype {actions.dtype}, expected integers: turn 0-2, move 0-1, deposit 0-1 per ant."
            )
        is_valid = (actions >= 0) & (actions < ACTION_SIZES)
        if not is_valid.all():
            ant, part = (int(k) for k in np.argwhere(~is_valid)[0])
            name = ("turn", "move", "deposit")[part]
            raise ValueError(
                f"action of ant {ant}: {name}={actions[ant, part]} is outside 0 … {ACTION_SIZES[part] - 1}."
            )
        return np.ascontiguousarray(actions, dtype=np.int64)

    @property
    def has_ended(self) -> bool:
        """Whether the episode is over, everything collected or out of time; False before the first reset."""
        if self.state is None:
            return False
        counts = self.state.counts
        return bool(counts[FINISH_TICK] >= 0 or counts[N_TICKS] >= self.config.n_ticks)

    def measures(self) -> dict[str, Any]:
        """What the episode has come to so far: the `info` of the last reset or step.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        """
        if self.state is None:
            raise ResetNeeded("AntForaging: measures was called before the first reset. Call env.reset() first.")
        info: dict[str, Any] = dict(zip(COUNTS, self.state.counts.tolist(), strict=True))
        info["fitness"] = colony_fitness(self.state.counts, self.config)
        return info
