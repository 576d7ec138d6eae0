import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from optim import Block, CoSyNE, CoSyNEConfig, Evaluations, ParameterSpace
from optim.cosyne import make_children, permute_marked

SPACE = ParameterSpace((Block("weight_pA", 6, -1.0, 1.0),))  # genes are their own unit coordinates
MIXED = ParameterSpace((Block("rate_hz", 2, 1e-3, 1e3, kind="log"), Block("n_hidden", 3, 1, 9, kind="integer")))
scores = st.one_of(st.just(np.nan), st.floats(-100, 100))


def rng(seed=1):
    return np.random.default_rng(seed)


def make(n=12, seed=1, space=SPACE, **config):
    return CoSyNE(space, CoSyNEConfig(**config), initial=space.sample(rng(4), n), seed=seed)


def score(cosyne, fitness):
    """Tell everyone's fitness; the population before and after, in unit coordinates."""
    before = cosyne.state_dict()["population"]
    cosyne.tell(cosyne.ask(), Evaluations(np.asarray(fitness, dtype=np.float64)))
    return before, cosyne.state_dict()["population"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("child_fraction", 0.0),
        ("child_fraction", 1.0),
        ("parent_fraction", 0.0),
        ("parent_fraction", 1.1),
        ("mutation_probability", -0.1),
        ("mutation_probability", np.nan),
        ("mutation_scale", 0.0),
        ("mutation_scale", np.inf),
        ("marking", "fitness"),
        ("n_elite", -1),
        ("n_elite", 1.5),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"CoSyNEConfig\.{field}="):
        CoSyNEConfig(**{field: value})


@pytest.mark.parametrize(("n", "settings"), [(1, {}), (4, {"child_fraction": 0.9}), (6, {"n_elite": 4})])
def test_a_population_without_room_for_children_and_elite_is_refused(n, settings):
    with pytest.raises(ValueError, match=rf"initial has {n} individuals, but needs >= 2, and room for \d children"):
        make(n, **settings)


@settings(derandomize=True, deadline=None)
@given(
    arrays(np.float64, (5, 4), elements=st.floats(-1, 1)),
    arrays(np.float64, 5, elements=st.sampled_from([0.0, 0.3, 1.0])),
    st.integers(0, 1000),
)
def test_a_permutation_keeps_the_multiset_of_every_column_and_every_row_that_is_not_marked(columns, probability, seed):
    permuted = permute_marked(columns, probability, rng(seed))
    np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(columns, axis=0))
    np.testing.assert_array_equal(permuted[probability == 0.0], columns[probability == 0.0])


def test_marked_entries_of_a_column_are_put_in_every_order_alike_and_columns_independently():
    columns = np.repeat(np.arange(4.0)[:, None], 6000, axis=1)
    permuted = permute_marked(columns, np.array([1.0, 0.0, 1.0, 1.0]), rng())
    np.testing.assert_array_equal(permuted[1], 1.0)
    orders, counts = np.unique(permuted[[0, 2, 3]], axis=1, return_counts=True)
    assert orders.shape == (3, 6)
    assert chisquare(counts).pvalue > 0.01
    assert abs(np.corrcoef(permuted[0, :-1], permuted[0, 1:])[0, 1]) < 4 / np.sqrt(6000)


def test_a_permutation_of_no_rows_is_possible():
    assert permute_marked(np.empty((0, 3)), np.empty(0), rng()).shape == (0, 3)


@pytest.mark.parametrize("marking", ["all", "rank"])
@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, 12, elements=scores), st.integers(0, 2), st.integers(0, 100))
def test_every_gene_of_those_that_are_not_children_stays_in_its_column(marking, fitness, n_elite, seed):
    cosyne = make(marking=marking, n_elite=n_elite, child_fraction=1 / 3, seed=seed)
    before, after = score(cosyne, fitness)
    if np.isnan(fitness).all():
        return  # who is replaced is random
    survivors = np.argsort(-fitness, kind="stable")[:8]
    np.testing.assert_array_equal(np.sort(after[:8], axis=0), np.sort(before[survivors], axis=0))
    n_elite = min(n_elite, int((~np.isnan(fitness)).sum()))
    np.testing.assert_array_equal(after[:n_elite], before[survivors[:n_elite]])


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, 12, elements=scores, unique=True), st.integers(0, 1000))
def test_marking_by_rank_never_moves_the_best_row(fitness, seed):
    before, after = score(make(marking="rank", seed=seed), fitness)
    if not np.isnan(fitness).all():
        np.testing.assert_array_equal(after[0], before[np.nanargmax(fitness)])


def test_marking_all_takes_the_best_row_apart_unless_it_is_elite():
    for n_elite, is_kept in ((0, False), (1, True)):
        before, after = score(make(marking="all", n_elite=n_elite), np.arange(12.0))
        assert (after == before[11]).all(axis=1).any() == is_kept


def test_a_failed_individual_is_never_elite():
    fitness = np.where(np.arange(12) == 4, 1.0, np.nan)
    before, after = score(make(marking="all", n_elite=3), fitness)
    np.testing.assert_array_equal(after[0], before[4])
    assert not (after[1:6, None] == before).all(axis=2).any()


