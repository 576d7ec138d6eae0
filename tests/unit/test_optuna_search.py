import importlib.util

import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.optuna_search import OptunaConfig, OptunaSearch
from optim.sampling import RandomConfig, RandomSearch

optuna = pytest.importorskip("optuna")

SPACE = ParameterSpace(
    (
        Block("weight_pA", 2, -20.0, 20.0),
        Block("rate_hz", 1, 1e-3, 1e3, kind="log", bounds="sigmoid"),
        Block("n_hidden", 1, 3, 9, kind="integer"),
    )
)
START = SPACE.sample(np.random.default_rng(0), 12)
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the sampler gp needs torch")
every_sampler = pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=needs_torch)])


def make(seed=1, initial=START, **settings):
    return OptunaSearch(SPACE, OptunaConfig(**settings), initial=initial, seed=seed)


def fitness_of(genomes):
    unit = SPACE.to_unit(genomes)
    return np.where(genomes[:, 3] == 5.0, np.nan, -(unit[:, :3] ** 2).sum(axis=1))


def advance(search, n, fitness_of=fitness_of):
    trace = []
    for _ in range(n):
        trace.append(search.ask())
        search.tell(trace[-1], Evaluations(fitness_of(trace[-1])))
    return trace


@pytest.mark.parametrize(("field", "value"), [("sampler", "cma"), ("n_startup", 0), ("n_startup", 1.5)])
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"OptunaConfig\.{field}="):
        OptunaConfig(**{field: value})


@pytest.mark.parametrize(("sampler", "package"), [("tpe", "optuna"), ("gp", "torch")])
def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch, sampler, package):
    monkeypatch.setattr("optim.optuna_search.find_spec", lambda name: None if name == package else True)
    with pytest.raises(ModuleNotFoundError, match=f"pip install {package}"):
        make(sampler=sampler)


def test_a_start_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows"):
        make(initial=START[:0])


def distributions():
    """The genes of SPACE as a user of Optuna would write them, under the names of the search."""
    return {
        "weight_pA[0]": optuna.distributions.FloatDistribution(-20.0, 20.0),
        "weight_pA[1]": optuna.distributions.FloatDistribution(-20.0, 20.0),
        "rate_hz[0]": optuna.distributions.FloatDistribution(1e-3, 1e3, log=True),
        "n_hidden[0]": optuna.distributions.IntDistribution(3, 9),
    }


@every_sampler
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_proposals_are_those_of_an_optuna_study_with_the_same_trials(sampler):
    genes = distributions()
    study = optuna.create_study(direction="maximize")
    for genome, fitness in zip(START, fitness_of(START), strict=True):
        study.enqueue_trial(dict(zip(genes, genome.tolist(), strict=True)))
        trial = study.ask(genes)
        if np.isnan(fitness):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, fitness)
    seed = int(np.random.default_rng(1).integers(2**32))
    study.sampler = (
        optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, multivariate=True, constant_liar=True)
        if sampler == "tpe"
        else optuna.samplers.GPSampler(seed=seed, n_startup_trials=5)
    )
    search = make(sampler=sampler, n_startup=5)
    advance(search, 1)
    for row in search.ask():
        trial = study.ask(genes)
        np.testing.assert_array_equal(row, [trial.params[name] for name in genes])


@every_sampler
def test_a_stored_state_continues_bit_identically(sampler):
    straight = make(sampler=sampler, initial=START[:4], n_startup=3)
    advance(straight, 2)
    resumed = make(seed=9, sampler=sampler, initial=START[4:8], n_startup=3)
    resumed.load_state_dict(straight.state_dict())
    np.testing.assert_array_equal(advance(resumed, 2), advance(straight, 2))


@every_sampler
def test_genomes_stay_inside_and_whole_numbers_whole(sampler):
    for genomes in advance(make(sampler=sampler, initial=START[:3], n_startup=2), 4):
        SPACE.check(genomes)


@every_sampler
def test_the_model_beats_random_search(sampler):
    n = {"tpe": 20, "gp": 10}[sampler]

    def best(search):
        return max(fitness_of(genomes)[fitness_of(genomes) < 0.0].max(initial=-9.0) for genomes in advance(search, n))

    modelled = [best(make(seed, sampler=sampler, initial=START[seed : seed + 4])) for seed in range(3)]
    drawn = [best(RandomSearch(SPACE, RandomConfig(), population_size=4, seed=seed)) for seed in range(3)]
    assert np.median(modelled) > np.median(drawn)


def test_when_all_fail_the_next_points_are_random():
    search = make()
    trace = advance(search, 3, lambda genomes: np.full(len(genomes), np.nan))
    assert len(np.unique(np.concatenate(trace), axis=0)) == 36
    assert search.diagnostics() == {"known": 0.0}


def test_the_state_holds_every_evaluation_in_the_order_asked():
    search = make()
    trace = np.concatenate(advance(search, 3))
    state = search.state_dict()
    np.testing.assert_array_equal(state["genomes_told"], trace)
    np.testing.assert_array_equal(state["fitness_told"], fitness_of(trace))
    assert search.diagnostics() == {"known": float(np.isfinite(fitness_of(trace)).sum())}


def test_nothing_is_printed_and_the_verbosity_is_left_alone(capfd):
    before = optuna.logging.get_verbosity()
    advance(make(), 2)
    assert optuna.logging.get_verbosity() == before
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""
