"""One tick of the world in the published order, compiled; no Gymnasium here."""

from __future__ import annotations

from numba import njit

from envs.ants import act, clamp, compare_ahead, see, shuffle, touch
from envs.pheromone import diffuse, evaporate
from envs.types import (
    FINISH_TICK,
    N_TICKS,
    NEST_LEFT,
    SMELL_LEFT,
    SMELL_RIGHT,
    ForagingState,
    IntArray,
    TickConstants,
)


@njit(cache=True)
def begin_tick(state: ForagingState, constants: TickConstants) -> None:
    """First half of a tick: fill ``state.obs``, then pick up and drop food on contact."""
    x, y, heading, obs = state.x, state.y, state.heading, state.obs
    see(x, y, heading, state.objects, constants.ray_step, constants.n_ray_points, obs)
    if constants.has_pheromone_sense:
        compare_ahead(x, y, heading, state.pheromone, SMELL_LEFT, obs)
    else:
        obs[:, SMELL_LEFT : SMELL_RIGHT + 1] = 0
    compare_ahead(x, y, heading, state.nest_scent, NEST_LEFT, obs)
    shuffle(state.order, state.random)
    touch(
        x,
        y,
        state.order,
        state.counts[N_TICKS],
        state.food,
        state.objects,
        state.is_nest,
        state.is_carrying,
        state.food_mark,
        state.nest_mark,
        state.counts,
        obs,
    )


@njit(cache=True)
def step_state(state: ForagingState, actions: IntArray, constants: TickConstants) -> bool:
    """Second half of the running tick, then the first half of the next.

    Order: act and credit returns; every `pheromone_period` ticks, tick 0 included, test for the early end, diffuse,
    evaporate; clamp; count the tick; sense. The published program stops before the sensing of the tick that never
    acts; here it is done, because Gymnasium wants a last observation.

    Parameters
    ----------
    state : ForagingState, changed in place
    actions : (n_ants, 3) int64, already checked to lie in the action space

    Returns
    -------
    bool, whether everything was collected; its tick is then in ``state.counts[FINISH_TICK]``
    """
    counts = state.counts
    tick = counts[N_TICKS]
    act(
        actions,
        constants.speed,
        constants.turn_deg,
        constants.deposit,
        constants.has_pheromone_deposit,
        state.x,
        state.y,
        state.heading,
        state.food_mark,
        state.nest_mark,
        state.pheromone,
        counts,
    )
    if tick % constants.pheromone_period == 0:
        if state.food.sum() == 0 and not state.is_carrying.any():
            counts[FINISH_TICK] = tick
        else:
            c = constants
            diffuse(state.pheromone, c.diffusion, state.diffused)
            evaporate(state.diffused, c.evaporation, c.x_min, c.x_max, c.y_min, c.y_max, state.pheromone)
    clamp(state.x, state.y, constants.x_low, constants.x_high, constants.y_low, constants.y_high)
    counts[N_TICKS] += 1
    begin_tick(state, constants)
    return counts[FINISH_TICK] >= 0
