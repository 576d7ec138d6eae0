import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from optim.normals import box_muller
from optim.random_bits import coin, fill_words, make_lanes
from optim.variation import (
    CROSSOVERS,
    N_AT_ONCE,
    add_noise,
    combine,
    draw_points,
    fill_weights,
    settle,
    vary,
)

every_crossover = pytest.mark.parametrize("crossover", CROSSOVERS)
genes = arrays(np.float64, 6, elements=st.floats(-20, 20))
NO_WHOLE = np.zeros(0, dtype=bool)


def rng(seed=1):
    return np.random.default_rng(seed)


def weights(crossover, shape, alpha=0.5, seed=1):
    """Weights of `shape` (n, n_params), a row at a time."""
    n, n_params = shape
    lanes, words, g = make_lanes(rng(seed)), np.empty(-(-n_params // 256) * 128, dtype=np.uint64), np.empty(shape)
    points = draw_points(crossover, (n, 1), n_params, rng(seed))[:, 0]
    for row, point in zip(g, points, strict=True):
        fill_words(lanes, words)
        fill_weights(CROSSOVERS.index(crossover), alpha, point, 0, words.view(np.int32), row)
    return g


def combined(x, y, g):
    out = np.full_like(x, np.nan)
    combine(x, y, g, out)
    return out


@settings(derandomize=True, deadline=None)
@given(genes, genes, arrays(np.float64, 6, elements=st.floats(-0.5, 1.5)))
def test_combined_siblings_keep_the_midpoint_of_their_parents(x, y, g):
    first, second = combined(x, y, g), combined(y, x, g)
    np.testing.assert_allclose(first + second, x + y, atol=1e-12)
    np.testing.assert_allclose(first, (1 - g) * x + g * y, atol=1e-12)


@settings(derandomize=True, deadline=None)
@given(genes, genes, arrays(np.float64, 6, elements=st.sampled_from([0.0, 1.0])))
def test_a_gene_that_is_taken_whole_is_bit_equal_to_that_of_its_parent(x, y, g):
    np.testing.assert_array_equal(combined(x, y, g), np.where(g == 1.0, y, x))
    np.testing.assert_array_equal(combined(x, x, g - 0.3), x)


def test_blend_matches_the_published_formula_by_hand():
    x, y, g = np.array([0.0, 10.0, -4.0]), np.array([10.0, 20.0, 4.0]), np.empty(3)
    fill_weights(CROSSOVERS.index("blend"), 0.5, 0.0, 0, np.array([-(2**31), 0, 2**31 - 1], dtype=np.int32), g)
    np.testing.assert_allclose(g, [-0.5, 0.5, 1.5], atol=1e-9)
    np.testing.assert_allclose(combined(x, y, g), [-5.0, 15.0, 8.0], atol=1e-7)
    np.testing.assert_allclose(combined(y, x, g), [15.0, 15.0, -8.0], atol=1e-7)


def test_blend_weights_are_uniform_between_minus_alpha_and_one_plus_alpha():
    g = weights("blend", (400, 50), 0.25)
    assert -0.25 <= g.min() < -0.24
    assert 1.24 < g.max() <= 1.25
    assert abs(g.mean() - 0.5) < 0.01
    assert abs(g.var() - 1.5**2 / 12) < 0.01


def test_uniform_weights_are_independent_fair_coins():
    g = weights("uniform", (400, 50))
    assert set(g.ravel()) == {0.0, 1.0}
    assert abs(g.mean() - 0.5) < 0.015
    correlation = np.corrcoef(g.T)[~np.eye(50, dtype=bool)]
    assert np.abs(correlation).max() < 5.0 / np.sqrt(400)


def test_one_point_weights_cut_between_any_two_genes_alike():
    g = weights("one_point", (5000, 6))
    assert (np.diff(g, axis=1) >= 0.0).all()
    counts = np.bincount(g.sum(axis=1).astype(int), minlength=7)
    assert counts[0] == counts[6] == 0  # a gene of each parent at least
    assert chisquare(counts[1:6]).pvalue > 0.01


def test_a_cut_is_where_it_is_wherever_the_part_begins():
    g = np.empty(10)
    fill_weights(CROSSOVERS.index("one_point"), 0.0, 105.0, 100, np.zeros(10, dtype=np.int32), g)
    np.testing.assert_array_equal(g, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_arithmetic_weights_are_one_per_child():
    g = weights("arithmetic", (2000, 6))
    assert (np.ptp(g, axis=1) == 0.0).all()
    assert abs(g[:, 0].mean() - 0.5) < 0.03
    assert 0.0 <= g.min() < 0.01 < 0.99 < g.max() <= 1.0


@every_crossover
def test_a_genome_of_one_gene_can_be_crossed(crossover):
    assert np.isfinite(combined(np.zeros(1), np.ones(1), weights(crossover, (1, 1))[0])).all()


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, 6, elements=st.floats(-99, 99)), arrays(np.bool_, 6))
def test_genes_settle_at_the_nearest_point_of_the_box_and_on_whole_numbers_where_they_should(values, is_whole):
    low, high = np.array([-3.0, 0.0, 2.0, -50.0, 1.0, -99.0]), np.array([3.0, 50.0, 9.0, -40.0, 2.0, 99.0])
    inside, rounded = values.copy(), values.copy()
    settle(inside, low, high, NO_WHOLE)
    np.testing.assert_array_equal(inside, np.clip(values, low, high))
    settle(rounded, low, high, is_whole)
    np.testing.assert_array_equal(rounded, np.where(is_whole, np.clip(np.round(values), low, high), inside))


def test_noise_is_added_below_the_coin_only():
    values = np.array([1.0, 2.0, 3.0])
    add_noise(values, 5, 2.0, np.array([4, 5, -7], dtype=np.int32), np.array([10.0, 10.0, 0.5]))
    np.testing.assert_array_equal(values, [21.0, 2.0, 4.0])


def test_mutation_hits_at_the_gene_rate_with_the_given_spread():
    rows, wide, is_changed, yes = (
        np.zeros((200, 201)),
        np.full(201, 99.0),
        np.zeros(200, dtype=bool),
        np.ones(200, bool),
    )
    parents, points = np.arange(200)[None], np.zeros((1, 200))
    noise = (coin(0.45), 2.0, -wide, wide, NO_WHOLE, make_lanes(rng()))
    vary(rows.copy(), parents, points, ~yes, yes, 0, 0.5, *noise, rows, is_changed)
    assert is_changed.all()
    hit = rows[rows != 0.0]
    assert abs(hit.size / rows.size - 0.45) < 0.01
    assert abs(hit.std() - 2.0) < 0.05
    assert abs(hit.mean()) < 0.06
    assert abs(np.corrcoef((rows[:, 1:] != 0.0).ravel(), (rows[:, :-1] != 0.0).ravel())[0, 1]) < 0.02


def mutated(values, chance, sigma, lanes):
    m = (len(values) + 1) // 2
    words, coins = np.empty((2, -(-m // 128) * 128), dtype=np.uint64)
    normal = np.empty((2, m))
    fill_words(lanes, words)
    box_muller(words.view(np.int32), *normal, *np.empty((2, m)))
    fill_words(lanes, coins)
    is_hit = coins.view(np.int32)[: len(values)] < coin(chance)
    return np.where(is_hit, values + sigma * normal.ravel()[: len(values)], values)


@pytest.mark.parametrize("n_params", [1, 7, N_AT_ONCE, 2 * N_AT_ONCE + 77])
@pytest.mark.parametrize("n_parents", [2, 4])
@every_crossover
def test_the_kernel_equals_the_operators_one_after_the_other_on_the_same_bits(crossover, n_parents, n_params):
    kind, n = CROSSOVERS.index(crossover), 7
    population = rng(2).uniform(-1.0, 1.0, (6, n_params))
    parents = rng(3).integers(6, size=(n_parents - 1, n))
    points = draw_points(crossover, parents.shape, n_params, rng(4))
    is_crossed, is_mutated = np.arange(n) // 2 != 1, np.arange(n) % 3 != 1
    low, high = np.full(n_params, -0.9), np.full(n_params, 0.8)
    lanes, same = make_lanes(rng(5)), make_lanes(rng(5))
    out, is_changed = np.full((n, n_params), np.nan), np.ones(n, dtype=bool)
    noise = (coin(0.4), 0.3, low, high, NO_WHOLE, lanes)
    vary(population, parents, points, is_crossed, is_mutated, kind, 0.5, *noise, out, is_changed)

    expected = population[parents[0]]
    for i in range(0, n, 2):
        for start in range(0, n_params, N_AT_ONCE):
            part = slice(start, start + N_AT_ONCE)
            m = len(population[0, part])

            def drawn(point, start=start, m=m):
                words, g = np.empty(-(-m // 256) * 128, dtype=np.uint64), np.empty(m)
                fill_words(same, words)
                fill_weights(kind, 0.5, point, start, words.view(np.int32), g)
                return g

            if i + 1 < n and is_crossed[i]:
                pair, g = population[parents[0, i : i + 2], part], drawn(points[0, i])
                expected[i, part], expected[i + 1, part] = combined(*pair, g), combined(*pair[::-1], g)
                for k in range(1, n_parents - 1):
                    for child in (i, i + 1):
                        further = population[parents[k, child], part]
                        expected[child, part] = combined(expected[child, part], further, drawn(points[k, child]))
                expected[i : i + 2, part] = np.clip(expected[i : i + 2, part], -0.9, 0.8)
            for child in range(i, min(i + 2, n)):
                if is_mutated[child]:
                    expected[child, part] = np.clip(mutated(expected[child, part], 0.4, 0.3, same), -0.9, 0.8)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(is_changed, (expected != population[parents[0]]).any(axis=1))
    np.testing.assert_array_equal(lanes, same)


CODE = """
import sys; sys.path.insert(0, r'{root}')
import hashlib
import numpy as np
from optim import Block, DEConfig, DifferentialEvolution, Evaluations, GAConfig, GeneticAlgorithm
from optim import ParameterSpace, ParticleSwarm, PSOConfig
space = ParameterSpace((Block("a", 150, -2.0, 2.0), Block("b", 151, 1.0, 7.0)))
start = space.sample(np.random.default_rng(1), 7)
for search in (GeneticAlgorithm(space, GAConfig(n_parents=3), initial=start, seed=1),
               ParticleSwarm(space, PSOConfig(), initial=start, seed=1),
               DifferentialEvolution(space, DEConfig(mutation="rand-to-best/2"), initial=start, seed=1)):
    for _ in range(3):
        rows = search.ask()
        search.tell(rows, Evaluations(-(rows[:, ::50] ** 2).sum(axis=1)))
    print(hashlib.sha256(search.ask().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_a_seed_gives_the_same_bits_on_every_machine_compiled_or_not(run_python):
    from tests.conftest import ROOT

    outputs = set()
    for env in ({}, {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_DISABLE_JIT": "1"}):
        done = run_python("-W", "ignore::RuntimeWarning", "-c", CODE.format(root=ROOT), env=env)
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1
