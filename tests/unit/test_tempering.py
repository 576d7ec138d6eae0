import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.tempering import ParallelTempering, TemperingConfig, is_swapped

LEVELS = ParameterSpace((Block("level", 1, 0, 4, kind="integer", bounds="reflect"),))
LINE = ParameterSpace((Block("weight_pA", 1, -20.0, 20.0, bounds="reflect"),))


def make(space, n, seed=1, initial=None, **settings):
    initial = space.sample(np.random.default_rng(0), n) if initial is None else initial
    return ParallelTempering(space, TemperingConfig(**settings), initial=initial, seed=seed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cold_temperature", 0.0),
        ("hot_temperature", 1e-4),
        ("hot_temperature", np.inf),
        ("cold_step", 0.0),
        ("hot_step", 1e-3),
        ("hot_step", np.nan),
        ("fitness_scale", -1.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"TemperingConfig\.{field}="):
        TemperingConfig(**{field: value})


def test_one_chain_is_refused():
    with pytest.raises(ValueError, match="initial has 1 chains"):
        make(LINE, 1)


def test_neighbours_are_exchanged_with_the_probability_of_detailed_balance():
    n = 40_000
    rng = np.random.default_rng(1)
    # The colder one is better by 0.5: (1 / 0.5 - 1 / 1) (f_hot - f_cold) = -0.5
    swaps = [
        is_swapped(np.array([1.0, 0.5]), np.array([0.5, 1.0]), uniform, 0)[0] for uniform in 1.0 - rng.random((n, 2))
    ]
    assert np.mean(swaps) == pytest.approx(np.exp(-0.5), abs=4 * np.sqrt(0.25 / n))


def test_the_better_one_always_goes_to_the_colder_side():
    fitness = np.array([0.0, 1.0, 5.0, 7.0, 2.0])
    temperature = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert is_swapped(fitness, temperature, np.ones(5), 0).tolist() == [True, False, True, False, False]
    assert is_swapped(fitness, temperature, np.ones(5), 1).tolist() == [False, True, False, False, False]


def test_a_failed_genome_goes_to_the_hotter_side_and_two_stay():
    temperature = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    fitness = np.array([np.nan, -1e9, -1e9, np.nan, np.nan, np.nan])
    for uniform in (np.full(6, 1e-300), np.ones(6)):
        assert is_swapped(fitness, temperature, uniform, 0).tolist() == [True, False, False, False, False, False]


def sampled(tempering, fitness_of, n):
    """(n, n_chains, n_params) positions after each generation, in unit coordinates."""
    positions = []
    for _ in range(n):
        genomes = tempering.ask()
        tempering.tell(genomes, Evaluations(fitness_of(genomes)))
        positions.append(tempering.state_dict()["position"])
    return np.array(positions)


def standard_error(samples):
    """Of the mean over axis 0, from the means of 40 stretches, which are nearly independent."""
    stretches = samples.reshape(40, -1, *samples.shape[1:]).mean(axis=1)
    return stretches.std(axis=0, ddof=1) / np.sqrt(40)


def test_every_temperature_samples_its_boltzmann_distribution_of_whole_numbers():
    fitness = np.array([0.0, -3.0, 1.0, -2.0, 0.5])
    temperatures = np.geomspace(0.4, 3.2, 4)
    tempering = make(
        LEVELS, 4, cold_temperature=0.4, hot_temperature=3.2, cold_step=0.4, hot_step=1.0, fitness_scale=1.0
    )
    positions = sampled(tempering, lambda genomes: fitness[genomes[:, 0].astype(int)], 12_000)[2000:]
    levels = LEVELS.from_unit(positions)[..., 0]
    expected = np.exp(fitness / temperatures[:, None])
    expected /= expected.sum(axis=1, keepdims=True)
    is_at = levels[..., None] == np.arange(5)
    assert (np.abs(is_at.mean(axis=0) - expected) < 4.5 * standard_error(is_at) + 1e-3).all()


def test_a_quadratic_fitness_gives_gaussians_whose_variance_is_the_temperature():
    temperatures = np.geomspace(0.001, 0.03, 3)
    tempering = make(
        LINE, 3, cold_temperature=0.001, hot_temperature=0.03, cold_step=0.05, hot_step=0.3, fitness_scale=1.0
    )
    x = sampled(tempering, lambda genomes: -0.5 * (genomes[:, 0] / 20.0) ** 2, 12_000)[2000:, :, 0]
    assert (np.abs(x.mean(axis=0)) < 4.5 * standard_error(x)).all()
    assert (np.abs((x**2).mean(axis=0) - temperatures) < 4.5 * standard_error(x**2)).all()


def test_exchanges_bring_the_cold_chain_out_of_a_local_maximum():
    def two_peaks(genomes):
        x = genomes[:, 0] / 20.0
        return np.exp(-50.0 * (x - 0.5) ** 2) + 0.5 * np.exp(-50.0 * (x + 0.5) ** 2)

    start = np.full((8, 1), -10.0)
    settings = {"cold_temperature": 1e-3, "cold_step": 0.02, "fitness_scale": 1.0, "initial": start}
    with_hot_ones = make(LINE, 8, **settings, hot_temperature=1.0, hot_step=0.5)
    all_cold = make(LINE, 8, **settings, hot_temperature=2e-3, hot_step=0.02)
    assert sampled(with_hot_ones, two_peaks, 500)[-1, 0, 0] == pytest.approx(0.5, abs=0.05)
    assert sampled(all_cold, two_peaks, 500)[-1].max() < 0.0


def test_a_step_that_fails_is_never_accepted():
    tempering = make(LINE, 6, initial=np.linspace(-15.0, -1.0, 6)[:, None], hot_step=1.0)
    positions = sampled(tempering, lambda genomes: np.where(genomes[:, 0] > 0.0, np.nan, -1.0), 100)
    assert positions.max() <= 0.0


def test_chains_that_began_with_failures_end_with_fitness():
    tempering = make(LINE, 6, initial=np.linspace(-1.0, 15.0, 6)[:, None], hot_step=1.0)
    sampled(tempering, lambda genomes: np.where(genomes[:, 0] > 0.0, np.nan, genomes[:, 0]), 200)
    assert not np.isnan(tempering.state_dict()["fitness"]).any()


def test_diagnostics_count_accepted_steps_and_exchanged_pairs():
    tempering = make(LINE, 5, cold_temperature=1e-6, hot_temperature=2e-6, fitness_scale=1.0)
    tempering.tell(tempering.ask(), Evaluations(np.array([0.0, 1.0, 5.0, 3.0, 2.0])))
    assert tempering.diagnostics() == {"acceptance": 1.0, "exchange": 0.5}  # of (0, 1) and (2, 3) the first
    tempering.tell(tempering.ask(), Evaluations(np.full(5, np.nan)))
    assert tempering.diagnostics() == {"acceptance": 0.0, "exchange": 0.5}  # 1 0 5 3 2: of (1, 2) and (3, 4) the first
