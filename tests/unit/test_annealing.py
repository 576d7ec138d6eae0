import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.annealing import AnnealingConfig, SimulatedAnnealing, cooled, fitness_scale, is_accepted

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
LEVELS = ParameterSpace((Block("level", 1, 0, 4, kind="integer", bounds="reflect"),))


def make(initial=None, seed=1, space=SPACE, **settings):
    initial = space.sample(np.random.default_rng(0), 6) if initial is None else initial
    return SimulatedAnnealing(space, AnnealingConfig(**settings), initial=initial, seed=seed)


def constant(temperature, step):
    """Settings of chains that neither cool nor shorten their steps."""
    return {
        "start_temperature": temperature,
        "end_temperature": temperature,
        "start_step": step,
        "end_step": step,
        "fitness_scale": 1.0,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schedule", "sudden"),
        ("start_temperature", 0.0),
        ("start_temperature", np.inf),
        ("end_temperature", 0.0),
        ("end_temperature", 0.2),
        ("start_step", -1.0),
        ("end_step", np.nan),
        ("n_cooling", 0),
        ("n_cooling", 1.5),
        ("fitness_scale", 0.0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"AnnealingConfig\.{field}="):
        AnnealingConfig(**{field: value})


@pytest.mark.parametrize("schedule", ["exponential", "linear", "logarithmic"])
def test_every_schedule_falls_from_start_to_end_and_stays_there(schedule):
    values = [cooled(8.0, 0.5, generation, 10, schedule) for generation in range(15)]
    assert values[0] == 8.0
    assert values[10:] == pytest.approx([0.5] * 5)
    assert (np.diff(values[:11]) < 0.0).all()


def test_half_way_schedules_are_at_the_mean_their_name_says():
    assert cooled(8.0, 0.5, 5, 10, "exponential") == pytest.approx(2.0)
    assert cooled(8.0, 0.5, 5, 10, "linear") == pytest.approx(4.25)
    # 1 / T is linear in log(1 + k), and log(1 + 2) is half of log(1 + 8)
    assert 1.0 / cooled(8.0, 0.5, 2, 8, "logarithmic") == pytest.approx(0.5 * (1 / 8 + 2))


def test_better_steps_are_accepted_and_worse_ones_with_the_probability_of_metropolis():
    n = 100_000
    uniform = 1.0 - np.random.default_rng(1).random(n)
    assert is_accepted(np.zeros(n), np.full(n, 0.1), 2.0, uniform).all()
    assert is_accepted(np.zeros(n), np.zeros(n), 2.0, uniform).all()
    frequency = is_accepted(np.zeros(n), np.full(n, -3.0), 2.0, uniform).mean()
    assert frequency == pytest.approx(np.exp(-1.5), abs=4 * np.sqrt(0.25 / n))


def test_a_failed_step_is_never_accepted_and_any_other_replaces_a_failed_genome():
    fitness, proposed = np.array([np.nan, np.nan, 1.0]), np.array([np.nan, -1e9, np.nan])
    assert is_accepted(fitness, proposed, 1e9, np.full(3, 0.5)).tolist() == [False, True, False]
    assert is_accepted(fitness, proposed, 0.0, np.full(3, 0.5)).tolist() == [False, True, False]


def test_the_scale_is_the_interquartile_range_of_those_that_did_not_fail():
    assert fitness_scale(np.array([1.0, np.nan, 5.0, 3.0])) == 2.0
    assert fitness_scale(np.array([1.0, 2.0, 3.0, 4.0, -1e200])) == 2.0
    assert fitness_scale(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 6.0])) == pytest.approx(np.sqrt(5.0))  # most are equal
    assert fitness_scale(np.array([np.nan, 2.0])) == fitness_scale(np.full(6, 0.1)) == 0.0


def test_the_scale_is_measured_in_the_first_generation_that_tells_it_and_kept():
    annealing = make(start_temperature=0.5, end_temperature=0.5)
    for fitness, temperature in (
        (np.full(6, np.nan), 0.0),
        (np.full(6, 2.0), 0.0),
        (np.array([0, 4, 0, 4, np.nan, np.nan]), 0.5 * np.std([2, 2, 2, 2, 2, 2, 0, 4, 0, 4])),
        (np.arange(6.0) * 100.0, 0.5 * np.std([2, 2, 2, 2, 2, 2, 0, 4, 0, 4])),
    ):
        annealing.tell(annealing.ask(), Evaluations(fitness))
        assert annealing.diagnostics()["temperature"] == pytest.approx(temperature)


