import doctest
import itertools

import numpy as np
import pytest

from optim import Evaluations, ant_system
from optim.ant_system import AntSystemConfig, MaxMinAntSystem, build_tours, trail_limits
from optim.problems import circle_cities, distance_matrix, tour_lengths

DISTANCES = distance_matrix(np.random.default_rng(2).random((9, 2)))


def make(distances=DISTANCES, n_ants=9, seed=1, **settings):
    return MaxMinAntSystem(distances, AntSystemConfig(**settings), n_ants=n_ants, seed=seed)


def advance(ants, n, distances=DISTANCES, failing=0.0):
    """The tours of n generations; the given part of the ants fails."""
    trace = []
    rng = np.random.default_rng(0)
    for _ in range(n):
        tours = ants.ask()
        trace.append(tours)
        fitness = -tour_lengths(tours, distances)
        ants.tell(tours, Evaluations(np.where(rng.random(len(tours)) < failing, np.nan, fitness)))
    return trace


def test_the_example_is_true():
    assert doctest.testmod(ant_system) == doctest.TestResults(failed=0, attempted=6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("evaporation", 0.0),
        ("evaporation", 1.1),
        ("trail_weight", -1.0),
        ("distance_weight", np.inf),
        ("p_best", 1.0),
        ("deposit", "all"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"AntSystemConfig\.{field}="):
        AntSystemConfig(**{field: value})


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.ones((2, 2)), "n_cities >= 3"),
        (np.ones((4, 3)), r"shape \(4, 3\)"),
        (np.zeros((3, 3)), r"distances\[0, 1\] = 0.0"),
        (np.where(np.eye(3) > 0, 0.0, np.nan), r"distances\[0, 1\] = nan"),
        (np.where(np.eye(3) > 0, 0.0, np.inf), r"distances\[0, 1\] = inf"),
        (np.arange(1.0, 10.0).reshape(3, 3), "not symmetric"),
    ],
)
def test_distances_without_tours_are_refused(distances, message):
    with pytest.raises(ValueError, match=message):
        make(distances)


@pytest.mark.parametrize("n_ants", [0, 2.5])
def test_an_impossible_number_of_ants_is_refused(n_ants):
    with pytest.raises(ValueError, match=f"n_ants={n_ants}"):
        make(n_ants=n_ants)


