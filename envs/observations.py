"""Compiled kernels of graded and egocentric observations; the binary sensors are those of `envs.ants`.

``binary``: what the published colonies sense, 0 or 1 (`envs.types.SENSORS`).

``graded``: the same columns as numbers in [0, 1]. Objects ahead: 1 - (distance - ray_step) / ray length, 0 if none.
Smell: c / (c + smell_scale) of the pheromone c. Nest: 1/2 + (scent there - scent here) / 8, clipped, so that 1/2 is
level ground. Contacts stay 0 or 1.

``egocentric``: pheromone at `smell_points` relative to the ant's place and heading, as c / (c + smell_scale); the
repellent likewise; objects ahead as above; cosine and sine of the direction of the nest relative to the heading, and
its distance as share of the arena's diagonal, at most 1; whether the ant carries food, has just taken it, and is on
the nest.
"""

import math

from numba import njit

from envs.ants import direction_of, first_object, patch_of, places_ahead, read_ahead
from envs.types import (
    FOOD,
    FOOD_AHEAD,
    NEST_LEFT,
    NOCICEPTIVE,
    ON_NEST,
    REPELLENT_LEFT,
    REWARD,
    SMELL_LEFT,
    WALL,
    WALL_AHEAD,
)


@njit(cache=True, forceinline=True)
def read_at(field, column, row):
    """A field at a patch, 0 outside the world."""
    is_inside = 0 <= row < field.shape[0] and 0 <= column < field.shape[1]
    return float(field[row, column]) if is_inside else 0.0


# Columns of the egocentric features behind the smells, and how many they are.
N_OTHERS = 8
EYES, NEST_BEARING, CARRYING, TOUCH = 0, 2, 5, 6


@njit(cache=True, forceinline=True)
def saturate(concentration, scale):
    """Pheromone as a number in [0, 1): half at `scale`."""
    return concentration / (concentration + scale)


@njit(cache=True, forceinline=True)
def nearness(x, y, direction, objects, ray_step, n_ray_points):
    """How near the first object ahead is, (wall, food), in [0, 1]; at most one of them is above 0.

    Parameters : as `envs.ants.first_object`
    """
    code, point = first_object(x, y, direction, objects, ray_step, n_ray_points)
    value = 1.0 - (point - 1.0) / n_ray_points
    return value * (code == WALL), value * (code == FOOD)


@njit(cache=True, forceinline=True)
def observe_graded(state, constants, features):
    """Everything but the contacts.

    Parameters
    ----------
    features : (n_ants, n_sensors) float32
    """
    c = constants
    pheromone, repellent, nest_scent, objects = state.pheromone, state.repellent, state.nest_scent, state.objects
    for ant in range(state.x.shape[0]):
        x, y, heading = state.x[ant], state.y[ant], state.heading[ant]
        direction = direction_of(heading)
        near = nearness(x, y, direction, objects, c.ray_step, c.n_ray_points)
        features[ant, WALL_AHEAD], features[ant, FOOD_AHEAD] = near
        places = places_ahead(x, y, heading, direction)
        if c.has_pheromone_sense:
            smells = read_ahead(places, pheromone)
            for k in range(3):
                features[ant, SMELL_LEFT + k] = saturate(smells[k], c.smell_scale)
            if c.has_repellent:
                smells = read_ahead(places, repellent)
                for k in range(3):
                    features[ant, REPELLENT_LEFT + k] = saturate(smells[k], c.smell_scale)
        here = read_at(nest_scent, patch_of(x), patch_of(y))
        scents = read_ahead(places, nest_scent)
        for k in range(3):
            features[ant, NEST_LEFT + k] = min(max(0.5 + (scents[k] - here) / 8.0, 0.0), 1.0)


@njit(cache=True, forceinline=True)
def observe_egocentric(state, constants, features):
    """Everything but the contacts.

    Parameters
    ----------
    features : (n_ants, n_features) float32: smells, then wall, food, cosine, sine, distance, carrying, touch
    """
    c = constants
    pheromone, repellent, objects = state.pheromone, state.repellent, state.objects
    n_points = c.smell_angles.shape[0]
    first = n_points * (2 if c.has_repellent else 1)
    for ant in range(state.x.shape[0]):
        x, y, heading = state.x[ant], state.y[ant], state.heading[ant]
        direction = direction_of(heading)
        if c.has_pheromone_sense:
            for k in range(n_points):
                east, north = direction_of(heading + c.smell_angles[k])
                column = patch_of(x + c.smell_distances[k] * east)
                row = patch_of(y + c.smell_distances[k] * north)
                features[ant, k] = saturate(read_at(pheromone, column, row), c.smell_scale)
                if c.has_repellent:
                    features[ant, n_points + k] = saturate(read_at(repellent, column, row), c.smell_scale)
        near = nearness(x, y, direction, objects, c.ray_step, c.n_ray_points)
        features[ant, first + EYES], features[ant, first + EYES + 1] = near
        east, north = state.nest[0] - x, state.nest[1] - y
        distance = math.hypot(east, north)
        ahead, aside = 1.0, 0.0
        if distance > 0.0:
            ahead = (east * direction[0] + north * direction[1]) / distance
            aside = (east * direction[1] - north * direction[0]) / distance
        features[ant, first + NEST_BEARING] = min(max(ahead, -1.0), 1.0)
        features[ant, first + NEST_BEARING + 1] = min(max(aside, -1.0), 1.0)
        features[ant, first + NEST_BEARING + 2] = min(distance / c.diagonal, 1.0)


@njit(cache=True, forceinline=True)
def add_contacts(state, is_egocentric, features):
    """Copy what `envs.ants.touch` found into the features."""
    for ant in range(state.x.shape[0]):
        if is_egocentric:
            first = features.shape[1] - N_OTHERS
            features[ant, first + CARRYING] = state.is_carrying[ant]
            features[ant, first + TOUCH] = state.obs[ant, REWARD]
            features[ant, first + TOUCH + 1] = state.obs[ant, ON_NEST]
        else:
            for column in (NOCICEPTIVE, REWARD, ON_NEST):
                features[ant, column] = state.obs[ant, column]
