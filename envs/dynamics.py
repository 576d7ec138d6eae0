"""One tick of the world in the published order, compiled; no Gymnasium here."""

from __future__ import annotations

from numba import njit

from envs.ants import act, clamp, sense, touch
from envs.food import crawl, grow, rot
from envs.observations import add_contacts, observe_egocentric, observe_graded
from envs.pheromone import diffuse_and_evaporate
from envs.randomness import shuffle
from envs.types import (
    BINARY,
    EGOCENTRIC,
    FINISH_TICK,
    FOOD_GROWN,
    FOOD_ROTTED,
    N_EVENTS,
    N_TICKS,
    BoolArray,
    FloatArray,
    ForagingState,
    IntArray,
    TickConstants,
)


@njit(cache=True, forceinline=True)
def begin_tick(state: ForagingState, constants: TickConstants) -> None:
    """First half of a tick: fill the observation, then pick up and drop food on contact."""
    c = constants
    if c.observation == BINARY:
        sense(state, c, state.obs)
    elif c.observation == EGOCENTRIC:
        observe_egocentric(state, c, state.features)
    else:
        observe_graded(state, c, state.features)
    shuffle(state.order, state.random)
    touch(
        state.x,
        state.y,
        state.order,
        state.counts[N_TICKS],
        state.food,
        state.objects,
        state.is_nest,
        state.is_carrying,
        state.food_mark,
        state.nest_mark,
        state.events,
        state.obs,
    )
    if c.observation != BINARY:
        add_contacts(state, c.observation == EGOCENTRIC, state.features)
    events, counts = state.events, state.counts
    for k in range(N_EVENTS):
        total = 0
        for ant in range(events.shape[0]):
            total += events[ant, k]
        counts[k] = total


@njit(cache=True)
def step_state(state: ForagingState, actions: IntArray | FloatArray, constants: TickConstants) -> bool:
    """Second half of the running tick, then the first half of the next.

    Order: act and credit returns; every `pheromone_period` ticks, tick 0 included, test for the early end, diffuse,
    evaporate; food that changes by itself; clamp; count the tick; sense. The published program stops before the
    sensing of the tick that never acts; here it is done, because Gymnasium wants a last observation.

    Parameters
    ----------
    state : ForagingState, changed in place
    actions : (n_ants, n_action_parts) int64 or float64, already checked to lie in the action space

    Returns
    -------
    bool, whether everything was collected; its tick is then in ``state.counts[FINISH_TICK]``. Never in a world where
    food grows or rots.
    """
    c = constants
    counts = state.counts
    tick = counts[N_TICKS]
    act(state, actions, c, tick)
    if tick % c.pheromone_period == 0:
        can_finish = c.growth_period == 0 and c.rot_period == 0
        if can_finish and not state.is_carrying.any() and state.food.sum() == 0:
            counts[FINISH_TICK] = tick
        else:
            area = (c.x_min, c.x_max, c.y_min, c.y_max)
            diffuse_and_evaporate(state.pheromone, c.diffusion, c.evaporation, *area, state.rows)
            if c.has_repellent:
                share, fraction = c.repellent_diffusion, c.repellent_evaporation
                diffuse_and_evaporate(state.repellent, share, fraction, *area, state.rows)
    change_food(state, c, tick)
    clamp(state.x, state.y, c.x_low, c.x_high, c.y_low, c.y_high)
    counts[N_TICKS] += 1
    begin_tick(state, c)
    return counts[FINISH_TICK] >= 0


@njit(cache=True, forceinline=True)
def change_food(state: ForagingState, constants: TickConstants, tick: int) -> None:
    """What food does by itself, where its periods ask for it."""
    c = constants
    if c.crawl_period > 0 and (tick + 1) % c.crawl_period == 0:
        walkable = (int(c.x_low), int(c.x_high), int(c.y_low), int(c.y_high))
        crawl(state.food, state.objects, state.is_nest, walkable, state.sites, state.random)
    if c.growth_period > 0 and (tick + 1) % c.growth_period == 0:
        grown = grow(state.food, state.objects, c.pile_capacity, state.pile_sites, state.random)
        state.counts[FOOD_GROWN] += grown
    if c.rot_period > 0 and (tick + 1) % c.rot_period == 0:
        state.counts[FOOD_ROTTED] += rot(state.food, state.objects, state.random)


@njit(cache=True, forceinline=True)
def colony(batch: ForagingState, k: int) -> ForagingState:
    """State of colony `k` of a batch, as views."""
    return ForagingState(
        batch.x[k],
        batch.y[k],
        batch.heading[k],
        batch.is_carrying[k],
        batch.food_mark[k],
        batch.nest_mark[k],
        batch.events[k],
        batch.counts[k],
        batch.food[k],
        batch.pile_sites[k],
        batch.objects[k],
        batch.nest[k],
        batch.is_nest[k],
        batch.nest_scent[k],
        batch.pheromone[k],
        batch.repellent[k],
        batch.obs[k],
        batch.features[k],
        batch.order[k],
        batch.sites[k],
        batch.rows[k],
        batch.random[k],
    )


@njit(cache=True)
def step_batch(
    batch: ForagingState, actions: IntArray | FloatArray, constants: TickConstants, is_active: BoolArray
) -> None:
    """`step_state` of every active colony, one after the other.

    Parameters
    ----------
    batch : ForagingState with an axis of colonies in front
    actions : (n_colonies, n_ants, n_action_parts)
    is_active : (n_colonies,) bool
    """
    for k in range(is_active.shape[0]):
        if is_active[k]:
            step_state(colony(batch, k), actions[k], constants)
