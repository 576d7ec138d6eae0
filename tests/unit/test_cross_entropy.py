import numpy as np
import pytest

from optim import FACE, Block, CrossEntropy, CrossEntropyConfig, Evaluations, FACEConfig, ParameterSpace

SPACE = ParameterSpace((Block("x", 3, -1.0, 1.0),))  # genomes are unit coordinates
X0 = np.array([0.3, -0.2, 0.1])
SIGMA = 0.01  # nothing meets a bound


def make(population_size=8, seed=1, **settings):
    settings = {"sigma": SIGMA, "elite_fraction": 0.5} | settings
    return CrossEntropy(SPACE, CrossEntropyConfig(**settings), x0=X0, population_size=population_size, seed=seed)


def make_face(population_size=4, **settings):
    settings = {"sigma": SIGMA, "elite_fraction": 0.5, "mean_rate": 1.0, "sigma_rate": 1.0} | settings
    return FACE(SPACE, FACEConfig(**settings), x0=X0, population_size=population_size, seed=1)


def tell(search, *fitness):
    genomes = search.ask()
    search.tell(genomes, Evaluations(np.array(fitness, dtype=float)))
    return genomes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma", 0.0),
        ("elite_fraction", 1.0),
        ("mean_rate", 0.0),
        ("sigma_rate", 1.5),
        ("noise", -0.1),
        ("noise_updates", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    for config in (CrossEntropyConfig, FACEConfig):
        with pytest.raises(ValueError, match=rf"{config.__name__}\.{field}="):
            config(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("max_rounds", 0), ("max_rounds", 2.5), ("max_stalls", 0)])
def test_a_face_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"FACEConfig\.{field}="):
        FACEConfig(**{field: value})


def test_the_distribution_goes_towards_mean_and_deviation_of_the_elite():
    search = make(mean_rate=0.75, sigma_rate=0.25)
    genomes = tell(search, 5, 1, 7, 3, 4, 8, 2, 6)
    elite = genomes[[0, 2, 5, 7]]
    np.testing.assert_allclose(search.mean, 0.25 * X0 + 0.75 * elite.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        search.state_dict()["deviation"], 0.75 * SIGMA + 0.25 * elite.std(axis=0, ddof=1), rtol=1e-9
    )


def test_failed_candidates_are_never_elite():
    search = make(mean_rate=1.0, sigma_rate=1.0)
    genomes = tell(search, np.nan, np.nan, 1, np.nan, 0, np.nan, -5, np.nan)
    elite = genomes[[2, 4, 6]]
    np.testing.assert_allclose(search.mean, elite.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(search.state_dict()["deviation"], elite.std(axis=0, ddof=1), rtol=1e-9)


@pytest.mark.parametrize("make_search", [lambda: make(mean_rate=1.0), lambda: make_face(8, max_rounds=1)])
def test_a_lone_survivor_moves_the_mean_and_keeps_the_deviations(make_search):
    search = make_search()
    genomes = tell(search, *[np.nan] * 5, 1.0, np.nan, np.nan)
    np.testing.assert_allclose(search.mean, genomes[5], rtol=1e-12)
    np.testing.assert_array_equal(search.state_dict()["deviation"], np.full(3, SIGMA))


def test_added_variance_falls_linearly_to_nothing():
    noise = 0.004
    search = make(mean_rate=1.0, sigma_rate=1.0, noise=noise, noise_updates=4)
    for n_updates in range(6):
        genomes = tell(search, *range(8))
        expected = genomes[4:].var(axis=0, ddof=1) + noise**2 * max(0.0, 1.0 - n_updates / 4)
        np.testing.assert_allclose(search.state_dict()["deviation"], np.sqrt(expected), rtol=1e-7)


def test_without_selection_a_small_elite_keeps_the_variance():
    variances = []
    for seed in range(400):
        search = make(seed=seed, population_size=8, sigma_rate=1.0)
        for _ in range(4):
            tell(search, *np.random.default_rng((seed, search.generation)).normal(size=8))
        variances.append(search.state_dict()["deviation"] ** 2 / SIGMA**2)
    standard_error = np.std(variances) / np.sqrt(np.size(variances))
    assert abs(np.mean(variances) - 1.0) < 4 * standard_error


def test_face_without_failures_to_improve_is_the_cross_entropy_method():
    plain = make(4, mean_rate=1.0, sigma_rate=1.0)
    adaptive = make_face(4)
    for generation in range(5):
        fitness = np.arange(4.0) + generation
        np.testing.assert_allclose(tell(adaptive, *fitness), tell(plain, *fitness), rtol=1e-9)


def test_face_draws_more_from_the_same_distribution_until_the_elite_is_better():
    search = make_face()
    tell(search, 1, 2, 3, 4)  # elite 4, 3
    mean, deviation = search.mean, search.state_dict()["deviation"]
    first = tell(search, 0, 1, 2, 4)  # best 4 and worst of the elite 2: neither better
    np.testing.assert_array_equal(search.mean, mean)
    np.testing.assert_array_equal(search.state_dict()["deviation"], deviation)
    assert search.diagnostics()["rounds"] == 1.0
    second = tell(search, 3.5, -1, -1, -1)  # together 4 and 3.5: the worst of the elite is better
    assert not np.isin(second, first).any()
    elite = np.stack([first[3], second[0]])
    np.testing.assert_allclose(search.mean, elite.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(search.state_dict()["deviation"], elite.std(axis=0, ddof=1), rtol=1e-9)
    assert search.diagnostics()["rounds"] == 0.0


def test_face_updates_from_its_largest_population_and_stops_when_that_stays_in_vain():
    search = make_face(max_rounds=2, max_stalls=3)
    tell(search, 1, 2, 3, 4)
    for level in range(3):
        assert search.stop() == {}
        mean = search.mean
        best = tell(search, 3 - level, -8, -8, -8)
        np.testing.assert_array_equal(search.mean, mean)
        second = tell(search, 2 - level, -9, -9, -9)
        np.testing.assert_allclose(search.mean, 0.5 * (best[0] + second[0]), rtol=1e-9)
    assert search.stop() == {"stalled": "3 updates in a row found nothing better among 8 candidates"}
    tell(search, 9, 9, 9, 9)
    assert search.stop() == {}


def test_a_face_round_in_which_all_fail_counts_for_nothing():
    search = make_face(max_rounds=2)
    tell(search, 1, 2, 3, 4)
    tell(search, 0, 0, 0, 0)
    mean = search.mean
    tell(search, *[np.nan] * 4)
    np.testing.assert_array_equal(search.mean, mean)
    assert search.diagnostics()["rounds"] == 1.0


def test_face_waits_for_a_whole_elite():
    search = make_face(max_rounds=3)
    first = tell(search, np.nan, np.nan, 1, np.nan)
    np.testing.assert_allclose(search.mean, X0, rtol=1e-12)
    second = tell(search, np.nan, np.nan, np.nan, 0)
    np.testing.assert_allclose(search.mean, 0.5 * (first[2] + second[3]), rtol=1e-9)


def test_a_face_search_continues_from_the_middle_of_its_rounds():
    search = make_face()
    tell(search, 1, 2, 3, 4)
    tell(search, 0, 0, 0, 0)
    resumed = make_face()
    resumed.load_state_dict(search.state_dict())
    for fitness in ((0, 1, 3, 2), (3, 3, 3, 3), (8, 9, 7, 6)):
        np.testing.assert_array_equal(tell(resumed, *fitness), tell(search, *fitness))
    np.testing.assert_array_equal(resumed.mean, search.mean)
