"""The published rules of the ant world, tick by tick: order, credit, end, pheromone, edges, switches."""

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.foraging import AntForagingEnv
from tests.contract.env_cases import (
    DEPOSIT,
    MOVE,
    NEST_SCENT,
    ON_NEST,
    PICKED_UP,
    SMELL,
    TURN,
    Case,
    actions_of,
    food_units,
    forage,
    published_fitness,
    stay,
)

CASES = [
    Case("published_test", "AntForaging-v0"),
    Case("published_training", "AntForagingTraining-v0"),
    Case("published_visual", "AntForagingVisual-v0"),
    Case("few_ants_without_smell", "AntForaging-v0", {"n_ants": 4, "has_pheromone_sense": False}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


# Invariants


@each_case
@pytest.mark.parametrize("policy", ["random", "forage"])
def test_the_rewards_add_up_to_the_published_fitness(case, policy):
    env = case.bare(n_ticks=400)
    _, info = env.reset(seed=18)
    assert info["fitness"] == 0.0
    total, actions = 0.0, actions_of(env, 18, 400)
    for tick in range(400):
        _, reward, _, _, info = env.step(forage(env) if policy == "forage" else actions[tick])
        total += reward
        assert info["fitness"] == pytest.approx(published_fitness(info, 400), rel=1e-12, abs=1e-9)
        assert total == pytest.approx(info["fitness"], rel=1e-9, abs=1e-7)
    assert info["ticks"] == 400
    if policy == "forage":
        assert info["pick_ups"] >= info["food"] >= 4  # else the largest terms were not tested
    assert info["turns"] * info["moves"] * info["deposits"] > 0


@each_case
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), weights=st.tuples(*[st.floats(0.05, 0.95)] * 3), is_foraging=st.booleans())
def test_food_and_pheromone_are_kept_account_of_under_any_actions(case, seed, weights, is_foraging):
    env = case.bare()
    _, info = env.reset(seed=seed)
    config, state, rng = env.config, env.state, np.random.default_rng(seed)
    x_low, x_high, y_low, y_high = 62, 98, 3, 58
    for tick in range(150):
        if is_foraging:
            action = forage(env)
        else:
            action = (rng.random(env.action_space.shape) < weights).astype(int)
            action[:, TURN] *= rng.integers(1, 3)
        mass, n_deposits = state.pheromone.sum(), info["deposits"]
        x, y = state.x.copy(), state.y.copy()
        obs, _, _, _, info = env.step(action)

        assert food_units(env, info) == config.total_food
        assert state.food.min() >= 0
        assert info["food"] <= info["pick_ups"] <= config.total_food

        assert np.isfinite(state.pheromone).all()
        assert state.pheromone.min() >= 0
        mass += 60 * (info["deposits"] - n_deposits)
        # Every 7th tick diffusion, which conserves, then inside the arena 1 % is lost.
        inside = state.pheromone[1:61, 60:101].sum()
        outside = state.pheromone.sum() - inside
        assert inside / (0.99 if tick % 7 == 0 else 1.0) + outside == pytest.approx(mass, rel=1e-12)

        assert ((x_low <= state.x) & (state.x <= x_high) & (y_low <= state.y) & (state.y <= y_high)).all()
        assert (np.hypot(state.x - x, state.y - y) <= 1 + 1e-12).all()
        assert ((state.heading >= 0) & (state.heading < 360)).all()
        assert (obs[:, NEST_SCENT].sum(axis=1) == 1).all()
        assert (obs[:, SMELL].sum(axis=1) == int(config.has_pheromone_sense)).all()
        assert info["wall_contacts"] == 0


@each_case
def test_the_pheromone_field_follows_a_numpy_implementation(case):
    """Deposits after the move and before the clamp; diffusion and evaporation at ticks 0, 7, 14, …"""
    env = case.bare()
    env.reset(seed=19)
    expected, state = np.zeros((61, 101)), env.state
    for tick, action in enumerate(actions_of(env, 19, 120)):
        action[:, MOVE] = 1  # reach the walls, where the clamp matters
        turn = np.array([0, -6, 6])[action[:, TURN]]
        radians = np.radians(state.heading + turn)
        columns = np.floor(state.x + np.sin(radians) + 0.5).astype(int)
        rows = np.floor(state.y + np.cos(radians) + 0.5).astype(int)
        np.add.at(expected, (rows, columns), 60.0 * action[:, DEPOSIT])
        if tick % 7 == 0:
            received, n_given = np.zeros_like(expected), np.zeros_like(expected)
            padded, world = np.pad(expected, 1), np.pad(np.ones_like(expected), 1)
            for dy in range(3):
                for dx in range(3):
                    if (dy, dx) != (1, 1):
                        received += padded[dy : dy + 61, dx : dx + 101]
                        n_given += world[dy : dy + 61, dx : dx + 101]
            expected = expected * (1 - 0.2 * n_given / 8) + 0.2 / 8 * received
            expected[1:61, 60:101] *= 0.99
        env.step(action)
        np.testing.assert_allclose(state.pheromone, expected, rtol=1e-11, atol=1e-90)
    assert state.pheromone.sum() > 1000


