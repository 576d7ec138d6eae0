import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.aco import ACOConfig, ContinuousAntColony, mean_distances, rank_weights

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
START = SPACE.sample(np.random.default_rng(0), 12)


def make(initial=START, seed=1, **settings):
    return ContinuousAntColony(SPACE, ACOConfig(**settings), initial=initial, seed=seed)


@pytest.mark.parametrize(
    ("field", "value"), [("archive_size", 1), ("archive_size", 2.5), ("q", 0.0), ("xi", np.inf), ("xi", -1.0)]
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"ACOConfig\.{field}="):
        ACOConfig(**{field: value})


def test_a_colony_without_ants_is_refused():
    with pytest.raises(ValueError, match="no ants"):
        make(START[:0])


def test_rank_weights_are_those_of_the_paper():
    k, q = 6, 0.3
    rank = np.arange(1, k + 1)
    omega = np.exp(-((rank - 1) ** 2) / (2 * q**2 * k**2)) / (q * k * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(rank_weights(k, q * k), omega / omega.sum())
    np.testing.assert_array_equal(rank_weights(4, 1e-9), [1.0, 0.0, 0.0, 0.0])


def test_mean_distances_equal_the_sum_written_out():
    archive = np.random.default_rng(1).standard_normal((5, 3))
    chosen = np.array([4, 0, 4])
    expected = [[sum(abs(other[i] - archive[row][i]) for other in archive) / 4 for i in range(3)] for row in chosen]
    np.testing.assert_allclose(mean_distances(archive, chosen), expected)


def test_ants_are_drawn_around_the_chosen_solution_with_its_width():
    initial = np.tile(START[:1], (20_000, 1))
    initial[:2] = [[0.0, 4.0, 4.0], [2.0, 0.0, 4.6]]
    colony = make(initial, archive_size=2, q=1e-6, xi=0.5)
    fitness = np.full(20_000, -1.0)
    fitness[:2] = [2.0, 1.0]
    colony.tell(colony.ask(), Evaluations(fitness))
    ants = colony.ask()
    np.testing.assert_allclose(ants.mean(axis=0), [0.0, 4.0, 4.0], atol=0.06)
    np.testing.assert_allclose(ants.std(axis=0), 0.5 * np.array([2.0, 4.0, 0.6]), rtol=0.03)


def test_the_archive_holds_the_best_of_all_ants_best_first_and_none_that_failed():
    colony = make(archive_size=10)
    rng = np.random.default_rng(3)
    rows, values = [], []
    for _ in range(4):
        fitness = np.where(rng.random(12) < 0.5, np.nan, rng.integers(0, 8, 12))  # with ties: the older one is first
        rows.append(colony.state_dict()["population"])
        values.append(fitness)
        colony.tell(colony.ask(), Evaluations(fitness))
    rows, values = np.concatenate(rows), np.concatenate(values)
    best = sorted((i for i in range(48) if not np.isnan(values[i])), key=lambda i: (-values[i], i))[:10]
    np.testing.assert_array_equal(colony.state_dict()["archive_fitness"], values[best])
    np.testing.assert_array_equal(colony.state_dict()["archive"], rows[best])


@pytest.mark.parametrize("n_successes", [0, 1])
def test_with_fewer_than_two_solutions_ants_are_drawn_in_the_box(n_successes):
    colony = make(np.tile(START, (100, 1)))
    fitness = np.full(1200, np.nan)
    fitness[:n_successes] = 1.0
    colony.tell(colony.ask(), Evaluations(fitness))
    np.testing.assert_allclose(colony.ask().std(axis=0), np.array([40.0, 40.0, 6.0]) / np.sqrt(12.0), rtol=0.1)
    assert colony.diagnostics() == {"spread": 0.0}
    assert not colony.stop()


def test_an_archive_in_one_point_has_converged():
    colony = make(archive_size=8)
    while not colony.stop():
        genomes = colony.ask()
        colony.tell(genomes, Evaluations(-((genomes - 2.0) ** 2).sum(axis=1)))
        assert colony.generation < 500
    assert "converged" in colony.stop()
    np.testing.assert_allclose(colony.ask(), 2.0, atol=1e-6)
    assert colony.diagnostics()["spread"] < 1e-12
