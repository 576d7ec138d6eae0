import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.finite_difference import FiniteDifferenceAscent, FiniteDifferenceConfig, random_directions, slope

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("rate_hz", 1, 1e-2, 1e2, kind="log")))
MIDDLE = np.array([0.0, 0.0, 1.0])
CORNER = np.array([20.0, -20.0, 1e2])
SLOPE = np.array([1.0, -2.0, 0.5])
SCHEMES = [("central", "random"), ("forward", "random"), ("central", "coordinates"), ("forward", "coordinates")]
every_scheme = pytest.mark.parametrize(("probes", "directions"), SCHEMES)


def make(x0=MIDDLE, population_size=8, seed=1, space=SPACE, **settings):
    return FiniteDifferenceAscent(
        space, FiniteDifferenceConfig(**settings), x0=x0, population_size=population_size, seed=seed
    )


def linear(genomes, space=SPACE):
    return space.to_unit(genomes) @ SLOPE


def moved(ascent, fitness_of=linear, space=SPACE):
    """How one generation moves the middle, in unit coordinates."""
    before = space.to_unit(ascent.middle)
    genomes = ascent.ask()
    ascent.tell(genomes, Evaluations(fitness_of(genomes)))
    return space.to_unit(ascent.middle) - before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probes", "backward"),
        ("directions", "all"),
        ("rule", "newton"),
        ("probe_step", 0.0),
        ("learning_rate", np.inf),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"FiniteDifferenceConfig\.{field}="):
        FiniteDifferenceConfig(**{field: value})


@pytest.mark.parametrize(("probes", "population_size"), [("central", 7), ("central", 0), ("forward", 1)])
def test_an_impossible_population_size_is_refused(probes, population_size):
    with pytest.raises(ValueError, match=f"population_size={population_size} must be >= 2"):
        make(population_size=population_size, probes=probes)


def test_a_start_outside_the_bounds_is_refused():
    with pytest.raises(ValueError, match="rate_hz"):
        make(np.array([0.0, 0.0, 1e3]))


def test_random_directions_are_unit_vectors_orthogonal_in_groups():
    directions = random_directions(7, 3, np.random.default_rng(1))
    assert directions.shape == (7, 3)
    for group in (directions[:3], directions[3:6], directions[6:]):
        np.testing.assert_allclose(group @ group.T, np.eye(len(group)), atol=1e-12)
    assert not np.allclose(directions[:3], directions[3:6])


def test_random_directions_favour_no_axis():
    directions = np.concatenate([random_directions(1, 4, np.random.default_rng(seed)) for seed in range(4000)])
    np.testing.assert_allclose((directions**2).mean(axis=0), 0.25, atol=0.02)


def test_the_slope_of_a_linear_function_is_exact_if_the_offsets_span_it_and_else_its_projection():
    offsets = np.random.default_rng(1).standard_normal((5, 3))
    np.testing.assert_allclose(slope(offsets, offsets @ SLOPE), SLOPE)
    plane = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    np.testing.assert_allclose(slope(plane, plane @ SLOPE), [1.0, -2.0, 0.0], atol=1e-12)


@every_scheme
@pytest.mark.parametrize("x0", [MIDDLE, CORNER], ids=["middle", "corner"])
def test_the_gradient_of_a_linear_fitness_is_exact_also_at_the_bounds(probes, directions, x0):
    ascent = make(x0, probes=probes, directions=directions, rule="sgd", learning_rate=0.01)
    step = moved(ascent, lambda genomes: -linear(genomes) * np.sign(SPACE.to_unit(CORNER) @ SLOPE))
    if x0 is MIDDLE:
        np.testing.assert_allclose(step, -0.01 * SLOPE * np.sign(SPACE.to_unit(CORNER) @ SLOPE))
    assert ascent.diagnostics()["gradient"] == pytest.approx(np.linalg.norm(SLOPE))


@pytest.mark.parametrize("directions", ["random", "coordinates"])
def test_central_differences_of_a_quadratic_are_exact_and_forward_ones_are_not(directions):
    def quadratic(genomes):
        unit = SPACE.to_unit(genomes)
        return unit @ SLOPE - 3.0 * (unit**2).sum(axis=1)

    x0 = SPACE.from_unit(np.array([0.2, -0.1, 0.3]))
    exact = 0.01 * (SLOPE - 6.0 * np.array([0.2, -0.1, 0.3]))
    settings = {"directions": directions, "rule": "sgd", "learning_rate": 0.01, "probe_step": 0.1}
    np.testing.assert_allclose(moved(make(x0, **settings), quadratic), exact, atol=1e-12)
    # Along each coordinate, probed towards the middle, it is off by half the curvature times the step.
    forward = moved(make(x0, probes="forward", **settings), quadratic)
    if directions == "coordinates":
        np.testing.assert_allclose(forward, exact + 0.01 * 3.0 * 0.1 * np.array([1.0, -1.0, 1.0]), atol=1e-12)
    else:
        assert not np.allclose(forward, exact)