def test_an_entry_is_marked_with_the_published_probability_of_its_rank():
    space = ParameterSpace((Block("w", 4, -1.0, 1.0),))
    moved = np.zeros(10)
    n = 4000
    for seed in range(n):
        cosyne = CoSyNE(space, CoSyNEConfig(), initial=np.repeat(np.linspace(-1, 1, 20)[:, None], 4, axis=1), seed=seed)
        before, after = score(cosyne, np.arange(20.0, 0.0, -1.0))
        moved += (after[:10] != before[:10]).mean(axis=1)
    p = 1.0 - np.linspace(1.0, 0.0, 10) ** 0.25
    # a marked entry stays if it is drawn for its own place, which it is for 1 in k when k are marked
    k_others = np.zeros((10, 10))  # P(k others are marked), by the product of the generating polynomials
    for row in range(10):
        polynomial = np.array([1.0])
        for other in np.delete(p, row):
            polynomial = np.convolve(polynomial, [1.0 - other, other])
        k_others[row] = polynomial
    expected = p * (k_others * (1.0 - 1.0 / np.arange(1, 11))).sum(axis=1)
    np.testing.assert_allclose(moved / n, expected, atol=5 * 0.5 / np.sqrt(4 * n))
    assert moved[0] == 0.0


def test_children_are_made_of_two_different_parents_each_and_siblings_share_them():
    parents = np.repeat(np.arange(5.0)[:, None], 40, axis=1)
    children = make_children(parents, 300, CoSyNEConfig(mutation_probability=0.0), rng())
    families = [tuple(sorted(set(child))) for child in children.tolist()]
    assert families[::2] == families[1::2]
    assert {len(family) for family in families} == {2}
    counts = [families[::2].count((float(i), float(j))) for i in range(5) for j in range(i + 1, 5)]
    assert chisquare(counts).pvalue > 0.01
    is_higher = children == children.max(axis=1, keepdims=True)
    assert abs(is_higher.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(is_higher[::2].ravel(), is_higher[1::2].ravel())[0, 1]) < 0.06


@pytest.mark.parametrize("n_children", [1, 3])
def test_the_last_of_an_odd_number_of_children_has_no_sibling(n_children):
    assert make_children(SPACE.sample(rng(), 4), n_children, CoSyNEConfig(), rng()).shape == (n_children, 6)


def test_a_single_parent_has_mutated_copies():
    children = make_children(np.full((1, 500), 0.25), 20, CoSyNEConfig(mutation_probability=0.2), rng())
    assert abs((children != 0.25).mean() - 0.2) < 0.02


def test_mutation_noise_has_the_quartiles_of_a_cauchy_distribution():
    config = CoSyNEConfig(mutation_probability=1.0, mutation_scale=0.3)
    noise = make_children(np.zeros((2, 5000)), 4, config, rng())
    for quantile, probability in ((-0.3, 0.25), (0.0, 0.5), (0.3, 0.75), (0.3 * np.tan(0.45 * np.pi), 0.95)):
        assert abs((noise < quantile).mean() - probability) < 0.012


def test_only_the_best_quarter_of_those_that_did_not_fail_have_children():
    rows = np.repeat(np.linspace(-1.0, 1.0, 12)[:, None], 6, axis=1)
    fitness = np.where(np.arange(12) % 2, np.arange(12.0), np.nan)  # 11, 9, 7 are the best
    used = set()
    for seed in range(40):
        cosyne = CoSyNE(SPACE, CoSyNEConfig(mutation_probability=0.0), initial=rows, seed=seed)
        _, after = score(cosyne, fitness)
        used |= set(after[6:].ravel())
    assert used == set(cosyne._space.to_unit(rows)[[11, 9, 7], 0])


def test_fewer_survivors_than_parents_are_the_only_parents():
    fitness = np.full(12, np.nan)
    fitness[5] = 1.0
    before, after = score(make(mutation_probability=0.0), fitness)
    np.testing.assert_array_equal(after[6:], np.tile(before[5], (6, 1)))


def test_if_all_failed_anyone_may_be_replaced():
    replaced = set()
    for seed in range(60):
        before, after = score(make(marking="rank", mutation_probability=0.0, seed=seed), np.full(12, np.nan))
        replaced |= {i for i in range(12) if not np.isin(before[i], after).any()}
    assert replaced == set(range(12))


def test_children_and_permuted_rows_keep_to_bounds_and_kinds():
    cosyne = make(space=MIXED, mutation_probability=1.0, mutation_scale=5.0)
    for _ in range(10):
        genomes = cosyne.ask()
        MIXED.check(genomes)
        cosyne.tell(genomes, Evaluations(genomes.sum(axis=1)))
    assert (np.abs(cosyne.state_dict()["population"]) <= 1.0).all()


@pytest.mark.parametrize("marking", ["all", "rank"])
def test_equal_individuals_without_mutation_have_converged(marking):
    rows = np.tile(SPACE.sample(rng(), 1), (8, 1))
    stuck = CoSyNE(SPACE, CoSyNEConfig(marking=marking, mutation_probability=0.0), initial=rows, seed=1)
    assert stuck.stop().keys() == {"converged"}
    before, after = score(stuck, np.arange(8.0))
    np.testing.assert_array_equal(after, before)
    assert not CoSyNE(SPACE, CoSyNEConfig(), initial=rows, seed=1).stop()
    assert not make(mutation_probability=0.0).stop()


def test_the_diagnostics_are_the_spread_and_the_share_of_genes_that_moved():
    cosyne = CoSyNE(SPACE, CoSyNEConfig(marking="all"), initial=np.repeat([[-0.5], [0.5]], 6, axis=1), seed=1)
    assert cosyne.diagnostics() == pytest.approx({"spread": 0.5, "permuted": 0.0})
    cosyne = make(40, marking="all")
    before, after = score(cosyne, np.arange(40.0, 0.0, -1.0))
    assert cosyne.diagnostics()["permuted"] == (after[:20] != before[:20]).sum() / 240
