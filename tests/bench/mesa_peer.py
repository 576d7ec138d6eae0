"""The published world in Mesa 3, run by the Python of an environment with mesa; see `world.py`.

Written as a model is in Mesa: an `Agent` per ant with methods for the parts of a tick, `shuffle_do` for their order,
property layers for what lies on the ground, whose diffusion is NumPy on a whole layer. Layers are indexed ``[x, y]``.
The actions come from a file, so that the ants walk, mark and carry as those of the other worlds do; only who comes
first to a single unit is decided by Mesa's random numbers.
"""

import json
import math
import sys
import time

import mesa
import numpy as np
from mesa.discrete_space import PropertyLayer

_WALL, _FOOD = 1, 2
_TINY = 1e-100
_N_WARM_UP = 10  # ticks that are not measured


class Ant(mesa.Agent):
    """One ant with its place, heading and load."""

    def __init__(self, model, x, y, heading):
        super().__init__(model)
        self.x, self.y, self.heading = x, y, heading
        self.is_carrying = False
        self.food_mark = self.nest_mark = 0
        self.obs = [0] * 11

    def patch(self, x, y):
        """The patch that holds a point."""
        return math.floor(x + 0.5), math.floor(y + 0.5)

    def sense(self):
        """What can be sensed from a distance."""
        seen = self.look()
        self.obs[0], self.obs[1] = int(seen == _WALL), int(seen == _FOOD)
        self.obs[2:5] = self.compare(self.model.pheromone.data)
        self.obs[7:10] = self.compare(self.model.scent.data)

    def look(self):
        """The first object along the heading."""
        radians = math.radians(self.heading)
        dx, dy = 0.5 * math.sin(radians), 0.5 * math.cos(radians)
        objects = self.model.objects.data
        for k in range(1, self.model.n_ray_points + 1):
            x, y = self.patch(self.x + k * dx, self.y + k * dy)
            if not (0 <= x < objects.shape[0] and 0 <= y < objects.shape[1]):
                return _WALL
            if objects[x, y]:
                return objects[x, y]
        return 0

    def compare(self, field):
        """Whether a field is strongest to the left, ahead or to the right, two patches away."""
        radians = math.radians(self.heading)
        ahead_x, ahead_y = self.x + math.sin(radians), self.y + math.cos(radians)
        values = []
        for angle in (self.heading - 45.0, self.heading, self.heading + 45.0):
            radians = math.radians(angle)
            x, y = self.patch(ahead_x + math.sin(radians), ahead_y + math.cos(radians))
            is_inside = 0 <= x < field.shape[0] and 0 <= y < field.shape[1]
            values.append(field[x, y] if is_inside else 0.0)
        left, middle, right = values
        if right > middle and right > left:
            return 0, 0, 1
        return (1, 0, 0) if left > middle and left > right else (0, 1, 0)

    def touch(self):
        """Drop food at the nest, pick it up elsewhere."""
        model, (x, y) = self.model, self.patch(self.x, self.y)
        is_on_wall, is_home = model.objects.data[x, y] == _WALL, model.nest.data[x, y]
        self.obs[5], self.obs[6], self.obs[10] = int(is_on_wall), 0, int(is_home)
        model.counts["wall_contacts"] += int(is_on_wall)
        if is_home:
            self.is_carrying = False
            self.nest_mark = model.tick
        elif model.food.data[x, y] > 0 and not self.is_carrying:
            model.food.data[x, y] -= 1
            if model.food.data[x, y] == 0:
                model.objects.data[x, y] = 0
            self.is_carrying = True
            self.food_mark = model.tick
            self.obs[6] = 1
            model.counts["pick_ups"] += 1

    def act(self):
        """Turn, walk, deposit; report food that has come home."""
        model = self.model
        turn, move, deposit = model.actions[self.unique_id - 1]
        if turn:
            self.heading = (self.heading + (6.0 if turn == 2 else -6.0)) % 360.0
            model.counts["turns"] += 1
        if move:
            radians = math.radians(self.heading)
            self.x += math.sin(radians)
            self.y += math.cos(radians)
            model.counts["moves"] += 1
        if deposit:
            model.pheromone.data[self.patch(self.x, self.y)] += 60.0
            model.counts["deposits"] += 1
        if self.nest_mark > self.food_mark > 0:
            self.food_mark = self.nest_mark = 0
            model.counts["food"] += 1
        x_low, x_high, y_low, y_high = model.walkable
        self.x, self.y = min(max(self.x, x_low), x_high), min(max(self.y, y_low), y_high)


