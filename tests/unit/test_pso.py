import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.problems import rastrigin
from optim.pso import ParticleSwarm, PSOConfig, fly
from optim.random_bits import fill_words, make_lanes

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
MIXED = ParameterSpace((Block("n", 2, -20, 20, kind="integer"), Block("x", 1, 1.0, 7.0, bounds="reflect")))
HALF = np.array([20.0, 20.0, 3.0])
START = SPACE.sample(np.random.default_rng(0), 8)


def make(initial=START, seed=1, space=SPACE, **settings):
    return ParticleSwarm(space, PSOConfig(**settings), initial=initial, seed=seed)


def told(swarm, fitness):
    """The state before and after telling this fitness."""
    before = swarm.state_dict()
    swarm.tell(swarm.ask(), Evaluations(fitness))
    return before, swarm.state_dict()


def velocity(state):
    return state["position"] - state["previous"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("inertia", 1.0), ("inertia", -0.1), ("cognitive", -1.0), ("social", np.inf), ("max_velocity", 0.0)],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"PSOConfig\.{field}="):
        PSOConfig(**{field: value})


def test_a_swarm_of_one_is_refused():
    with pytest.raises(ValueError, match="initial has 1 particles"):
        make(START[:1])


def test_the_defaults_are_the_constriction_coefficients():
    phi = 4.1  # two pulls of 2.05
    chi = 2.0 / (phi - 2.0 + np.sqrt(phi**2 - 4.0 * phi))
    config = PSOConfig()
    assert config.inertia == pytest.approx(chi, abs=1e-4)
    assert config.cognitive == config.social == pytest.approx(2.05 * chi, abs=1e-4)


def test_without_pulls_particles_fly_straight_and_slow_down():
    swarm = make(inertia=0.5, cognitive=0.0, social=0.0)
    before, after = told(swarm, np.arange(8.0))
    np.testing.assert_allclose(velocity(after), 0.5 * velocity(before))
    np.testing.assert_allclose(after["position"], before["position"] + 0.5 * velocity(before))


def test_velocities_begin_half_way_to_a_point_of_the_box_and_at_most_at_the_largest():
    swarm = make(np.tile(START[:1], (4000, 1)), max_velocity=9.0)
    start = swarm.state_dict()
    aim = start["position"] + 2.0 * velocity(start)
    assert (np.abs(aim - [0.0, 0.0, 4.0]) <= HALF + 1e-9).all()
    np.testing.assert_allclose(aim.std(axis=0), HALF / np.sqrt(3.0), rtol=0.05)
    slow = make(np.tile(START[:1], (4000, 1)), max_velocity=0.1).state_dict()
    np.testing.assert_allclose(np.abs(velocity(slow)).max(axis=0), 0.1 * HALF)


def test_the_social_pull_is_a_random_part_of_the_way_to_the_leader_per_gene():
    swarm = make(np.tile(START, (500, 1)), inertia=0.0, cognitive=0.0, social=0.9, max_velocity=9.0)
    fitness = np.zeros(4000)
    fitness[3] = 1.0
    before, after = told(swarm, fitness)
    others = (START[3] != START).all(axis=1).nonzero()[0]
    rows = np.concatenate([others + 8 * copy for copy in range(500)])
    way = before["position"][3] - before["position"][rows]
    share = (after["position"][rows] - before["position"][rows]) / way
    assert share.min() >= 0.0
    assert share.max() <= 0.9
    np.testing.assert_allclose(share.mean(axis=0), 0.45, atol=0.02)
    assert np.corrcoef(share.T)[0, 1] == pytest.approx(0.0, abs=0.07)


def test_the_cognitive_pull_goes_to_a_particles_own_best():
    swarm = make(inertia=0.9, cognitive=0.0, social=0.0)
    told(swarm, np.arange(8.0))
    before = swarm.state_dict()
    pulled = make(inertia=0.0, cognitive=0.5, social=0.0)
    pulled.load_state_dict(before)
    pulled.tell(pulled.ask(), Evaluations(np.full(8, -1.0)))  # worse than in the first generation
    way = before["best_position"] - before["position"]
    share = (pulled.state_dict()["position"] - before["position"]) / way
    np.testing.assert_allclose(before["best_position"], START)
    assert share.min() >= 0.0
    assert share.max() <= 0.5


@pytest.mark.parametrize(("space", "half"), [(SPACE, HALF), (MIXED, 1.0)])
def test_no_gene_moves_faster_than_the_largest_velocity(space, half):
    swarm = make(space.sample(np.random.default_rng(0), 8), space=space, max_velocity=0.1)
    for _ in range(20):
        before, after = told(swarm, np.random.default_rng(0).random(8))
        assert (np.abs(velocity(before)) <= 0.1 * half + 1e-12).all()
        assert (np.abs(after["position"] - before["position"]) <= 0.1 * half + 1e-12).all()


