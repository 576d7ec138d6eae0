"""What keeps an ensemble of the Kalman filter moving: inflation, selection, momentum."""

import numpy as np
import pytest

from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.ensemble import nesterov
from optim.problems import linear_responses
from tests.unit.enkf_cases import advance, make, problem, space


def test_inflation_adds_noise_of_the_stated_spread_that_decays():
    kalman = make(np.zeros((2000, 2)), [0.0], inflation=0.02, inflation_decay=0.5)
    spreads = []
    for _ in range(2):
        before = kalman.ask()
        kalman.tell(before, Evaluations(np.zeros(2000), np.zeros((2000, 1))))  # equal responses: no Kalman update
        spreads.append((kalman.ask() - before).std())
    np.testing.assert_allclose(spreads, [2.0, 1.0], rtol=0.05)


def test_spread_inflation_stretches_the_deviations_by_its_decaying_factor_and_leaves_the_mean():
    ensemble, _, _ = problem(10, 3, 1)
    kalman = make(ensemble, [0.0], spread_inflation=1.5, inflation_decay=0.5)
    factor = 1.0
    for excess in (0.5, 0.25):
        kalman.tell(kalman.ask(), Evaluations(np.zeros(10), np.zeros((10, 1))))
        factor *= 1.0 + excess
        deviations = ensemble - ensemble.mean(axis=0)
        np.testing.assert_allclose(kalman.ask(), ensemble.mean(axis=0) + factor * deviations, rtol=1e-9)


def test_an_ensemble_whose_spread_is_inflated_follows_targets_that_move():
    ensemble, forward, _ = problem(10, 2, 2)
    errors = {1.0: 0.0, 1.5: 0.0}
    for spread_inflation in errors:
        kalman = EnsembleKalmanFilter(
            space(2), EnKFConfig(gamma=0.01, spread_inflation=spread_inflation), initial=ensemble, seed=1
        )
        for generation in range(60):
            genomes = kalman.ask()
            targets = np.full(2, np.sin(generation / 4.0))
            kalman.tell(genomes, Evaluations(np.zeros(10), genomes @ forward.T, targets))
            errors[spread_inflation] += np.abs(forward @ kalman.mean - targets).mean() * (generation >= 30)
    assert errors[1.5] < 0.5 * errors[1.0]


def still(kalman, n):
    """Tell equal responses, which update nothing."""
    kalman.tell(kalman.ask(), Evaluations(np.zeros(n), np.zeros((n, 1))))
    return kalman.ask()


def test_renewal_turns_the_deviations_and_leaves_mean_and_variance():
    ensemble = np.random.default_rng(9).normal([1.0, -2.0], [0.1, 3.0], size=(4000, 2))
    kalman = make(ensemble, [0.0], renewal=0.36)
    for n in (1, 2):
        renewed = still(kalman, 4000)
        np.testing.assert_allclose(renewed.mean(axis=0), ensemble.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(renewed.std(axis=0), ensemble.std(axis=0), rtol=0.05)
        for gene in range(2):  # the cosine between old and new deviations
            np.testing.assert_allclose(np.corrcoef(renewed[:, gene], ensemble[:, gene])[0, 1], 0.8**n, atol=0.03)


def test_renewal_widens_a_narrowed_ensemble_towards_its_first_spread_only_in_the_named_blocks():
    blocks = ParameterSpace((Block("a", 1, -100.0, 100.0), Block("b", 1, -100.0, 100.0)))
    ensemble = np.random.default_rng(2).normal(0.0, 2.0, size=(4000, 2))
    kalman = EnsembleKalmanFilter(
        blocks, EnKFConfig(renewal=0.5, inflation_decay=0.5), initial=ensemble, targets=[0.0], seed=1, renewed=["b"]
    )
    state = kalman.state_dict()
    kalman.load_state_dict(state | {"unit": state["unit"] * 0.1})
    renewed = still(kalman, 4000)
    np.testing.assert_allclose(renewed[:, 0], 0.1 * ensemble[:, 0], atol=1e-9)
    np.testing.assert_allclose(renewed[:, 1].var(), 0.5 * 0.04 + 0.5 * 4.0, rtol=0.05)
    np.testing.assert_allclose(still(kalman, 4000)[:, 1].var(), 0.75 * 2.02 + 0.25 * 4.0, rtol=0.05)


def test_renewal_with_less_than_the_first_spread_narrows_an_ensemble_to_it():
    ensemble = np.random.default_rng(2).normal(0.0, 2.0, size=(4000, 2))
    kalman = make(ensemble, [0.0], renewal=0.36, renewal_sd=0.25)
    np.testing.assert_allclose(still(kalman, 4000).var(axis=0), 0.64 * 4.0 + 0.36 * 0.25, rtol=0.05)
    for _ in range(20):
        renewed = still(kalman, 4000)
    np.testing.assert_allclose(renewed.std(axis=0), 0.25 * ensemble.std(axis=0), rtol=0.05)


def test_renewal_of_an_unknown_block_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"renewed names \['weights'\], but the blocks are \['x'\]"):
        EnsembleKalmanFilter(
            space(2), EnKFConfig(), initial=np.ones((3, 2)), targets=[0.0], seed=1, renewed=["weights"]
        )


