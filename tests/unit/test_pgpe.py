import numpy as np
import pytest

from optim import PGPE, Block, Evaluations, ParameterSpace, PGPEConfig

SPACE = ParameterSpace((Block("x", 3, -1.0, 1.0),))  # genomes are unit coordinates
X0 = np.array([0.3, -0.2, 0.1])


def make(population_size=8, seed=1, **settings):
    settings = {"sigma": 0.01} | settings
    return PGPE(SPACE, PGPEConfig(**settings), x0=X0, population_size=population_size, seed=seed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma", 0.0),
        ("sigma", 2.0),
        ("max_speed", 0.0),
        ("momentum", 1.0),
        ("learning_rate", np.inf),
        ("sigma_rate", -0.1),
        ("max_sigma_change", 1.0),
        ("ascent", "sgd"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"PGPEConfig\.{field}="):
        PGPEConfig(**{field: value})


@pytest.mark.parametrize("ascent", ["clipup", "adam"])
def test_a_step_equals_the_published_formulas(ascent):
    search = make(ascent=ascent, max_speed=0.3, learning_rate=0.002, sigma_rate=0.4)
    epsilon = search.ask()[:4] - X0  # perturbations of the first half
    fitness = np.array([5.0, 1.0, 7.0, 3.0, 4.0, 8.0, 2.0, 6.0])
    search.tell(search.ask(), Evaluations(fitness))
    reward = (np.argsort(np.argsort(fitness)) / 7.0) - 0.5
    plus, minus = reward[:4], reward[4:]
    # Sehnke et al. 2010 with symmetric sampling and the step sizes alpha sigma^2 of both gradients; the baseline is 0.
    gradient = np.mean(0.5 * (plus - minus)[:, None] * epsilon, axis=0)
    change = 0.4 * np.mean(0.5 * (plus + minus)[:, None] * (epsilon**2 - 0.01**2) / 0.01, axis=0)
    np.testing.assert_allclose(search.state_dict()["deviation"], 0.01 + change, rtol=1e-9)
    if ascent == "adam":
        np.testing.assert_allclose(search.mean, X0 + 0.002 * np.sign(gradient), rtol=1e-4)
    else:
        length = 0.5 * 0.3 * 0.01 * np.sqrt(3.0)
        np.testing.assert_allclose(search.mean, X0 + length * gradient / np.linalg.norm(gradient), rtol=1e-9)


def test_no_deviation_changes_by_more_than_the_limit():
    search = make(sigma_rate=1e6, max_sigma_change=0.1)
    search.tell(search.ask(), Evaluations(np.arange(8.0) ** 2))
    np.testing.assert_allclose(np.abs(search.state_dict()["deviation"] / 0.01 - 1.0), 0.1)


def test_without_a_rate_the_deviations_stay():
    search = make(sigma_rate=0.0)
    for seed in range(5):
        search.tell(search.ask(), Evaluations(np.random.default_rng(seed).normal(size=8)))
    np.testing.assert_array_equal(search.state_dict()["deviation"], np.full(3, 0.01))


def test_deviations_shrink_on_a_peak_and_grow_in_a_valley():
    for sign, comparison in ((-1.0, np.less), (1.0, np.greater)):
        search = make(population_size=100)
        for _ in range(10):
            genomes = search.ask()
            search.tell(genomes, Evaluations(sign * ((genomes - X0) ** 2).sum(axis=1)))
        assert comparison(search.state_dict()["deviation"], 0.01).all()


def test_a_slope_moves_the_mean_up_and_no_faster_than_the_longest_step():
    search = make(max_speed=0.5)
    longest = 0.5 * 0.01 * np.sqrt(3.0)
    before = search.mean
    for _ in range(20):
        genomes = search.ask()
        search.tell(genomes, Evaluations(genomes @ [1.0, -1.0, 0.0]))
        assert np.linalg.norm(search.mean - before) <= longest + 1e-12
        before = search.mean
    assert search.mean[0] - X0[0] > 5 * longest
    assert search.mean[1] - X0[1] < -5 * longest


def test_a_flat_fitness_changes_neither_mean_nor_deviations():
    search = make()
    for _ in range(5):
        search.tell(search.ask(), Evaluations(np.ones(8)))
    np.testing.assert_allclose(search.mean, X0, atol=1e-15)
    np.testing.assert_allclose(search.state_dict()["deviation"], 0.01, rtol=1e-12)
