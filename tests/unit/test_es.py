import numpy as np
import pytest

from optim import Block, ESConfig, Evaluations, EvolutionStrategy, ParameterSpace
from optim.es import search_gradient

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
X0 = np.array([0.0, 10.0, 4.0])


def make(x0=X0, population_size=8, seed=1, **settings):
    return EvolutionStrategy(SPACE, ESConfig(**settings), x0=x0, population_size=population_size, seed=seed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma", 0.0),
        ("learning_rate", -1.0),
        ("adam_epsilon", np.nan),
        ("adam_beta1", 1.0),
        ("adam_beta2", -0.1),
        ("weight_decay", -1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"ESConfig\.{field}="):
        ESConfig(**{field: value})


@pytest.mark.parametrize(("mirrored", "population_size"), [(True, 7), (True, 0), (False, 1)])
def test_an_impossible_population_size_is_refused(mirrored, population_size):
    with pytest.raises(ValueError, match=f"population_size={population_size} must be an integer >= 2"):
        make(population_size=population_size, mirrored=mirrored)


def test_a_start_outside_the_bounds_is_refused():
    with pytest.raises(ValueError, match="delay_ms"):
        make(x0=np.array([0.0, 0.0, 8.0]))


def test_search_gradient_matches_a_hand_computed_linear_case():
    perturbations = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    fitness = perturbations @ [2.0, 1.0]  # ranks 1/2, 1/6, -1/2, -1/6
    np.testing.assert_allclose(search_gradient(fitness, perturbations, 0.5, mirrored=False), [0.5, 1 / 6])


def test_the_mirrored_gradient_is_that_of_both_signs_written_out():
    noise = np.random.default_rng(1).standard_normal((5, 3))
    fitness = np.random.default_rng(2).standard_normal(10)
    both = search_gradient(fitness, np.concatenate([noise, -noise]), 0.5, mirrored=False)
    np.testing.assert_allclose(search_gradient(fitness, noise, 0.5, mirrored=True), both)


def test_search_gradient_points_along_a_linear_fitness():
    slope = np.array([1.0, -2.0, 0.5, 0.0])
    perturbations = np.random.default_rng(1).standard_normal((20_000, 4))
    gradient = search_gradient(perturbations @ slope, perturbations, 0.1, mirrored=False)
    cosine = gradient @ slope / np.linalg.norm(gradient) / np.linalg.norm(slope)
    assert cosine > 0.999


def test_mirrored_candidates_lie_sigma_around_the_mean():
    candidates = make(population_size=4000).ask()
    first, second = np.split(candidates, 2)
    np.testing.assert_allclose(0.5 * (first + second), np.tile(X0, (2000, 1)), atol=1e-12)
    np.testing.assert_allclose(candidates.std(axis=0), 0.1 * np.array([20.0, 20.0, 3.0]), rtol=0.05)


def test_the_first_step_on_a_linear_fitness_is_the_learning_rate_per_gene():
    strategy = make(population_size=400)
    genomes = strategy.ask()
    strategy.tell(genomes, Evaluations(genomes @ [1.0, -1.0, 5.0]))
    np.testing.assert_allclose(strategy.mean, X0 + 0.05 * np.array([20.0, -20.0, 3.0]), rtol=1e-6)


def test_failed_candidates_share_the_lowest_rank_in_the_gradient():
    perturbations = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    fitness = np.array([np.nan, 8.0, 7.0, np.nan])  # ranks -1/3, 1/2, 1/6, -1/3
    np.testing.assert_allclose(search_gradient(fitness, perturbations, 0.5, mirrored=False), [-0.25, 5 / 12])


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_mean_leaves_a_region_where_candidates_fail(mirrored):
    strategy = make(x0=np.array([0.5, 10.0, 4.0]), mirrored=mirrored, population_size=20)
    for _ in range(20):
        genomes = strategy.ask()
        strategy.tell(genomes, Evaluations(np.where(genomes[:, 0] > 0.0, np.nan, 1.0)))
    assert strategy.mean[0] < 0.0


@pytest.mark.parametrize("mirrored", [True, False])
def test_with_all_failed_the_mean_stays_and_new_candidates_are_drawn(mirrored):
    strategy = make(mirrored=mirrored)
    before = strategy.ask()
    strategy.tell(before, Evaluations(np.full(8, np.nan)))
    np.testing.assert_allclose(strategy.mean, X0)
    assert strategy.state_dict()["n_updates"] == 0
    assert not np.array_equal(strategy.ask(), before)


def test_a_constant_fitness_moves_nothing():
    strategy = make()
    for _ in range(3):
        strategy.tell(strategy.ask(), Evaluations(np.ones(8)))
    np.testing.assert_allclose(strategy.mean, X0)


def test_weight_decay_pulls_to_the_middle_of_the_box():
    strategy = make(weight_decay=0.1)
    for _ in range(100):
        strategy.tell(strategy.ask(), Evaluations(np.ones(8)))
    np.testing.assert_allclose(SPACE.to_unit(strategy.mean), 0.0, atol=0.1)


def test_an_optimum_beyond_the_bounds_leaves_mean_and_candidates_on_them():
    strategy = make()
    for _ in range(40):
        genomes = strategy.ask()
        SPACE.check(genomes)
        strategy.tell(genomes, Evaluations(genomes.sum(axis=1)))
    SPACE.check(strategy.mean[None])
    assert np.abs(strategy.state_dict()["mean"]).max() == 1.0
    assert SPACE.to_unit(strategy.mean)[:2].min() > 0.9


def test_diagnostics_are_the_averaged_gradient_and_the_distance_from_the_middle_per_gene():
    strategy = make()
    assert strategy.diagnostics() == {
        "gradient": 0.0,
        "mean": 0.5 / np.sqrt(3.0),
    }  # X0 is (0, 1/2, 0) in unit coordinates
    strategy.tell(strategy.ask(), Evaluations(np.arange(8.0)))
    state = strategy.state_dict()
    expected = {"gradient": np.sqrt(np.mean(state["first"] ** 2)), "mean": np.sqrt(np.mean(state["mean"] ** 2))}
    assert strategy.diagnostics() == pytest.approx(expected)
