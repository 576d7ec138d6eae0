"""Crossover and mutation of the genetic algorithm, from a population to its offspring."""

import dataclasses

import numpy as np
import pytest

from optim import Block, GAConfig, ParameterSpace
from optim.ga import breed, offspring

SPACE = ParameterSpace((Block("weight_pA", 6, -20.0, 20.0),))
MIXED = ParameterSpace(
    (
        Block("weight_pA", 2, -20.0, 20.0),
        Block("rate_hz", 2, 1e-3, 1e3, kind="log"),
        Block("n_hidden", 2, 3, 9, kind="integer"),
    )
)
COPY_ONLY = GAConfig(crossover_probability=0.0, mutation_probability=0.0, duplicate_mutation_probability=0.0)


def rng(seed=1):
    return np.random.default_rng(seed)


def constant_rows(n):
    return np.repeat(np.arange(float(n))[:, None], 6, axis=1)


def test_half_of_the_crossed_genes_lie_beyond_the_parents_at_alpha_one_half():
    population = np.tile([[0.0], [10.0]], (200, 6))
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, tournament_size=1)
    children, _ = breed(population, np.zeros(400), SPACE, config, rng())
    crossed = children[(children != 0.0) & (children != 10.0)]
    assert crossed.min() > -5.0
    assert crossed.max() < 15.0
    assert abs(((crossed < 0.0) | (crossed > 10.0)).mean() - 0.5) < 0.05


def test_mutation_starts_from_the_clipped_offspring_of_the_crossover():
    population = np.tile([[-20.0], [20.0]], (200, 6))
    config = GAConfig(
        tournament_size=1,
        crossover_probability=1.0,
        mutation_probability=1.0,
        mutation_sigma=1e-6,
        gene_probability=1.0,
    )
    children, _ = breed(population, np.zeros(400), SPACE, config, rng())
    # on a bound: noise outwards (1/2) of equal parents (1/2), or of genes blended beyond (1/2) of unequal ones (1/2)
    assert abs((np.abs(children) == 20.0).mean() - 0.375) < 0.04


def test_offspring_are_clipped_to_the_bounds():
    population = np.where(rng().random((40, 6)) < 0.5, -20.0, 20.0)
    children, _ = breed(population, np.arange(40.0), SPACE, GAConfig(mutation_sigma=30.0), rng(2))
    SPACE.check(children)
    assert (np.abs(children) == 20.0).any()


def test_genes_of_every_kind_are_blended_in_their_scaled_coordinates():
    low, high = np.array([-4.0, -4.0, 0.1, 0.1, 5.0, 5.0]), np.array([4.0, 4.0, 10.0, 10.0, 7.0, 7.0])
    population = np.tile([low, high], (2000, 1))
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, tournament_size=1)
    children, _ = breed(population, np.zeros(4000), MIXED, config, rng())
    MIXED.check(children)
    children = children[(children != low).any(axis=1) & (children != high).any(axis=1)]
    scaled = MIXED.scale(children)[:, :4] / MIXED.scale(high)[:4]  # parents at -1 and 1
    np.testing.assert_allclose(np.abs(scaled).max(axis=0), 2.0, rtol=0.01)  # half their distance beyond them
    np.testing.assert_allclose(scaled.std(axis=0), 2.0 / np.sqrt(3.0), rtol=0.05)
    counts = np.stack([(children[:, 4:] == value).mean(axis=0) for value in range(4, 9)])
    np.testing.assert_allclose(counts, np.repeat([[1 / 8], [1 / 4], [1 / 4], [1 / 4], [1 / 8]], 2, axis=1), atol=0.03)


def test_copies_of_genes_of_every_kind_are_bit_equal_and_keep_their_fitness():
    population = MIXED.sample(rng(), 300)
    children, inherited = breed(population, np.arange(300.0), MIXED, GAConfig(), rng(2))
    MIXED.check(children)
    kept = np.flatnonzero(~np.isnan(inherited))
    assert 10 < len(kept) < 60
    np.testing.assert_array_equal(children[kept], population[inherited[kept].astype(int)])


def test_whole_numbers_mutate_by_rounded_steps_and_duplicates_of_every_kind_are_mutated():
    population = np.tile([[0.0, 0.0, 1.0, 1.0, 6.0, 6.0]], (2000, 1))
    config = dataclasses.replace(COPY_ONLY, duplicate_mutation_probability=1.0, gene_probability=0.5)
    children, _ = breed(population, np.zeros(2000), MIXED, config, rng())
    MIXED.check(children)
    steps = children[:, 4:] - 6.0
    assert abs((steps == 0.0).mean() - (0.5 + 0.5 * 0.3829)) < 0.03  # not hit, or noise below one half
    np.testing.assert_allclose(np.log(children[:, 2:4]).std(axis=0), np.sqrt(0.5), rtol=0.07)
    assert (children == population[0]).all(axis=1).sum() < 100  # 0.5^4 · 0.69^2 = 0.03