def test_a_given_scale_is_a_unit_of_temperature():
    assert make(fitness_scale=20.0, start_temperature=0.5).temperature == 10.0


def test_one_chain_needs_a_scale():
    with pytest.raises(ValueError, match="initial has 1 chains, but needs >= 2"):
        make(SPACE.sample(np.random.default_rng(0), 1))
    assert len(make(SPACE.sample(np.random.default_rng(0), 1), fitness_scale=1.0).ask()) == 1


def test_a_start_outside_the_bounds_is_refused():
    with pytest.raises(ValueError, match="delay_ms"):
        make(np.array([[0.0, 0.0, 8.0], [0.0, 0.0, 3.0]]))


def test_chains_at_a_constant_temperature_sample_the_boltzmann_distribution():
    n, temperature = 20_000, 0.7
    fitness = np.array([0.0, -2.0, 0.5, -1.0, 0.3])
    chains = make(np.full((n, 1), 2.0), space=LEVELS, **constant(temperature, 1.0))
    for _ in range(30):
        levels = chains.ask()
        chains.tell(levels, Evaluations(fitness[levels[:, 0].astype(int)]))
    expected = np.exp(fitness / temperature)
    expected /= expected.sum()
    levels = LEVELS.from_unit(chains.state_dict()["position"])[:, 0]
    frequency = np.bincount(levels.astype(int), minlength=5) / n
    assert np.abs(frequency - expected).max() < 4 * np.sqrt(0.25 / n)


def test_steps_have_the_standard_deviation_of_the_schedule():
    annealing = make(np.tile([0.0, 0.0, 4.0], (5000, 1)), start_step=0.1, end_step=0.1)
    annealing.tell(annealing.ask(), Evaluations(np.zeros(5000)))
    steps = annealing.ask() - [0.0, 0.0, 4.0]
    np.testing.assert_allclose(steps.std(axis=0), 0.1 * np.array([20.0, 20.0, 3.0]), rtol=0.05)


def test_a_hot_chain_leaves_a_local_maximum_and_a_cold_one_does_not():
    def two_peaks(genomes):
        x = genomes[:, 0] / 20.0
        return Evaluations(np.exp(-50.0 * (x - 0.5) ** 2) + 0.5 * np.exp(-50.0 * (x + 0.5) ** 2))

    def at_the_higher_peak(temperature):
        chains = make(np.tile([-10.0, 0.0, 4.0], (50, 1)), **constant(temperature, 0.1))
        for _ in range(400):
            genomes = chains.ask()
            chains.tell(genomes, two_peaks(genomes))
        return np.mean(SPACE.from_unit(chains.state_dict()["position"])[:, 0] > 0.0)

    assert at_the_higher_peak(1e-3) == 0.0
    assert at_the_higher_peak(0.3) > 0.3


def test_a_chain_never_stands_on_a_genome_that_failed_unless_it_began_there():
    chains = make(np.array([[-5.0, 0.0, 4.0], [5.0, 0.0, 4.0]]), start_step=0.5, end_step=0.5)
    for generation in range(60):
        genomes = chains.ask()
        chains.tell(genomes, Evaluations(np.where(genomes[:, 0] > 0.0, np.nan, genomes[:, 1])))
        state = chains.state_dict()
        stands = SPACE.from_unit(state["position"])[:, 0]
        assert stands[0] <= 0.0
        if generation == 0:
            assert stands[1] == 5.0
            assert np.isnan(state["fitness"][1])
    assert stands[1] <= 0.0


def test_a_multiple_of_the_fitness_gives_the_same_search_if_the_scale_is_measured():
    first, second = make(), make()
    for _ in range(10):
        genomes = first.ask()
        np.testing.assert_array_equal(second.ask(), genomes)
        first.tell(genomes, Evaluations(-np.abs(genomes).sum(axis=1)))
        second.tell(genomes, Evaluations(-1024.0 * np.abs(genomes).sum(axis=1)))


def test_diagnostics_count_the_accepted_steps():
    chains = make(**constant(1e-9, 0.1))
    chains.tell(chains.ask(), Evaluations(np.zeros(6)))
    chains.tell(chains.ask(), Evaluations(np.array([1.0, -1.0, np.nan, 2.0, -1.0, 3.0])))
    assert chains.diagnostics() == {"temperature": 1e-9, "step": 0.1, "acceptance": 0.5}