@pytest.mark.parametrize("space", [SPACE, MIXED])
def test_a_particle_at_a_bound_keeps_the_velocity_of_the_way_it_went(space):
    swarm = make(space.sample(np.random.default_rng(0), 8), space=space)
    for _ in range(10):
        genomes = swarm.ask()
        before, after = told(swarm, genomes.sum(axis=1))
        np.testing.assert_array_equal(after["previous"], before["position"])
    assert np.abs(space.to_unit(swarm.ask())[:, :2]).max() >= 1.0 - 1.0 / 40.0  # a whole number has half a step more


def test_positions_of_plain_genes_are_what_is_asked():
    swarm = make()
    told(swarm, np.arange(8.0))
    np.testing.assert_array_equal(swarm.ask(), swarm.state_dict()["position"])


@pytest.mark.parametrize("n_params", [1, 5, 2048, 5000])
def test_the_kernel_equals_the_published_equations_on_the_same_random_numbers(n_params):
    rng = np.random.default_rng(3)
    position, previous, best = rng.uniform(-1.0, 1.0, (3, 4, n_params))
    leader, reach = rng.uniform(-1.0, 1.0, n_params), rng.uniform(0.1, 0.5, n_params)
    low, high = np.full(n_params, -0.9), np.full(n_params, 0.8)
    is_best = np.array([False, True, False, True])
    lanes, same = make_lanes(np.random.default_rng(5)), make_lanes(np.random.default_rng(5))
    out, new_best = np.empty_like(position), best.copy()
    fly(position, previous, new_best, is_best, leader, 0.7, 1.5, 1.2, reach, low, high, lanes, out)

    own, common = np.empty((2, 4, n_params))
    for i in range(4):
        for start in range(0, n_params, 2048):
            m = min(2048, n_params - start)
            words = np.empty(-(-m // 128) * 128, dtype=np.uint64)
            fill_words(same, words)
            own[i, start : start + m], common[i, start : start + m] = (
                words.view(np.int32)[: 2 * m].reshape(2, m) / 2.0**32 + 0.5
            )
    best = np.where(is_best[:, None], position, best)
    velocity = 0.7 * (position - previous) + 1.5 * own * (best - position) + 1.2 * common * (leader - position)
    expected = np.clip(position + np.clip(velocity, -reach, reach), low, high)
    np.testing.assert_array_equal(new_best, best)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(lanes, same)


def test_best_positions_are_the_best_of_each_particle_and_never_where_it_failed():
    swarm = make()
    seen, values = [], []
    rng = np.random.default_rng(2)
    for _ in range(15):
        fitness = np.where(rng.random(8) < 0.4, np.nan, rng.random(8))
        before, after = told(swarm, fitness)
        seen.append(before["position"])
        values.append(np.where(np.isnan(fitness), -np.inf, fitness))
    best = np.argmax(values, axis=0)
    np.testing.assert_array_equal(after["best_fitness"], np.max(values, axis=0))
    np.testing.assert_array_equal(after["best_position"], np.array(seen)[best, np.arange(8)])


def test_as_long_as_all_fail_the_swarm_is_drawn_anew_in_the_box():
    swarm = make(np.tile(START[:1], (400, 1)))
    _, after = told(swarm, np.full(400, np.nan))
    genomes = swarm.ask()
    np.testing.assert_allclose(genomes.std(axis=0), np.array([40.0, 40.0, 6.0]) / np.sqrt(12.0), rtol=0.1)
    assert np.isnan(after["best_fitness"]).all()


def test_a_swarm_that_is_drawn_anew_keeps_its_velocities():
    swarm = make()
    before, after = told(swarm, np.full(8, np.nan))
    np.testing.assert_allclose(velocity(after), velocity(before), rtol=1e-12, atol=1e-12)


def test_a_particle_that_always_failed_is_pulled_by_the_others_only():
    swarm = make(inertia=0.0, cognitive=1.0, social=0.0)
    fitness = np.arange(8.0)
    fitness[0] = np.nan
    for _ in range(3):
        before, after = told(swarm, fitness)
        np.testing.assert_array_equal(after["position"][0], before["position"][0])


def test_a_swarm_at_rest_in_one_point_has_converged():
    swarm = make(inertia=0.2, cognitive=0.5, social=0.5)
    while not swarm.stop():
        genomes = swarm.ask()
        swarm.tell(genomes, Evaluations(-((genomes - 2.0) ** 2).sum(axis=1)))
        assert swarm.generation < 500
    assert "converged" in swarm.stop()
    assert np.ptp(swarm.ask(), axis=0).max() < 1e-10


@pytest.mark.parametrize("seed", range(5))
def test_the_highest_of_a_hundred_maxima_is_found(seed):
    space = ParameterSpace((Block("x", 2, -5.12, 5.12),))
    swarm = make(space.sample(np.random.default_rng(seed), 40), seed, space)
    best = -np.inf
    for _ in range(60):
        genomes = swarm.ask()
        fitness = rastrigin(genomes)
        best = max(best, fitness.max())
        swarm.tell(genomes, Evaluations(fitness))
    assert best > -0.1  # the next best maximum is -0.995
