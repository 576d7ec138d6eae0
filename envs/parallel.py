"""The same colony for PettingZoo: one agent per ant, around the same core."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from envs.spaces import Observation, action_space, observation_space
from envs.types import WALL


class AntForagingParallelEnv(ParallelEnv[str, Any, Any]):
    """`AntForaging-v0` as a PettingZoo `ParallelEnv`; agents are ``ant_0``, ``ant_1``, ….

    All ants live until the episode ends. An ant's reward is what it added to the colony's fitness in the tick
    (`envs.rewards.ant_fitness`); the rewards of all ants add up to the reward of the colony.

    Parameters
    ----------
    preset, render_mode, **overrides : as `AntForagingEnv`

    Raises
    ------
    ValueError : as `AntForagingEnv`.
    """

    metadata = {  # noqa: RUF012  (PettingZoo's contract)
        "name": "AntForaging-v0",
        "render_modes": AntForagingEnv.metadata["render_modes"],
        "render_fps": AntForagingEnv.metadata["render_fps"],
        "is_parallelizable": True,
    }

    def __init__(
        self, preset: str | ForagingConfig = "published_test", render_mode: str | None = None, **overrides: Any
    ):
        self.colony = AntForagingEnv(preset, render_mode, **overrides)
        config = self.colony.config
        self.render_mode = render_mode
        self.possible_agents = [f"ant_{k}" for k in range(config.n_ants)]
        self.agents: list[str] = []
        # One space per agent, since each has its own random numbers; the same object at every call.
        self.observation_spaces = {agent: observation_space(config, per_ant=True) for agent in self.possible_agents}
        self.action_spaces = {agent: action_space(config, per_ant=True) for agent in self.possible_agents}
        n_fields = 4 if config.has_repellent else 3
        shape = (n_fields, config.height, config.width)
        self.state_space = spaces.Box(0.0, np.float32(np.finfo(np.float32).max), shape, np.float32)
        self._action_shape = (config.n_action_parts,)
        self._fitness = np.zeros(config.n_ants)

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """What one ant senses."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """What one ant does."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start an episode: observations and infos of all agents; infos hold the measures of the colony."""
        obs, info = self.colony.reset(seed=seed, options=options)
        self.agents = self.possible_agents.copy()
        self._fitness = self.colony.ant_fitness()
        return self._by_agent(obs), {agent: info.copy() for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Advance the world by one tick.

        Parameters
        ----------
        actions : of every agent

        Returns
        -------
        observations, rewards, terminations, truncations, infos, each by agent; infos hold the measures of the colony

        Raises
        ------
        ValueError : an agent without an action, or an unknown one; an action outside its space. Nothing has changed.
        gymnasium.error.ResetNeeded : before the first reset.
        """
        if not self.agents:
            if self.colony.state is not None:
                return {}, {}, {}, {}, {}  # PettingZoo's convention after the end
            raise ResetNeeded("AntForaging: step was called before the first reset. Call env.reset() first.")
        if not isinstance(actions, dict):
            raise ValueError(f"actions={actions!r} is not allowed: it must be a dictionary with an action per agent.")
        if actions.keys() != set(self.agents):
            odd = sorted(str(agent) for agent in actions.keys() ^ set(self.agents))[:3]
            raise ValueError(f"actions must be given for each of {len(self.agents)} agents; missing or unknown: {odd}.")
        agents = self.agents
        rows = [np.asarray(actions[agent]) for agent in agents]
        for agent, row in zip(agents, rows, strict=True):
            if row.shape != self._action_shape:
                raise ValueError(f"action of {agent} has shape {row.shape}, expected {self._action_shape}.")
        obs, _, terminated, truncated, info = self.colony.step(np.stack(rows))
        previous, self._fitness = self._fitness, self.colony.ant_fitness()
        rewards = dict(zip(agents, (self._fitness - previous).tolist(), strict=True))
        if terminated or truncated:
            self.agents = []
        return (
            self._by_agent(obs),
            rewards,
            dict.fromkeys(agents, terminated),
            dict.fromkeys(agents, truncated),
            {agent: info.copy() for agent in agents},
        )

    def state(self) -> NDArray[np.float32]:
        """(n_fields, height, width) food units, walls, pheromone and, if there is one, the repellent.

        Raises
        ------
        gymnasium.error.ResetNeeded : before the first reset.
        """
        world = self.colony.state
        if world is None:
            raise ResetNeeded("AntForaging: state was called before the first reset. Call env.reset() first.")
        fields = [world.food, world.objects == WALL, world.pheromone]
        if self.colony.config.has_repellent:
            fields.append(world.repellent)
        return np.stack(fields).astype(np.float32)

    def render(self) -> NDArray[np.uint8] | str | None:
        """As `AntForagingEnv.render`."""
        return self.colony.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self.colony.close()

    def _by_agent(self, obs: Observation) -> dict[str, Any]:
        """Rows of the colony's observation."""
        if isinstance(obs, dict):
            return {agent: {key: part[k] for key, part in obs.items()} for k, agent in enumerate(self.possible_agents)}
        return dict(zip(self.possible_agents, obs, strict=True))