def test_a_memory_gives_the_running_mean_of_the_means_with_weights_that_sum_to_1():
    ensemble, forward, _ = problem(10, 2, 2)
    kalman, last = (make(ensemble, np.ones(2), gamma=10.0, memory=memory) for memory in (0.75, 0.0))
    np.testing.assert_array_equal(kalman.mean, last.mean)
    means = []
    for _ in range(4):
        for each in (kalman, last):
            genomes = each.ask()
            each.tell(genomes, Evaluations(np.zeros(10), genomes @ forward.T))
        np.testing.assert_array_equal(kalman.ask(), last.ask())
        means.append(last.mean)
    weights = 0.75 ** np.arange(4)[::-1]
    np.testing.assert_allclose(kalman.mean, np.average(means, axis=0, weights=weights), rtol=1e-9)


def test_selection_replaces_the_worst_by_the_best_together_with_their_responses():
    ensemble, forward, targets = problem(10, 3, 2)
    fitness = np.array([5.0, 1.0, 9.0, 8.0, 2.0, 7.0, 6.0, 4.0, 3.0, 0.0])
    responses = linear_responses(ensemble, forward)

    def moved(gamma, **settings):
        kalman = make(ensemble, targets, gamma=gamma, variant="published", **settings)
        kalman.tell(kalman.ask(), Evaluations(fitness, responses))
        return kalman.ask()

    still = moved(1e12, selection=0.2, selection_noise=0.0)
    parents = np.array([int(np.argmin(np.abs(ensemble - row).sum(axis=1))) for row in still])
    assert set(np.delete(np.arange(10), [1, 9])) == set(np.delete(parents, [1, 9]))
    assert {parents[1], parents[9]} <= {2, 3}
    paired = make(ensemble[parents], targets, gamma=0.1, variant="published")
    paired.tell(paired.ask(), Evaluations(fitness, responses[parents]))
    np.testing.assert_allclose(moved(0.1, selection=0.2, selection_noise=0.0), paired.ask(), rtol=1e-9)
    noisy = moved(0.1, selection=0.2, selection_noise=0.05)
    changed = np.flatnonzero(np.abs(noisy - paired.ask()).max(axis=1) > 1e-6)
    np.testing.assert_array_equal(changed, [1, 9])


def momentum_problem(seed, n_generations=40, **settings):
    rng = np.random.default_rng(seed)
    forward = np.linalg.qr(rng.standard_normal((12, 6)))[0] * np.logspace(0, -1.5, 6)
    ensemble, targets = rng.standard_normal((20, 6)), forward @ rng.standard_normal(6)
    kalman = make(ensemble, targets, **settings)
    for _ in range(n_generations):
        advance(kalman, forward)
    return np.square(forward @ kalman.mean - targets).mean()


@pytest.mark.parametrize("variant", ["joint", "sqrt"])
def test_momentum_saves_generations_where_steps_are_small(variant):
    ratios = [
        momentum_problem(seed, gamma=1.0, variant=variant, momentum=True)
        / momentum_problem(seed, gamma=1.0, variant=variant)
        for seed in range(7)
    ]
    assert np.median(ratios) < 0.5


def test_momentum_moves_each_member_on_by_a_part_of_its_last_change():
    ensemble, forward, targets = problem(8, 3, 2)
    kalman = make(ensemble, targets, gamma=10.0, momentum=True)
    advance(kalman, forward)
    first = kalman.ask()
    plain = make(first, targets, gamma=10.0)
    advance(kalman, forward, failed=[2])
    advance(plain, forward, failed=[2])
    theta, beta = nesterov(1.0)
    assert beta == 0.0
    _, beta = nesterov(theta)
    expected = plain.ask() + beta * (plain.ask() - first)
    expected[2] = plain.ask()[2]  # redrawn: it has no last change
    np.testing.assert_allclose(kalman.ask(), expected, rtol=1e-9)


@pytest.mark.parametrize("reason", ["misfit", "spread"])
def test_momentum_starts_anew_when_the_misfit_rises_or_the_ensemble_would_widen(reason):
    ensemble, forward, targets = problem(8, 3, 2)
    stretch = 3.0 if reason == "spread" else 1.0
    kalman = make(ensemble, targets, gamma=10.0, momentum=True, spread_inflation=stretch)
    for generation in range(3):
        genomes = kalman.ask()
        responses = linear_responses(genomes, forward) + 5.0 * (generation == 2)
        if reason == "spread":
            responses = np.zeros((8, 2))  # no update, equal misfits
        plain = make(genomes, targets, gamma=10.0, spread_inflation=stretch)
        plain.tell(plain.ask(), Evaluations(np.zeros(8), responses))
        kalman.tell(genomes, Evaluations(np.zeros(8), responses))
    np.testing.assert_allclose(kalman.ask(), plain.ask(), rtol=1e-9)
    assert kalman.state_dict()["theta"] == (nesterov(1.0)[0] if reason == "misfit" else 1.0)
