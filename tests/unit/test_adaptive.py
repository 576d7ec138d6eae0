"""The adaptive filter: who goes and who comes, the score, the rule, resumption across a change of size."""

import numpy as np
import pytest

from optim import AdaptiveConfig, AdaptiveFilter, Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.adaptive import Look, Size, next_size
from optim.ensemble import fittest
from tests.unit.enkf_cases import space
from tests.unit.test_enkf import outside_span

ALWAYS = {"begin": -np.inf, "every": 1}  # look after every mini-batch, whatever the score
SHRINK = ALWAYS | {"threshold": 1e9, "smallest": 2}  # whenever it is not worse
GROW = ALWAYS | {"threshold": 0.0, "smallest": 2}  # whenever it is worse
TARGETS = np.zeros(2)


def twins(ensemble, box=None, **config):
    """An adaptive filter, and a plain one that does the same until the first is resized."""
    box = box or space(ensemble.shape[1])
    plain = {name: value for name, value in config.items() if name in EnKFConfig.__dataclass_fields__}
    return (
        AdaptiveFilter(box, AdaptiveConfig(**config), initial=ensemble, targets=TARGETS, seed=1),
        EnsembleKalmanFilter(box, EnKFConfig(**plain), initial=ensemble, targets=TARGETS, seed=1),
    )


def tell(search, distance, fitness=None, seed=0):
    """Responses whose mean over the members is `distance` from both targets."""
    genomes = search.ask()
    noise = np.random.default_rng(seed).standard_normal((len(genomes), 2))
    fitness = np.zeros(len(genomes)) if fitness is None else fitness
    valid = ~np.isnan(fitness)
    search.tell(genomes, Evaluations(fitness, distance + noise - noise[valid].mean(axis=0)))


def test_a_smaller_ensemble_keeps_the_fittest_members_and_first_of_all_drops_failed_ones():
    ensemble = np.random.default_rng(1).standard_normal((8, 3))
    fitness = np.array([3.0, np.nan, 5.0, 1.0, 5.0, 2.0, np.nan, 1.0])
    adaptive, plain = twins(ensemble, factor=1.6, **SHRINK)
    for search in (adaptive, plain):
        tell(search, 3.0)  # the first look remembers only
        tell(search, 1.0, fitness)
    np.testing.assert_array_equal(adaptive.ask(), plain.ask()[[0, 2, 3, 4, 5]])  # of the equal ones 3 and 7 the first
    np.testing.assert_array_equal(fittest(fitness, 7), [0, 1, 2, 3, 4, 5, 7])  # of the failed ones, too


def test_a_larger_ensemble_keeps_all_members_its_span_its_mean_and_its_covariance():
    rng = np.random.default_rng(1)
    ensemble = rng.standard_normal((6, 9)) * np.linspace(1.0, 3.0, 9)
    adaptive, plain = twins(ensemble, factor=1000.0, largest=6000, variant="sqrt", **GROW)
    for search in (adaptive, plain):
        tell(search, 1.0)
        tell(search, 3.0)
    members, grown = plain.ask(), adaptive.ask()
    assert len(grown) == 6000
    np.testing.assert_array_equal(grown[:6], members)
    assert outside_span(grown, members) < 1e-9
    covariance = np.cov(members.T, bias=True)
    deviation = np.sqrt(np.diag(covariance))
    assert np.abs((grown.mean(axis=0) - members.mean(axis=0)) / deviation).max() < 4.0 / np.sqrt(6000)
    difference = (np.cov(grown.T, bias=True) - covariance) / np.outer(deviation, deviation)
    assert np.abs(difference).max() < 5.0 * np.sqrt(2.0 / 6000)


def test_new_members_stay_inside_the_bounds():
    box = ParameterSpace((Block("x", 3, -1.0, 1.0), Block("n", 1, 0, 3, kind="integer")))
    ensemble = box.sample(np.random.default_rng(1), 8)
    adaptive, _ = twins(ensemble, box, factor=50.0, gamma=100.0, **GROW)
    tell(adaptive, 1.0)
    tell(adaptive, 3.0)
    box.check(adaptive.ask())
    assert len(adaptive.ask()) == 400
    assert (np.abs(adaptive.ask()[:, :3]) == 1.0).any()  # there was something to bring back
    np.testing.assert_array_equal(box.confine(adaptive.state_dict()["unit"]), adaptive.state_dict()["unit"])


