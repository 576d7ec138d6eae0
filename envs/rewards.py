"""Fitness of a colony from its event counts."""

from __future__ import annotations

from envs.types import (
    FINISH_TICK,
    N_DEPOSITS,
    N_FOOD,
    N_MOVES,
    N_PICK_UPS,
    N_TICKS,
    N_TURNS,
    N_WALL_CONTACTS,
    ForagingConfig,
    IntArray,
)


def colony_fitness(counts: IntArray, config: ForagingConfig) -> float:
    """Published colony fitness, maximised.

    F = 220 food + 1.5 pick-ups - 0.25 moves - 0.02 turns - 0.05 deposits - 0.5 ticks - 5.5 wall contacts
    + 30 (n_ticks - finish tick) if everything was collected; the numbers are the defaults of `ForagingConfig`.

    Parameters
    ----------
    counts : (len(COUNTS),) int64, events since reset

    Source: companion repository of Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6.
    """
    fitness = (
        config.food_gain * counts[N_FOOD]
        + config.pick_up_gain * counts[N_PICK_UPS]
        - config.move_cost * counts[N_MOVES]
        - config.turn_cost * counts[N_TURNS]
        - config.deposit_cost * counts[N_DEPOSITS]
        - config.tick_cost * counts[N_TICKS]
        - config.wall_cost * counts[N_WALL_CONTACTS]
    )
    if counts[FINISH_TICK] >= 0:
        fitness += config.finish_bonus * (config.n_ticks - counts[FINISH_TICK])
    return float(fitness)