@pytest.mark.parametrize(
    ("probes", "directions", "n"),
    [("central", "random", 8), ("forward", "random", 8), ("central", "coordinates", 6), ("forward", "coordinates", 4)],
)
def test_probes_lie_one_step_from_the_middle(probes, directions, n):
    ascent = make(probes=probes, directions=directions, probe_step=0.05)
    unit = SPACE.to_unit(ascent.ask())
    assert len(unit) == n
    distances = np.linalg.norm(unit, axis=1)
    if probes == "forward":
        np.testing.assert_allclose(distances, [0.0] + [0.05] * (n - 1), atol=1e-12)
    else:
        np.testing.assert_allclose(distances, 0.05)
        np.testing.assert_allclose(unit[: n // 2], -unit[n // 2 :], atol=1e-12)


@pytest.mark.parametrize("rule", ["rmsprop", "adam"])
def test_the_first_step_of_an_adaptive_rule_has_the_same_length_in_every_gene(rule):
    step = moved(make(rule=rule, learning_rate=0.03))
    first = 0.03 if rule == "adam" else 0.03 / np.sqrt(0.1)  # the mean of squares begins at a tenth of the first
    np.testing.assert_allclose(step, first * np.sign(SLOPE), rtol=1e-6)


def test_a_whole_number_is_moved_by_probes_that_reach_the_next_and_by_no_others():
    space = ParameterSpace((Block("n_hidden", 1, 0, 9, kind="integer"),))
    per_number = 0.2  # unit coordinates: ten numbers share the length 2

    def step(probe_step):
        ascent = make(np.array([4.0]), space=space, population_size=2, probe_step=probe_step, rule="sgd")
        before = ascent.state_dict()["middle"]
        genomes = ascent.ask()
        ascent.tell(genomes, Evaluations(3.0 * genomes[:, 0]))
        return ascent.state_dict()["middle"] - before

    np.testing.assert_allclose(step(0.3), 0.02 * 3.0 / per_number)
    np.testing.assert_array_equal(step(0.05), 0.0)


@pytest.mark.parametrize("probes", ["central", "forward"])
def test_a_failed_probe_counts_as_far_below_the_worst_as_the_best_is_above(probes):
    def some_fail(genomes):
        fitness = linear(genomes)
        fitness[[1, 3]] = np.nan
        return fitness

    def some_are_low(genomes):
        fitness = linear(genomes)
        others = np.delete(fitness, [1, 3])
        fitness[[1, 3]] = 2.0 * others.min() - others.max()
        return fitness

    np.testing.assert_allclose(moved(make(probes=probes), some_fail), moved(make(probes=probes), some_are_low))


@every_scheme
@pytest.mark.parametrize("value", [lambda g: np.ones(len(g)), lambda g: 0.01 * g[:, 0]], ids=["constant", "rising"])
def test_the_search_leaves_a_region_where_probes_fail(probes, directions, value):
    ascent = make(np.array([0.3, 0.0, 1.0]), probes=probes, directions=directions, probe_step=0.05, rule="sgd")
    for _ in range(20):
        genomes = ascent.ask()
        ascent.tell(genomes, Evaluations(np.where(genomes[:, 0] > 0.0, np.nan, value(genomes))))
    assert ascent.middle[0] < 0.0


@every_scheme
def test_when_all_fail_it_goes_half_way_back_to_where_one_did_not(probes, directions):
    ascent = make(probes=probes, directions=directions, learning_rate=0.2)
    start = ascent.state_dict()["middle"]
    moved(ascent)
    away = ascent.state_dict()["middle"]
    for share in (0.5, 0.25, 0.125):
        moved(ascent, lambda genomes: np.full(len(genomes), np.nan))
        state = ascent.state_dict()
        np.testing.assert_allclose(state["middle"], start + share * (away - start))
        assert state["n_updates"] == 0
    assert moved(ascent) @ SLOPE > 0.0


def test_a_stored_search_along_coordinates_continues_bit_identically():
    straight, resumed = make(directions="coordinates"), make(CORNER, directions="coordinates")
    for _ in range(3):
        moved(straight)
    resumed.load_state_dict(straight.state_dict())
    for _ in range(3):
        np.testing.assert_array_equal(moved(resumed), moved(straight))


def test_a_constant_fitness_moves_nothing():
    ascent = make()
    for _ in range(3):
        np.testing.assert_array_equal(moved(ascent, lambda genomes: np.ones(len(genomes))), 0.0)
    assert ascent.diagnostics() == {"gradient": 0.0}


def test_an_optimum_beyond_the_bounds_is_met_on_them():
    ascent = make(learning_rate=0.1)
    for _ in range(30):
        genomes = ascent.ask()
        SPACE.check(genomes)
        ascent.tell(genomes, Evaluations(linear(genomes)))
    np.testing.assert_array_equal(ascent.middle, CORNER)
