import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize._differentialevolution import DifferentialEvolutionSolver
from scipy.stats import chisquare

from optim import Block, DEConfig, DifferentialEvolution, Evaluations, ParameterSpace
from optim.de import MUTATIONS, draw_others, make_trials, n_others
from optim.problems import sphere
from optim.random_bits import coin, fill_words, make_lanes

SPACE = ParameterSpace((Block("weight_pA", 4, -1.0, 1.0),))  # genes are their own unit coordinates
every_mutation = pytest.mark.parametrize("mutation", sorted(MUTATIONS))


def rng(seed=1):
    return np.random.default_rng(seed)


def make(n=8, seed=1, space=SPACE, **config):
    return DifferentialEvolution(space, DEConfig(**config), initial=space.sample(rng(4), n), seed=seed)


def tell(optimizer, fitness):
    """The state after telling this fitness, with the individuals and their trials apart."""
    optimizer.tell(optimizer.ask(), Evaluations(np.asarray(fitness, dtype=np.float64)))
    state = optimizer.state_dict()
    population, trials = np.split(state["contestants"], 2)
    return state | {"population": population, "trials": trials}


def trials_of(population, parts, probability=1.0, f=0.7, forced=0, low=-9.0, high=9.0, seed=1):
    """What the kernel makes of these rows, with the same bounds for every gene; the individuals are as they were."""
    n, n_params = len(parts), population.shape[1]
    out = np.full((2 * n, n_params), np.nan)
    box = (np.full(n_params, low), np.full(n_params, high))
    forced = np.broadcast_to(forced, n).astype(np.int64)
    make_trials(population, np.array(parts), forced, f, coin(probability), *box, make_lanes(rng(seed)), out)
    np.testing.assert_array_equal(out[:n], population[[row[0] for row in parts]])
    return out[n:]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mutation", "rand/3"),
        ("scale_factor", -0.1),
        ("scale_factor", 2.1),
        ("scale_factor", np.nan),
        ("crossover_probability", 1.1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"DEConfig\.{field}="):
        DEConfig(**{field: value})


@every_mutation
def test_the_smallest_population_has_just_the_others_that_a_donor_needs(mutation):
    n = n_others(mutation) + 1
    optimizer = make(n, mutation=mutation)
    tell(optimizer, np.arange(float(n)))
    optimizer.ask()
    with pytest.raises(ValueError, match=f"initial has {n - 1} individuals, but needs >= {n}"):
        make(n - 1, mutation=mutation)


@every_mutation
def test_donors_equal_the_formulas_of_scipy_on_the_same_individuals(mutation):
    x = rng().uniform(-1.0, 1.0, (9, 5))
    picks = np.array([rng(i).permutation(np.delete(np.arange(9), i))[:5] for i in range(9)])
    table = np.concatenate([np.arange(9)[None], np.zeros((1, 9), dtype=int), picks.T])
    parts = table[[0, *MUTATIONS[mutation]]].T
    scipy = object.__new__(DifferentialEvolutionSolver)
    scipy.population, scipy.scale = x, 0.7  # its best is row 0
    formulas = {
        "rand/1": lambda i, k: scipy._rand1(k),
        "rand/2": lambda i, k: scipy._rand2(k[[0, 1, 3, 2, 4]]),  # it adds the first two after the base
        "best/1": lambda i, k: scipy._best1(k),
        "best/2": lambda i, k: scipy._best2(k[[0, 2, 1, 3]]),
        "current-to-best/1": scipy._currenttobest1,
        "rand-to-best/2": lambda i, k: scipy._randtobest1(k) + 0.7 * (x[k[3]] - x[k[4]]),  # it has one difference only
    }
    expected = [formulas[mutation](i, row) for i, row in enumerate(picks)]
    np.testing.assert_allclose(trials_of(x, parts), expected, rtol=0, atol=1e-14)


@settings(derandomize=True, deadline=None)
@given(st.integers(2, 9), st.data())
def test_the_others_are_different_individuals_and_not_the_one_itself(n, data):
    others = draw_others(n, data.draw(st.integers(1, n - 1)), rng(n))
    for i, column in enumerate(others.T.tolist()):
        assert len({i, *column}) == len(column) + 1
        assert set(column) <= set(range(n))


def test_the_others_are_drawn_in_every_order_alike():
    drawn = np.stack([draw_others(4, 2, generator) for generator in [rng()] for _ in range(3000)])
    for i in range(4):
        pairs = drawn[:, 0, i] * 4 + drawn[:, 1, i]
        assert chisquare(np.unique(pairs, return_counts=True)[1]).pvalue > 0.01
        assert len(np.unique(pairs)) == 6