def test_the_spread_is_that_of_a_member_however_many_there_are():
    ensemble = np.random.default_rng(1).standard_normal((40, 3))
    adaptive, _ = twins(ensemble, factor=2.0, **SHRINK)
    tell(adaptive, 3.0)
    for distance in (2.0, 1.0):  # 20 members learn in the last of these; then 10 are left
        _, before = tell(adaptive, distance), adaptive.ask()
    plain = AdaptiveFilter(space(3), AdaptiveConfig(), initial=before, targets=TARGETS, seed=1)
    tell(adaptive, 5.0)  # worse: all 10 stay
    tell(plain, 5.0)
    root = np.sqrt(adaptive.ask().var(axis=0).sum() / ensemble.var(axis=0).sum())
    assert len(adaptive.ask()) == 10
    np.testing.assert_allclose(adaptive.diagnostics()["spread"], root, rtol=1e-9)
    np.testing.assert_allclose(adaptive.ask(), plain.ask(), rtol=1e-9, atol=1e-12)  # nothing else has changed


@pytest.mark.parametrize("momentum", [False, True])
def test_a_search_resumed_before_or_after_a_change_of_size_continues_bit_identically(momentum):
    ensemble = np.random.default_rng(1).standard_normal((8, 3))
    distances = [3.0, 1.0, 5.0, 5.0, 4.0, 6.0, 9.0, 1.0]  # falls and rises: shrinks and grows
    config = AdaptiveConfig(
        factor=1.5, threshold=0.05, begin=-np.inf, every=1, smallest=4, largest=20, momentum=momentum
    )

    def make(seed):
        start = np.random.default_rng(seed).standard_normal((8, 3))
        return AdaptiveFilter(space(3), config, initial=start, targets=TARGETS, seed=seed)

    whole, states, sizes = AdaptiveFilter(space(3), config, initial=ensemble, targets=TARGETS, seed=1), [], []
    for k, distance in enumerate(distances):
        states.append(whole.state_dict())
        sizes.append(len(whole.ask()))
        tell(whole, distance, seed=k)
    assert min(sizes[1:]) <= 8 < max(sizes)
    for first, state in enumerate(states):
        resumed = make(7)
        resumed.load_state_dict(state)
        for k in range(first, len(distances)):
            assert len(resumed.ask()) == sizes[k]
            tell(resumed, distances[k], seed=k)
        for name, value in whole.state_dict().items():
            np.testing.assert_array_equal(resumed.state_dict()[name], value, err_msg=name)


def test_momentum_starts_anew_when_the_size_changes():
    ensemble = np.random.default_rng(1).standard_normal((8, 3))
    adaptive, _ = twins(ensemble, momentum=True, factor=2.0, gamma=10.0, **SHRINK)
    for distance in (4.0, 3.0):
        tell(adaptive, distance)
    left = adaptive.ask()
    afresh = AdaptiveFilter(space(3), AdaptiveConfig(gamma=10.0), initial=left, targets=TARGETS, seed=1)
    for search in (adaptive, afresh):
        tell(search, 2.0)
    kept = len(adaptive.ask())
    assert (len(left), kept) == (4, 2)
    np.testing.assert_allclose(adaptive.ask(), afresh.ask()[:2], rtol=1e-9)


RULE = AdaptiveConfig(smallest=100, largest=800, factor=1.25, threshold=0.01, begin=0.9, max_repetitions=3)


@pytest.mark.parametrize(
    ("size", "before", "now", "expected"),
    [
        ((400, 2), np.nan, 0.95, (400, 2)),  # nothing to compare with
        ((400, 2), 0.50, 0.90, (400, 2)),  # not above
        ((400, 2), 0.99, 0.80, (400, 2)),
        ((400, 2), 0.91, 0.95, (400, 1)),  # much better
        ((400, 2), 0.95, 0.955, (320, 1)),
        ((400, 2), 0.95, 0.95, (320, 1)),  # equal is not worse
        ((400, 2), 0.955, 0.95, (400, 3)),  # worse
        ((400, 2), 0.97, 0.95, (500, 3)),  # much worse
        ((110, 1), 0.95, 0.95, (100, 1)),
        ((100, 1), 0.95, 0.95, (100, 1)),
        ((700, 3), 0.97, 0.95, (800, 3)),
        ((50, 1), 0.95, 0.95, (50, 1)),  # began below the smallest
        ((900, 1), 0.97, 0.95, (900, 2)),  # began above the largest
        ((900, 1), 0.95, 0.95, (720, 1)),
    ],
)
def test_the_rule_follows_the_change_of_the_score(size, before, now, expected):
    assert next_size(Size(*size), Look(before), Look(now), RULE) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((0.97, 9e-6), (0.95, 16e-6), (625, 3)),  # 4 standard errors of 0.005
        ((0.97, 37e-6), (0.95, 64e-6), (400, 1)),  # less than 2 of 0.01: chance, so equal, so fewer members
        ((0.95, 64e-6), (0.97, 37e-6), (400, 1)),
        ((0.97, 0.0), (0.95, 101e-6), (400, 1)),
        ((0.97, 99e-6), (0.95, 0.0), (625, 3)),
    ],
)
def test_a_change_within_two_standard_errors_counts_as_none(before, now, expected):
    assert next_size(Size(500, 2), Look(*before), Look(*now), RULE) == expected