@each_case
def test_ants_that_walk_straight_on_end_at_the_edge_of_the_walkable_area(case):
    env = case.bare()
    env.reset(seed=20)
    headings, action = env.state.heading.copy(), stay(env)
    action[:, MOVE] = 1
    for _ in range(100):
        _, _, _, _, info = env.step(action)
    on_edge = np.isin(env.state.x, (62, 98)) | np.isin(env.state.y, (3, 58))
    assert on_edge.all()
    assert ((env.state.x >= 62) & (env.state.x <= 98) & (env.state.y >= 3) & (env.state.y <= 58)).all()
    np.testing.assert_array_equal(env.state.heading, headings)
    assert info["wall_contacts"] == 0


# The ant world: order within a tick

LONE = {"n_ants": 1, "n_scattered": 0, "nest_x": (72, 72), "nest_y": (30, 30)}


def lone_forager(**settings):
    """One ant whose nest is at (72, 30); the only food is one unit at (80, 30)."""
    pile = {"piles": ((80, 30),), "pile_radius": 1.0, "food_per_patch": 1}
    env = AntForagingEnv(**(LONE | pile | settings))
    env.reset(seed=0)
    return env


def test_pheromone_is_updated_at_ticks_0_7_and_14():
    env = AntForagingEnv(n_ants=1)
    env.reset(seed=0)
    x, y = int(env.state.x[0]), int(env.state.y[0])
    action = stay(env)
    action[0, DEPOSIT] = 1
    env.step(action)
    assert env.state.pheromone[y, x] == pytest.approx(47.52, abs=1e-9)  # tick 0: deposit, then update
    assert env.state.pheromone[y + 1, x - 1] == pytest.approx(1.485, abs=1e-9)
    updates = []
    for tick in range(1, 22):
        before = env.state.pheromone.copy()
        env.step(stay(env))
        if not np.array_equal(env.state.pheromone, before):
            updates.append(tick)
    assert updates == [7, 14, 21]


def test_the_pick_up_is_felt_in_its_own_tick_only_and_loads_the_ant():
    env = lone_forager(food_per_patch=2)
    obs = env.state.obs
    while not obs[0, PICKED_UP]:
        assert not env.state.is_carrying[0]
        obs, reward, _, _, info = env.step(forage(env))
        assert obs[0, PICKED_UP] == info["pick_ups"]
    assert env.state.is_carrying[0]
    assert env.state.food_mark[0] == info["ticks"]
    assert reward == pytest.approx(1.5 - 0.5 - 0.25 - 0.05, abs=0.03)  # a move, a deposit and perhaps a turn
    obs, reward, _, _, info = env.step(stay(env))  # it stands on the second unit, loaded
    assert env.state.food[30, 80] == 1
    assert (obs[0, PICKED_UP], info["pick_ups"]) == (0, 1)
    assert reward == pytest.approx(-0.5, abs=1e-9)


def test_a_return_is_credited_in_the_tick_in_which_the_nest_is_touched():
    env = lone_forager()
    while not env.state.is_carrying[0]:
        env.step(forage(env))
    obs = env.state.obs
    while not obs[0, ON_NEST]:
        assert env.state.is_carrying[0]
        obs, _, is_terminated, _, info = env.step(forage(env))
        assert (is_terminated, info["food"]) == (False, 0)
    assert not env.state.is_carrying[0]  # this tick has sensed the nest; now it acts
    _, reward, is_terminated, _, info = env.step(stay(env))
    bonus = 30 * (2000 - info["finish_tick"]) if is_terminated else 0
    assert reward == pytest.approx(220 - 0.5 + bonus, abs=1e-9)
    assert info["food"] == 1


