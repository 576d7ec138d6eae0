"""Fitness of a colony and of each of its ants from counted events."""

from __future__ import annotations

from typing import Any

from envs.config import ForagingConfig
from envs.types import (
    FINISH_TICK,
    FOOD_PLACED,
    N_DEPOSITS,
    N_FOOD,
    N_MOVES,
    N_PICK_UPS,
    N_TICKS,
    N_TURNS,
    N_WALL_CONTACTS,
    FloatArray,
    IntArray,
)


def colony_fitness(counts: IntArray, config: ForagingConfig) -> Any:
    """Published colony fitness, maximised.

    F = 220 food + 1.5 pick-ups - 0.25 moves - 0.02 turns - 0.05 deposits - 0.5 ticks - 5.5 wall contacts
    + 30 (n_ticks - finish tick) if there was food and all was collected; the numbers are the defaults of
    `ForagingConfig`.

    Parameters
    ----------
    counts : (len(COUNTS),) int64, events since reset of one colony; or (n_colonies, len(COUNTS))

    Returns
    -------
    float, or (n_colonies,) float64

    Source: companion repository of Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6.
    """
    columns = counts.tolist() if counts.ndim == 1 else counts.T  # numbers of one colony are faster in Python
    return _deeds(columns, config, config.tick_cost * columns[N_TICKS]) + _finish_bonus(columns, config)


def ant_fitness(events: IntArray, counts: IntArray, config: ForagingConfig) -> FloatArray:
    """What each ant adds to the colony's fitness; time and the finish bonus are shared equally.

    Parameters
    ----------
    events : (n_ants, N_EVENTS) int64
    counts : (len(COUNTS),) int64

    Returns
    -------
    (n_ants,) float64, whose sum is `colony_fitness` up to rounding
    """
    n_ants = len(events)
    fitness: FloatArray = _deeds(events.T, config, config.tick_cost * counts[N_TICKS] / n_ants)
    return fitness + _finish_bonus(counts, config) / n_ants


def _deeds(events: Any, config: ForagingConfig, cost_of_time: Any) -> Any:
    """Gains and costs of events, which are indexed by kind: numbers or arrays."""
    return (
        config.food_gain * events[N_FOOD]
        + config.pick_up_gain * events[N_PICK_UPS]
        - config.move_cost * events[N_MOVES]
        - config.turn_cost * events[N_TURNS]
        - config.deposit_cost * events[N_DEPOSITS]
        - cost_of_time
        - config.wall_cost * events[N_WALL_CONTACTS]
    )


def _finish_bonus(columns: Any, config: ForagingConfig) -> Any:
    """Bonus of one colony or of several; 0 for those that have not finished, or had nothing to collect."""
    finish_tick = columns[FINISH_TICK]
    has_earned = (finish_tick >= 0) & (columns[FOOD_PLACED] > 0)
    return config.finish_bonus * (config.n_ticks - finish_tick) * has_earned