def logits(n_right, n_members, n_items=20):
    """Logits whose mean gives `n_right` of the items the first class; single members often say something else."""
    noise = np.random.default_rng(n_right).standard_normal((n_members, n_items, 2))
    mean = np.where(np.arange(n_items) < n_right, 1.0, -1.0)
    return (noise - noise.mean(axis=0) + np.stack([mean, 0.0 * mean], axis=1)).reshape(n_members, -1)


def test_a_script_of_scores_gives_members_repetitions_and_mini_batches_as_by_hand():
    config = AdaptiveConfig(
        loss="categorical", variant="sqrt", block_length=2, factor=2.0, smallest=4, largest=40, every=2, threshold=0.1,
        errors=0.0, begin=0.5, max_repetitions=3,
    )  # fmt: skip
    ensemble = np.random.default_rng(1).standard_normal((10, 3))
    adaptive = AdaptiveFilter(space(3), config, initial=ensemble, seed=1)
    script = [  # right answers of 20; members and repetitions of this generation, its mini-batch
        (4, 10, 1, 0), (6, 10, 1, 1),  # 0.25: not above
        (14, 10, 1, 2), (16, 10, 1, 3),  # 0.75: much better
        (14, 10, 1, 4), (16, 10, 1, 5),  # 0.75: equal
        (11, 5, 1, 6), (12, 5, 1, 7),  # 0.575: much worse
        (11, 10, 2, 8), (2, 10, 2, 8), (11, 10, 2, 9), (2, 10, 2, 9),  # 0.55: worse; repetitions do not count
        (20, 10, 3, 10), (0, 10, 3, 10), (0, 10, 3, 10), (20, 10, 3, 11), (0, 10, 3, 11), (0, 10, 3, 11),  # 1.0
        (20, 10, 2, 12), (0, 10, 2, 12), (20, 10, 2, 13), (0, 10, 2, 13),  # 1.0: equal
        (20, 5, 1, 14),
    ]  # fmt: skip
    labels = np.tile([1.0, 0.0], 20)
    for n_right, n_members, repetitions, batch in script:
        assert adaptive.batch == batch
        genomes = adaptive.ask()
        adaptive.tell(genomes, Evaluations(np.zeros(len(genomes)), logits(n_right, len(genomes)), labels))
        measured = adaptive.diagnostics()
        assert (measured["members"], measured["repetitions"]) == (n_members, repetitions)
        if n_right:
            expected = 11 / 20 if n_right == 2 else n_right / 20
            assert measured["score"] == expected
    assert adaptive.batch == 15


def test_with_squared_errors_the_score_is_the_share_of_the_first_misfit_that_is_gone():
    adaptive, _ = twins(np.random.default_rng(1).standard_normal((6, 3)))
    failing = np.array([0.0, np.nan, 0.0, 0.0, np.nan, 0.0])  # these have no say
    for distance, score in ((4.0, 0.0), (2.0, 0.75), (0.4, 0.99), (8.0, -3.0)):
        tell(adaptive, distance, None if score == 0.0 else failing)
        np.testing.assert_allclose(adaptive.diagnostics()["score"], score, atol=1e-12)


def test_below_its_begin_an_adaptive_filter_is_the_plain_one_bit_for_bit():
    ensemble = np.random.default_rng(1).standard_normal((8, 3))
    adaptive, plain = twins(ensemble, inflation=0.01, every=1)
    for distance in (4.0, 4.0, 3.0, 9.0):
        tell(adaptive, distance)
        tell(plain, distance)
        np.testing.assert_array_equal(adaptive.ask(), plain.ask())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest": 1}, r"AdaptiveConfig\.smallest=1 is not an integer >= 2"),
        ({"largest": 99}, r"AdaptiveConfig\.largest=99 is not an integer >= smallest=100"),
        ({"factor": 1.0}, r"AdaptiveConfig\.factor=1.0 is outside \(1, inf\)"),
        ({"max_repetitions": 0}, r"AdaptiveConfig\.max_repetitions=0 is not an integer >= 1"),
        ({"repetitions": 5}, r"AdaptiveConfig\.repetitions=5 is not an integer from 1 to max_repetitions=4"),
        ({"every": 0}, r"AdaptiveConfig\.every=0 is not an integer >= 1"),
        ({"threshold": np.nan}, r"AdaptiveConfig\.threshold=nan is outside \[0, inf\)"),
        ({"errors": -1.0}, r"AdaptiveConfig\.errors=-1.0 is outside \[0, inf\)"),
        ({"begin": 1.0}, r"AdaptiveConfig\.begin=1.0 is not below 1"),
        ({"gamma": 0.0}, r"EnKFConfig\.gamma=0.0 is outside"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveConfig(**settings)