def cross(parents, config, rng):
    """Children, before any mutation, of parents (n_parents - 1, n, n_params)."""
    space = ParameterSpace((Block("x", parents.shape[2], -1e4, 1e4),))
    rows, children = np.concatenate(parents), np.empty(parents.shape[1:])
    is_crossed = rng.random(len(children)) < config.crossover_probability
    rows_of = np.arange(len(rows)).reshape(parents.shape[:2])
    is_changed = offspring(rows, rows_of, is_crossed, np.zeros_like(is_crossed), space, config, rng, children)
    np.testing.assert_array_equal(is_changed, (children != parents[0]).any(axis=1))
    return children


def parents_of(children):
    """Which individuals of a population with the rows i, i, ..., i gave each child its genes, in order of genes."""
    return [list(dict.fromkeys(child.tolist())) for child in children]


@pytest.mark.parametrize("crossover", ["uniform", "one_point"])
@pytest.mark.parametrize("n_parents", [2, 3, 4])
def test_swapped_genes_come_from_as_many_parents_as_a_child_has(crossover, n_parents):
    parents = np.stack([constant_rows(200) + 1000.0 * k for k in range(n_parents - 1)])
    config = dataclasses.replace(COPY_ONLY, crossover=crossover, crossover_probability=1.0, n_parents=n_parents)
    found = parents_of(cross(parents, config, rng()))
    mate = np.arange(200) ^ 1
    for child, genes in enumerate(found):
        allowed = {child, mate[child], *(child + 1000 * k for k in range(1, n_parents - 1))}
        assert set(genes) <= allowed
    assert max(map(len, found)) == n_parents


@pytest.mark.parametrize("crossover", ["uniform", "one_point"])
def test_two_siblings_divide_the_genes_of_their_parents_between_them(crossover):
    config = dataclasses.replace(COPY_ONLY, crossover=crossover, crossover_probability=1.0)
    children = cross(constant_rows(100)[None], config, rng())
    np.testing.assert_array_equal(children[::2] + children[1::2], np.add.outer(4.0 * np.arange(50) + 1.0, np.zeros(6)))


def test_one_point_children_are_a_head_and_a_tail():
    config = dataclasses.replace(COPY_ONLY, crossover="one_point", crossover_probability=1.0)
    children = cross(constant_rows(100)[None], config, rng())
    assert ((children[:, 1:] != children[:, :-1]).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(children[:, 0], np.arange(100.0))


@pytest.mark.parametrize("n_parents", [2, 3, 5])
def test_arithmetic_children_lie_between_their_parents_and_the_last_one_counts_half_in_the_mean(n_parents):
    n = 4000
    parents = np.zeros((n_parents - 1, n, n_parents))  # gene k is the share of parent k
    parents[0, ::2, 0] = parents[0, 1::2, 1] = 1.0
    for k in range(1, n_parents - 1):
        parents[k, :, k + 1] = 1.0
    config = dataclasses.replace(COPY_ONLY, crossover="arithmetic", crossover_probability=1.0, n_parents=n_parents)
    shares = cross(parents, config, rng())
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    halvings = [2.0 ** -(n_parents - 1), *(2.0**-k for k in range(n_parents - 1, 0, -1))]
    np.testing.assert_allclose(shares.mean(axis=0), halvings, atol=0.02)


def test_without_crossover_a_child_is_its_first_parent_however_many_it_has():
    parents = SPACE.sample(rng(), 21).reshape(3, 7, 6)
    config = dataclasses.replace(COPY_ONLY, n_parents=4)
    np.testing.assert_array_equal(cross(parents, config, rng()), parents[0])


@pytest.mark.parametrize("n_parents", [2, 4])
def test_an_odd_last_child_is_a_copy(n_parents):
    parents = SPACE.sample(rng(), (n_parents - 1) * 5).reshape(-1, 5, 6)
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, n_parents=n_parents)
    children = cross(parents, config, rng())
    np.testing.assert_array_equal(children[4], parents[0, 4])
    assert (children[:4] != parents[0, :4]).any(axis=1).all()


def test_an_odd_last_offspring_is_not_crossed():
    population = SPACE.sample(rng(), 5)
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, tournament_size=1)
    children, inherited = breed(population, np.arange(5.0), SPACE, config, rng(3))
    is_copy = (population == children[:, None]).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(is_copy, ~np.isnan(inherited))
    assert is_copy.sum() == 1