@pytest.mark.parametrize("failing", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("settings", [{}, {"trail_weight": 200.0, "distance_weight": 300.0}, {"distance_weight": 0.0}])
def test_every_row_visits_every_city_once(settings, failing):
    ants = make(**settings)
    for tours in advance(ants, 30, failing=failing):
        assert tours.dtype == np.float64
        ants.space.check(tours)
        np.testing.assert_array_equal(np.sort(tours, axis=1), np.tile(np.arange(9.0), (9, 1)))


def test_the_next_city_is_chosen_in_proportion_to_its_attraction():
    attraction = np.array([[0.0, 1.0, 3.0, 4.0], [1.0, 0.0, 2.0, 6.0], [1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    tours = build_tours(attraction, 40_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(tours[:, 0]) / 40_000, 0.25, atol=0.01)
    second = tours[tours[:, 0] == 0, 1]
    np.testing.assert_allclose(np.bincount(second) / len(second), [0.0, 1 / 8, 3 / 8, 4 / 8], atol=0.02)
    third = tours[(tours[:, 0] == 0) & (tours[:, 1] == 1), 2]
    np.testing.assert_allclose(np.bincount(third) / len(third), [0.0, 0.0, 2 / 8, 6 / 8], atol=0.06)


def test_at_the_lower_limit_a_converged_colony_builds_its_best_tour_with_the_given_probability():
    n, p_best = 50, 0.05
    low, high = trail_limits(10.0, n, 0.02, p_best)
    assert high == pytest.approx(1.0 / (0.02 * 10.0))
    # On average n / 2 cities are open, one of them on the best tour.
    p_step = high / (high + (n / 2 - 1) * low)
    assert p_step**n == pytest.approx(p_best)


def test_limits_of_few_cities_do_not_cross():
    low, high = trail_limits(10.0, 3, 0.02, 0.05)
    assert low == high


def test_trails_stay_within_the_limits_of_the_best_tour():
    ants = make(evaporation=0.3)
    for _ in range(40):
        advance(ants, 1)
        state = ants.state_dict()
        low, high = trail_limits(-state["best_fitness"], 9, 0.3, 0.05)
        trails = state["trails"]
        assert trails.min() >= low
        assert trails.max() <= high
        np.testing.assert_array_equal(trails, trails.T)
    assert trails[~np.eye(9, dtype=bool)].min() == low


def test_after_the_first_generation_all_trails_are_at_the_upper_limit():
    ants = make()
    advance(ants, 1)
    state = ants.state_dict()
    np.testing.assert_array_equal(state["trails"], trail_limits(-state["best_fitness"], 9, 0.02, 0.05)[1])


@pytest.mark.parametrize("deposit", ["generation_best", "best_so_far"])
def test_only_the_edges_of_one_tour_gain_a_trail(deposit):
    ants = make(deposit=deposit, evaporation=0.05)
    advance(ants, 3)
    before, tours = ants.state_dict(), ants.ask()
    fitness = np.linspace(-9.0, -8.0, 9)  # worse than the best so far
    ants.tell(tours, Evaluations(fitness))
    tour = (tours[8] if deposit == "generation_best" else before["best_tour"]).astype(int)
    length = 8.0 if deposit == "generation_best" else -before["best_fitness"]
    expected = 0.95 * before["trails"]
    for here, after in itertools.pairwise([*tour, tour[0]]):
        expected[here, after] += 1.0 / length
        expected[after, here] += 1.0 / length
    limits = trail_limits(-before["best_fitness"], 9, 0.05, 0.05)
    np.testing.assert_allclose(ants.state_dict()["trails"], np.clip(expected, *limits))


@pytest.mark.parametrize("seed", range(3))
def test_the_known_optimum_of_a_circle_is_found(seed):
    distances = distance_matrix(circle_cities(20, np.random.default_rng(seed)))
    ants = make(distances, n_ants=20, seed=seed, evaporation=0.1)
    advance(ants, 150, distances)
    assert tour_lengths(ants.best_tour[None], distances)[0] == pytest.approx(40 * np.sin(np.pi / 20), rel=1e-12)


def test_the_shortest_of_all_tours_is_found():
    every = np.array([(0, *rest) for rest in itertools.permutations(range(1, 9))])
    ants = make(n_ants=20, evaporation=0.1)
    advance(ants, 100)
    best = tour_lengths(ants.best_tour[None], DISTANCES)[0]
    assert best == pytest.approx(tour_lengths(every, DISTANCES).min(), rel=1e-12)


def test_the_best_tour_is_the_best_that_was_told():
    ants = make()
    assert np.isnan(ants.best_tour).all()
    trace = np.concatenate(advance(ants, 10, failing=0.3))
    state = ants.state_dict()
    assert tour_lengths(state["best_tour"][None], DISTANCES)[0] == -state["best_fitness"]
    assert (trace == state["best_tour"]).all(axis=1).any()


def test_a_failed_ant_lays_no_trail_and_if_all_failed_trails_stay():
    ants = make()
    advance(ants, 4)
    before = ants.state_dict()
    advance(ants, 1, failing=1.0)
    after = ants.state_dict()
    np.testing.assert_array_equal(after["trails"], before["trails"])
    assert not np.array_equal(after["tours"], before["tours"])

    first, second = make(), make()
    tours = first.ask()
    fitness = -tour_lengths(tours, DISTANCES)
    second.ask()
    order = np.argsort(-fitness)
    second.tell(tours, Evaluations(np.where(np.arange(9) == order[0], fitness, np.nan)))
    first.tell(tours, Evaluations(fitness))
    np.testing.assert_array_equal(first.ask(), second.ask())


def test_a_fitness_that_is_no_length_is_refused_and_changes_nothing():
    ants = make()
    tours = ants.ask()
    before = ants.state_dict()
    with pytest.raises(ValueError, match="Give minus the length"):
        ants.tell(tours, Evaluations(tour_lengths(tours, DISTANCES)))
    after = ants.state_dict()
    for key in ("trails", "tours", "best_tour"):
        np.testing.assert_array_equal(after[key], before[key])


@pytest.mark.parametrize("n", [0, 1, 7])
def test_a_stored_state_continues_bit_identically(n):
    straight = make(seed=3)
    advance(straight, n)
    resumed = make(seed=4)
    resumed.load_state_dict(straight.state_dict())
    np.testing.assert_array_equal(advance(resumed, 5), advance(straight, 5))


def test_the_order_in_which_results_are_told_changes_no_bit():
    straight, shuffled = make(), make()
    rng = np.random.default_rng(5)
    for _ in range(10):
        tours = straight.ask()
        order = rng.permutation(len(tours))
        np.testing.assert_array_equal(shuffled.ask(), tours)
        straight.tell(tours, Evaluations(-tour_lengths(tours, DISTANCES)))
        shuffled.tell(tours[order], Evaluations(-tour_lengths(tours[order], DISTANCES)))
    np.testing.assert_array_equal(straight.ask(), shuffled.ask())


def test_trails_branch_everywhere_at_first_and_nowhere_when_converged():
    ants = make(evaporation=0.5, deposit="best_so_far")
    assert ants.diagnostics() == {"branching": 8.0}
    advance(ants, 60)
    assert ants.diagnostics() == {"branching": 2.0}
