"""`AntForaging-v0`: the Gymnasium shell around the compiled world."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from envs.config import ForagingConfig, tick_constants
from envs.dynamics import begin_tick, step_state
from envs.generators import initial_state
from envs.presets import make_config
from envs.render import render_ansi, render_frame
from envs.rewards import ant_fitness, colony_fitness
from envs.spaces import Observation, action_space, checked_actions, observation, observation_space
from envs.types import COUNTS, FINISH_TICK, N_TICKS, FloatArray, ForagingState, IntArray
from envs.window import Window


class AntForagingEnv(gymnasium.Env[Any, Any]):
    """A colony of ants forages food and talks through a pheromone.

    ## Description
    The world of Jimenez-Romero et al. 2024 (Swarm Intelligence 18:1-28, doi:10.1007/s11721-023-00231-6): a walled arena
    of 41 × 60 patches, 15 ants that all start at the nest, three piles at fixed places, a nest at a random place.
    Picking up and dropping food are reflexes of the body; turning, walking and depositing are decided by the action.
    Presets and settings make other worlds of it: see `envs.presets`, `envs.config` and docs/world.md.

    ## Action space
    ``MultiDiscrete`` of shape ``(n_ants, 3)``: turn (0 straight, 1 left 6°, 2 right 6°), move (0, 1 = one patch
    forward), deposit (0, 1 = add 60 to the patch), executed in this order. With ``action="continuous"`` a ``Box``: turn
    in [-1, 1] (right is positive), move and deposit in [0, 1] of the same amounts. A second pheromone
    (``has_repellent=True``) adds a column.

    ## Observation space
    ``MultiBinary((n_ants, 11))``, int8; one row per ant. ``observation="graded"`` gives the same columns as float32 in
    [0, 1], ``observation="egocentric"`` a ``Dict`` (`envs.observations`). A second pheromone adds three columns.

    | column | sensor | 1 when |
    |---|---|---|
    | 0, 1 | wall, food ahead | the first object within 5.5 patches along the heading is a wall, or food |
    | 2, 3, 4 | smell left, middle, right | the pheromone is strongest there, two patches ahead (exactly one is set) |
    | 5 | nociceptive | the ant stands on a wall patch |
    | 6 | reward | the ant has just picked food up |
    | 7, 8, 9 | nest left, middle, right | the nest scent is strongest there (exactly one is set) |
    | 10 | on nest | the ant stands on the nest |

    ## Rewards
    The change of the colony's fitness (see `envs.rewards.colony_fitness`): +220 per food unit brought to the nest,
    +1.5 per pick-up, small costs per move, turn, deposit and tick. The sum of rewards is the fitness.

    ## Starting state
    Ants start at the nest centre with random headings.

    ## Episode end
    The episode terminates when all food is in the nest (tested every 7 ticks; never where food grows or rots) and is
    truncated after `n_ticks` = 2,000 ticks.

    ## Info
    ``food, pick_ups, moves, turns, deposits, wall_contacts, ticks, finish_tick, food_placed, food_grown, food_rotted``
    since reset, and ``fitness``.

    ## Version history
    v0: the published world, and presets around it.

    Parameters
    ----------
    preset : one of `envs.PRESETS`, or a `envs.ForagingConfig`; "published_test" (2 food units per pile patch, 152 in
        all) unless given
    render_mode : None, "rgb_array", "human" or "ansi"
    **overrides : any field of `envs.ForagingConfig`, e.g. ``n_ants=30``

    Raises
    ------
    ValueError : unknown preset, setting or render mode, or a value outside its range.
    """

    metadata = {"render_modes": ["human", "rgb_array", "ansi"], "render_fps": 20}  # noqa: RUF012  (Gymnasium's contract)

    def __init__(
        self, preset: str | ForagingConfig = "published_test", render_mode: str | None = None, **overrides: Any
    ):
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            known = ", ".join(repr(mode) for mode in self.metadata["render_modes"])
            raise ValueError(f"render_mode={render_mode!r} is not supported: use None or one of {known}.")
        self.config = make_config(preset, **overrides)
        self.render_mode = render_mode
        self.observation_space = observation_space(self.config)
        self.action_space = action_space(self.config)
        self._constants = tick_constants(self.config)
        self._fitness = 0.0
        self._window: Window | None = None
        self.state: ForagingState | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode. `options` is not used.

        Returns
        -------
        obs : in the observation space; info : dict, see the class
        """
        super().reset(seed=seed)
        self.state = initial_state(self.config, self.np_random)
        begin_tick(self.state, self._constants)
        info = self.measures()
        self._fitness = info["fitness"]
        if self.render_mode == "human":
            self.render()
        return observation(self.state, self.config), info

    def step(self, action: IntArray | FloatArray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance the world by one tick.

        Parameters
        ----------
        action : in the action space; whole numbers of any integer type, or finite numbers if actions are continuous

        Raises
        ------
        ValueError : wrong shape or type, or a value outside the action space; the state is unchanged.
        gymnasium.error.ResetNeeded : before the first reset, or after the end of the episode.
        """
        if self.state is None or self.has_ended:
            when = "before the first reset" if self.state is None else "after the end of the episode"
            raise ResetNeeded(f"AntForaging: step was called {when}. Call env.reset() first.")
        is_finished = bool(step_state(self.state, checked_actions(action, self.config), self._constants))
        is_out_of_time = self.has_ended and not is_finished
        info = self.measures()
        previous, self._fitness = self._fitness, info["fitness"]
        if self.render_mode == "human":
            self.render()
        return observation(self.state, self.config), self._fitness - previous, is_finished, is_out_of_time, info

    def render(self) -> NDArray[np.uint8] | str | None:
        """Picture of the arena.

        Returns
        -------
        "rgb_array": (rows, columns, 3) uint8; "ansi": text with colour codes for a terminal; "human": None, the window
        is drawn; None without a render mode.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        gymnasium.error.DependencyNotInstalled : "human" without pygame.
        """
        if self.render_mode is None:
            return None
        if self.state is None:
            raise ResetNeeded("AntForaging: render was called before the first reset. Call env.reset() first.")
        if self.render_mode == "ansi":
            return render_ansi(self.state, self.config)
        if self.render_mode == "rgb_array":
            return render_frame(self.state, self.config)
        if self._window is None:
            self._window = Window(self.metadata["render_fps"])
        self._window.show(self.state, self.config)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

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

    def ant_fitness(self) -> FloatArray:
        """(n_ants,) what each ant has added to the fitness so far; the sum is the fitness up to rounding.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        """
        if self.state is None:
            raise ResetNeeded("AntForaging: ant_fitness was called before the first reset. Call env.reset() first.")
        return ant_fitness(self.state.events, self.state.counts, self.config)