class Colony(mesa.Model):
    """The world of `envs.foraging.AntForagingEnv`, its fitness included.

    Parameters
    ----------
    case : arrays and numbers of `world.write_case`
    """

    def __init__(self, case):
        super().__init__(seed=1)
        shape = case["food"].T.shape
        self.food = self._layer("food", case["food"], int)
        self.objects = self._layer("objects", case["objects"], int)
        self.nest = self._layer("nest", case["is_nest"], bool)
        self.scent = self._layer("scent", case["nest_scent"], float)
        self.pheromone = PropertyLayer("pheromone", shape, 0.0, float)
        self.walkable = case["walkable"].tolist()
        self.n_ray_points = int(case["n_ray_points"])
        x_min, x_max, y_min, y_max = case["arena"]
        stays = np.ones(shape)
        stays[x_min : x_max + 1, y_min : y_max + 1] = 1.0 - float(case["evaporation"])
        share = float(case["diffusion"]) / 8.0
        self._get = stays * share
        self._keep = stays * (1.0 - share * self._neighbour_sum(np.ones(shape)))
        self.counts = dict.fromkeys(("food", "pick_ups", "moves", "turns", "deposits", "wall_contacts"), 0)
        self.tick, self.fitness, self.actions = 0, 0.0, []
        for x, y, heading in zip(*(case[name].tolist() for name in ("x", "y", "heading")), strict=True):
            Ant(self, x, y, heading)
        self._begin_tick()

    def step(self):
        """Second half of the running tick, first half of the next; `actions` were set before."""
        self.agents.shuffle_do("act")
        if self.tick % 7 == 0:
            content = self.pheromone.data
            updated = self._keep * content + self._get * self._neighbour_sum(content)
            content[:] = np.where(updated > _TINY, updated, 0.0)
        self.tick += 1
        self._begin_tick()

    def _begin_tick(self):
        self.agents.do("sense")
        self.agents.shuffle_do("touch")
        n = self.counts
        self.fitness = 220.0 * n["food"] + 1.5 * n["pick_ups"] - 0.25 * n["moves"] - 0.02 * n["turns"]
        self.fitness -= 0.05 * n["deposits"] + 0.5 * self.tick + 5.5 * n["wall_contacts"]

    def _layer(self, name, grid, dtype):
        layer = PropertyLayer(name, grid.T.shape, dtype(0), dtype)
        layer.data[:] = grid.T
        return layer

    def _neighbour_sum(self, content):
        padded = np.pad(content, 1)
        width, height = content.shape
        places = [(x, y) for x in range(3) for y in range(3) if (x, y) != (1, 1)]
        return sum(padded[x : x + width, y : y + height] for x, y in places)


def main():
    """Run the case of the first argument, write how it ended to the second, print the time."""
    with np.load(sys.argv[1]) as data:
        case = dict(data)
    colony = Colony(case)
    all_actions = case["actions"].tolist()
    start = time.thread_time()
    for k, actions in enumerate(all_actions):
        if k == _N_WARM_UP:
            start = time.thread_time()
        colony.actions = actions
        colony.step()
    seconds = (time.thread_time() - start) / (len(all_actions) - _N_WARM_UP)
    x, y = np.array([(ant.x, ant.y) for ant in colony.agents]).T
    np.savez(sys.argv[2], x=x, y=y, pheromone=colony.pheromone.data.T, food=colony.food.data.T)
    print(json.dumps({"seconds_per_tick": seconds, "mesa": mesa.__version__, "counts": colony.counts}))


if __name__ == "__main__":
    main()