def test_the_world_ends_at_the_first_check_after_the_last_unit_came_home():
    env = lone_forager()
    returned_at, total = None, 0.0
    for tick in range(300):
        _, reward, is_terminated, is_truncated, info = env.step(forage(env))
        total += reward
        if returned_at is None and info["food"] == 1:
            returned_at = tick
        if is_terminated:
            break
    assert returned_at is not None
    finish = -(-returned_at // 7) * 7  # the next multiple of 7
    assert (is_terminated, is_truncated) == (True, False)
    assert (info["finish_tick"], info["ticks"], info["pick_ups"]) == (finish, finish + 1, 1)
    assert reward > 30 * (2000 - finish) - 15
    assert info["fitness"] == pytest.approx(published_fitness(info, 2000), abs=1e-9)
    assert total == pytest.approx(info["fitness"], abs=1e-7)
    with pytest.raises(ResetNeeded, match="after the end of the episode"):
        env.step(stay(env))


def test_a_carried_unit_keeps_the_world_going():
    env = lone_forager()
    while not env.state.is_carrying[0]:
        env.step(forage(env))
    assert env.state.food.sum() == 0
    assert not any(env.step(stay(env))[2] for _ in range(15))  # at least two checks


@pytest.mark.parametrize("n_ticks", [1, 2, 2000])
def test_a_world_without_food_finishes_in_its_first_tick_without_a_bonus(n_ticks):
    env = AntForagingEnv(food_per_patch=0, n_scattered=0, n_ticks=n_ticks)
    env.reset(seed=0)
    _, reward, is_terminated, is_truncated, info = env.step(stay(env))
    assert (is_terminated, is_truncated, info["finish_tick"]) == (True, False, 0)
    assert reward == info["fitness"] == -0.5


def test_a_colony_brings_home_every_unit_it_can_reach():
    env = AntForagingEnv("published_training", n_scattered=0, piles=((80, 40),), n_ticks=1500)
    env.reset(seed=1)
    is_terminated = is_truncated = False
    while not (is_terminated or is_truncated):
        _, _, is_terminated, is_truncated, info = env.step(forage(env))
    assert is_terminated
    assert info["food"] == info["pick_ups"] == env.config.total_food == 25


def test_food_on_the_nest_centre_is_not_lost():
    env = AntForagingEnv()
    env.reset(seed=1579)
    action = stay(env)
    action[:, MOVE] = 1
    records = [env.step(action) for _ in range(5)]
    assert food_units(env, records[-1][-1]) == 152
    assert sum(record[1] for record in records) == pytest.approx(records[-1][-1]["fitness"])


def test_smell_reads_the_pheromone_and_the_nest_sense_the_nest_scent():
    env = AntForagingEnv(**LONE)
    env.reset(seed=0)
    env.state.x[:], env.state.y[:], env.state.heading[:] = 78.0, 30.0, 0.0  # the nest lies to the left, at (72, 30)
    env.state.pheromone[32, 79] = 60.0  # the patch compared on the right
    obs = env.step(stay(env))[0]
    assert obs[0, NEST_SCENT].tolist() == [1, 0, 0]
    assert obs[0, SMELL].tolist() == [0, 0, 1]


def test_a_contested_unit_goes_to_either_ant_from_seed_to_seed_and_from_tick_to_tick():
    env = AntForagingEnv(n_ants=2, n_scattered=0)
    winners = []
    for seed in range(60):
        env.reset(seed=seed)
        state, episode = env.state, []
        state.x[:], state.y[:] = 80.0, 45.0
        for _ in range(5):
            state.food[45, 80], state.is_carrying[:] = 1, False
            env.step(stay(env))
            assert state.is_carrying.sum() == 1
            episode.append(int(state.is_carrying[1]))
        winners.append(tuple(episode))
    # 60 fair draws per tick: 30 wins, standard deviation 3.9.
    assert np.all(np.abs(np.sum(winners, axis=0) - 30) < 4 * 3.9)
    assert len(set(winners)) > 20  # of 32 sequences


# The switches of the studies


def test_without_the_pheromone_sense_a_trail_changes_no_observation():
    env = AntForagingEnv(has_pheromone_sense=False)
    env.reset(seed=21)
    env.state.pheromone[:] = np.random.default_rng(0).uniform(0, 60, (61, 101))
    for action in actions_of(env, 21, 20):
        obs = env.step(action)[0]
        assert not obs[:, SMELL].any()
    sensing = AntForagingEnv()
    sensing.reset(seed=21)
    sensing.state.pheromone[:] = np.random.default_rng(0).uniform(0, 60, (61, 101))
    assert sensing.step(actions_of(env, 21, 1)[0])[0][:, SMELL].any(axis=0).all()


def test_without_deposits_no_pheromone_appears_and_nothing_is_charged():
    env = AntForagingEnv(has_pheromone_deposit=False)
    env.reset(seed=22)
    action = stay(env)
    action[:, DEPOSIT] = 1
    _, reward, _, _, info = env.step(action)
    assert (reward, info["deposits"], env.state.pheromone.sum()) == (-0.5, 0, 0.0)