def test_a_trial_takes_one_forced_gene_of_its_donor_and_the_others_by_chance():
    rows = np.array([[0.0] * 5, [1.0] * 5])
    parts = np.tile([0, 1, 1, 1], (8000, 1))  # donors are ones
    gene = rng().integers(5, size=8000)
    forced = trials_of(rows, parts, 0.0, forced=gene)
    np.testing.assert_array_equal(forced, np.arange(5) == gene[:, None])
    np.testing.assert_array_equal(trials_of(rows, parts, 1.0), np.ones((8000, 5)))
    n_taken = np.bincount(trials_of(rows, parts, 0.3).sum(axis=1).astype(int), minlength=6)
    binomial = np.array([0.0, 0.2401, 0.4116, 0.2646, 0.0756, 0.0081])  # 1 + Binomial(4, 0.3)
    assert chisquare(n_taken[1:], 8000 * binomial[1:]).pvalue > 0.01


def test_every_gene_is_forced_alike():
    optimizer = make(4000, crossover_probability=0.0)
    state = tell(optimizer, np.zeros(4000))
    is_taken = state["trials"] != state["population"]
    np.testing.assert_array_equal(is_taken.sum(axis=1), 1)
    assert chisquare(is_taken.sum(axis=0)).pvalue > 0.01


@pytest.mark.parametrize("n_params", [1, 3, 2048, 5000])
@pytest.mark.parametrize("n_differences", [1, 2, 3])
def test_the_kernel_equals_the_formulas_on_the_same_random_bits(n_params, n_differences):
    rows = rng().uniform(-1.0, 1.0, (9, n_params))
    parts = rng(2).integers(9, size=(4, 2 + 2 * n_differences))
    forced = rng(3).integers(n_params, size=4)
    trials = trials_of(rows, parts, 0.6, 0.5, forced, -0.9, 0.8, seed=5)
    lanes, bits = make_lanes(rng(5)), np.empty((4, n_params))
    for i in range(4):
        for start in range(0, n_params, 2048):
            m = min(2048, n_params - start)
            words = np.empty(-(-m // 256) * 128, dtype=np.uint64)
            fill_words(lanes, words)
            bits[i, start : start + m] = words.view(np.int32)[:m]
    x, base, *pairs = rows[parts.T]
    difference = sum(plus - minus for plus, minus in zip(pairs[::2], pairs[1::2], strict=True))
    donors = np.clip(base + 0.5 * difference, -0.9, 0.8)
    is_donors = (bits < 0.6 * 2.0**32 - 2.0**31) | (np.arange(n_params) == forced[:, None])
    np.testing.assert_allclose(trials, np.where(is_donors, donors, x), rtol=0, atol=1e-15)


def test_without_differences_and_parents_genes_every_trial_is_the_best():
    optimizer = make(mutation="best/1", scale_factor=0.0, crossover_probability=1.0)
    best = optimizer.ask()[3].copy()
    state = tell(optimizer, [0, 1, np.nan, 9, 3, 4, 9, 8])  # the first of equals
    np.testing.assert_allclose(state["trials"], np.tile(best, (8, 1)), atol=1e-15)


@pytest.mark.parametrize(("reevaluate", "n_rows"), [(True, 16), (False, 8)])
def test_individuals_are_asked_first_and_then_their_trials_on_the_same_worlds_if_wanted(reevaluate, n_rows):
    optimizer = make(reevaluate=reevaluate)
    initial = optimizer.ask()
    assert len(initial) == 8
    tell(optimizer, np.arange(8.0))
    for _ in range(3):
        asked = optimizer.ask()
        assert len(asked) == n_rows
        if reevaluate:
            np.testing.assert_array_equal(asked[:8], optimizer.state_dict()["contestants"][:8])
        state = tell(optimizer, np.zeros(n_rows))
    np.testing.assert_array_equal(initial, make().ask())
    assert state["trials"].shape == (8, 4)


old_and_new = arrays(np.float64, (2, 8), elements=st.one_of(st.just(np.nan), st.integers(-3, 3).map(float)))


@pytest.mark.parametrize("reevaluate", [True, False])
@settings(derandomize=True, deadline=None)
@given(old_and_new)
def test_a_trial_replaces_its_individual_if_it_succeeded_and_is_not_worse(reevaluate, fitness):
    old, new = fitness
    optimizer = make(reevaluate=reevaluate)
    before = tell(optimizer, np.full(8, 99.0) if reevaluate else old)
    after = tell(optimizer, np.concatenate([old, new]) if reevaluate else new)
    for i in range(8):
        wins = not np.isnan(new[i]) and (np.isnan(old[i]) or new[i] >= old[i])
        np.testing.assert_array_equal(after["population"][i], before["trials" if wins else "population"][i])
        np.testing.assert_array_equal(after["fitness"][i], new[i] if wins else old[i])
    assert optimizer.diagnostics()["replaced"] == (after["population"] != before["population"]).any(axis=1).mean()


def test_a_lucky_score_lasts_for_one_generation_only_where_individuals_are_scored_again():
    for reevaluate, is_replaced in ((True, True), (False, False)):
        optimizer = make(reevaluate=reevaluate)
        before = tell(optimizer, [1e6, 0, 0, 0, 0, 0, 0, 0])
        after = tell(optimizer, np.concatenate([np.zeros(8), np.ones(8)]) if reevaluate else np.ones(8))
        assert (after["population"][0] != before["population"][0]).any() == is_replaced


@every_mutation
def test_if_all_failed_new_trials_are_made_from_the_same_individuals(mutation):
    optimizer = make(mutation=mutation)
    first = tell(optimizer, np.full(8, np.nan))
    second = tell(optimizer, np.full(16, np.nan))
    np.testing.assert_array_equal(second["population"], first["population"])
    assert (second["trials"] != first["trials"]).any()


def test_if_all_failed_anyone_stands_in_for_the_best():
    bases = set()
    for seed in range(60):
        optimizer = make(mutation="best/1", scale_factor=0.0, crossover_probability=1.0, seed=seed)
        state = tell(optimizer, np.full(8, np.nan))
        bases.add(int(np.flatnonzero((state["population"] == state["trials"][0]).all(axis=1))[0]))
    assert bases == set(range(8))


def by_the_book(population, fitness, f, cr, trials, generator):
    """One generation of rand/1/bin as in Storn and Price 1997, individual by individual, minimising."""
    n, n_params = population.shape
    for i in range(n):
        a, b, c = generator.choice(np.delete(np.arange(n), i), 3, replace=False)
        forced = generator.integers(n_params)
        trial = population[i].copy()
        for j in range(n_params):
            if j == forced or generator.random() < cr:
                trial[j] = population[a, j] + f * (population[b, j] - population[c, j])
        trials[i] = trial
    costs = (trials**2).sum(axis=1)
    for i in range(n):
        if costs[i] <= fitness[i]:
            population[i], fitness[i] = trials[i], costs[i]


def test_it_gains_as_much_per_generation_as_the_published_algorithm():
    def gain(seed):
        start = rng(seed).uniform(-1.0, 1.0, (20, 10))
        optimizer = DifferentialEvolution(
            ParameterSpace((Block("x", 10, -1.0, 1.0),)), DEConfig(reevaluate=False), initial=start, seed=seed
        )
        population, costs, generator = start.copy(), (start**2).sum(axis=1), rng(seed + 1000)
        trials = np.empty_like(population)
        for _ in range(60):
            optimizer.tell(optimizer.ask(), Evaluations(sphere(optimizer.ask())))
            by_the_book(population, costs, 0.5, 0.9, trials, generator)
        optimizer.tell(optimizer.ask(), Evaluations(sphere(optimizer.ask())))
        return np.log10(-np.max(optimizer.state_dict()["fitness"])), np.log10(costs.min())

    ours, theirs = np.array([gain(seed) for seed in range(15)]).T
    error = np.sqrt(ours.var() / 15 + theirs.var() / 15)
    assert ours.mean() < -2.0
    assert abs(ours.mean() - theirs.mean()) < 3.0 * error


def test_trials_come_back_as_their_block_says_and_whole_numbers_are_rounded_for_evaluation_only():
    space = ParameterSpace(
        (
            Block("clipped", 3, -1.0, 1.0),
            Block("reflected", 3, -1.0, 1.0, bounds="reflect"),
            Block("n_levels", 3, 1, 4, kind="integer"),
        )
    )
    optimizer = make(12, space=space, scale_factor=1.3, crossover_probability=1.0)
    trials = tell(optimizer, np.arange(12.0))["trials"]
    space.check(optimizer.ask())
    assert (np.abs(trials) <= 1.0).all()
    assert (np.abs(trials[:, :3]) == 1.0).mean() > 0.2
    assert (np.abs(trials[:, 3:6]) < 1.0).all()
    assert len(np.unique(trials[:, 6:])) > 8  # positions between those of the four numbers
    assert set(optimizer.ask()[:, 6:].ravel()) == {1.0, 2.0, 3.0, 4.0}


@every_mutation
def test_equal_individuals_have_converged(mutation):
    rows = np.tile(SPACE.sample(rng(), 1), (8, 1))
    optimizer = DifferentialEvolution(SPACE, DEConfig(mutation=mutation), initial=rows, seed=1)
    assert optimizer.stop().keys() == {"converged"}
    state = tell(optimizer, np.arange(8.0))
    np.testing.assert_array_equal(state["trials"], state["population"])
    assert not make(mutation=mutation).stop()


def test_the_diagnostics_are_the_spread_in_units_of_half_the_box_and_the_share_replaced():
    rows = np.repeat([[-0.5], [0.5], [-0.5], [0.5]], 4, axis=1)
    optimizer = DifferentialEvolution(SPACE, DEConfig(), initial=rows, seed=1)
    assert optimizer.diagnostics() == pytest.approx({"spread": 0.5, "replaced": 0.0})
    tell(optimizer, np.zeros(4))
    tell(optimizer, [0, 0, 0, 0, 1, 1, 1, -1])
    assert optimizer.diagnostics()["replaced"] == 0.75
