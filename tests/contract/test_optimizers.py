"""What every optimizer promises. A new one is added to `optimizer_cases.CASES`; nothing else is needed."""

import copy
import io
import json
import random

import numpy as np
import pytest

from optim import Evaluations
from optim.methods import METHODS
from tests.contract.optimizer_cases import (
    CASES,
    GATE,
    MIXED,
    OPTIMUM,
    SPACE,
    advance,
    evaluate,
    median_to_gate,
)

every_optimizer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)


def stored(state):
    """The state after a way through JSON for the plain values and .npy bytes for the arrays."""
    files = {}
    for key, value in state.items():
        if isinstance(value, np.ndarray):
            files[key] = io.BytesIO()
            np.save(files[key], value, allow_pickle=False)
            files[key].seek(0)
    text = json.dumps({key: value for key, value in state.items() if key not in files}, allow_nan=False)
    return json.loads(text) | {key: np.load(file, allow_pickle=False) for key, file in files.items()}


def test_every_method_is_under_contract():
    assert {case.method for case in CASES} == METHODS.keys()


@every_optimizer
def test_asked_genomes_are_finite_float64_rows_inside_the_bounds(case):
    optimizer = case.make(case.initial(), 1)
    trace = advance(optimizer, 12)
    assert optimizer.generation == len(trace) > 0
    for genomes in trace:
        assert genomes.dtype == np.float64
        assert len(genomes) >= 1
        SPACE.check(genomes)


@every_optimizer
def test_genes_of_every_kind_stay_inside_whatever_wins(case):
    start = case.initial(space=MIXED)
    for sign in (1.0, -1.0):  # towards the upper, then the lower bounds
        optimizer = case.make(start, 1, MIXED)

        def climb(genomes, sign=sign):
            unit = MIXED.to_unit(genomes)
            return Evaluations(sign * unit.sum(axis=1), 3.0 * sign - unit)

        for genomes in advance(optimizer, 25, climb):
            MIXED.check(genomes)


@every_optimizer
def test_asking_twice_returns_the_same_rows_which_nobody_can_overwrite(case):
    optimizer = case.make(case.initial(), 1)
    first = optimizer.ask()
    kept = first.copy()
    with pytest.raises(ValueError, match="read-only"):
        first[:] = np.nan
    np.testing.assert_array_equal(optimizer.ask(), kept)


@every_optimizer
def test_a_refused_tell_leaves_the_state_unchanged(case):
    optimizer = case.make(case.initial(), 1)
    advance(optimizer, 2)
    with pytest.raises(RuntimeError, match="Call ask"):
        optimizer.tell(case.initial(), evaluate(case.initial()))
    genomes = optimizer.ask()
    before = optimizer.state_dict()
    evaluations = evaluate(genomes)
    for wrong in (genomes[:0], genomes[:, :-1], genomes[0], np.concatenate([genomes, genomes])):
        with pytest.raises(ValueError, match="shape"):
            optimizer.tell(wrong, evaluations)
    for wrong in (genomes + 1e-9, np.full_like(genomes, np.nan)):
        with pytest.raises(ValueError, match="not those of ask"):
            optimizer.tell(wrong, evaluations)
    with pytest.raises(ValueError, match=f"{len(genomes) + 1} evaluations for {len(genomes)} genomes"):
        optimizer.tell(genomes, evaluate(np.concatenate([genomes, genomes[:1]])))
    assert_same_state(optimizer.state_dict(), before)
    optimizer.tell(genomes, evaluations)
    with pytest.raises(RuntimeError, match="Call ask"):
        optimizer.tell(genomes, evaluations)


@every_optimizer
def test_the_order_in_which_results_are_told_changes_no_bit(case):
    shuffled, straight = case.make(case.initial(), 1), case.make(case.initial(), 1)
    rng = np.random.default_rng(0)
    for _ in range(6):
        genomes = straight.ask()
        shuffled.ask()
        if len(np.unique(genomes, axis=0)) < len(genomes):
            break  # equal rows with equal scores: no order to tell
        arrival = rng.permutation(len(genomes))
        shuffled.tell(genomes[arrival], evaluate(genomes[arrival]))
        straight.tell(genomes, evaluate(genomes))
    assert straight.generation > 0
    assert_same_state(shuffled.state_dict(), straight.state_dict())


@every_optimizer
def test_the_same_seed_repeats_the_search_and_another_does_not(case):
    def genomes_of(seed):
        optimizer = case.make(case.initial(), seed)
        trace = advance(optimizer, 2)
        evaluations = evaluate(optimizer.ask())
        fitness = evaluations.fitness.copy()
        fitness[: min(2, len(fitness) // 2)] = np.nan  # makes even a filter without noise draw random numbers
        optimizer.tell(optimizer.ask(), Evaluations(fitness, evaluations.responses))
        return [*trace, *advance(optimizer, 2)]

    assert_same(genomes_of(7), genomes_of(7))
    first, second = genomes_of(7), genomes_of(8)
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@every_optimizer
@pytest.mark.parametrize("seed", [None, 1.5, "1"])
def test_a_seed_that_cannot_be_repeated_is_refused(case, seed):
    with pytest.raises(TypeError, match=r"seed=.* is not an integer"):
        case.make(case.initial(), seed)


@every_optimizer
def test_a_seed_sequence_is_as_good_as_its_integer(case):
    assert_same(
        advance(case.make(case.initial(), 5), 3), advance(case.make(case.initial(), np.random.SeedSequence(5)), 3)
    )


@every_optimizer
@pytest.mark.parametrize("stop", [0, 1, 4])
@pytest.mark.parametrize("is_asked", [False, True])
def test_a_stored_state_continues_bit_identically(case, stop, is_asked):
    straight = case.make(case.initial(), 3)
    advance(straight, stop)
    if is_asked:
        straight.ask()
    state = stored(straight.state_dict())
    resumed = case.make(case.initial(99), 99)
    resumed.load_state_dict(state)
    assert resumed.generation == stop
    assert_same_state(resumed.state_dict(), straight.state_dict())
    if is_asked:
        genomes = straight.ask()
        resumed.tell(genomes, evaluate(genomes))
        straight.tell(genomes, evaluate(genomes))
    assert_same(advance(resumed, 4), advance(straight, 4))
    assert_same_state(resumed.state_dict(), straight.state_dict())


@every_optimizer
def test_a_state_is_a_snapshot_that_the_search_does_not_share(case):
    optimizer = case.make(case.initial(), 3)
    advance(optimizer, 2)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    other = case.make(case.initial(), 4)
    other.load_state_dict(state)
    advance(optimizer, 2)
    advance(other, 2)
    assert_same_state(state, kept)


@every_optimizer
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(case):
    optimizer = case.make(case.initial(), 3)
    advance(optimizer, 2)
    before = optimizer.state_dict()
    array = next(key for key, value in before.items() if isinstance(value, np.ndarray))
    for wrong, message in (
        (before | {"algorithm": "Other"}, "algorithm 'Other'"),
        ({key: value for key, value in before.items() if key != "rng"}, "keys"),
        (before | {"extra": 1}, "keys"),
        (before | {array: before[array][:-1]}, "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(wrong)
    assert_same_state(optimizer.state_dict(), before)


@every_optimizer
def test_no_global_random_state_is_used_or_changed(case):
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    reference = advance(case.make(case.initial(), 1), 3)
    assert random.getstate() == python_state
    for before, after in zip(numpy_state, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(before, after)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    try:
        assert_same(advance(case.make(case.initial(), 1), 3), reference)
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


@every_optimizer
def test_inputs_are_neither_changed_nor_kept(case):
    start = case.initial()
    optimizer = case.make(start, 1)
    np.testing.assert_array_equal(start, case.initial())
    start[:] = np.nan
    genomes = optimizer.ask().copy()
    kept = genomes.copy()
    optimizer.tell(genomes, evaluate(genomes))
    np.testing.assert_array_equal(genomes, kept)
    genomes[:] = np.nan
    SPACE.check(optimizer.ask())


@every_optimizer
@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf])
def test_failures_of_every_kind_are_the_same_and_do_not_stop_the_search(case, failure):
    def half_failing(genomes, value):
        evaluations = evaluate(genomes)
        fitness = evaluations.fitness.copy()
        fitness[genomes[:, 0] > OPTIMUM[0]] = value  # the optimum lies on the border of the failures
        return Evaluations(fitness, evaluations.responses)

    optimizer, reference = case.make(case.initial(), 1), case.make(case.initial(), 1)
    trace = advance(optimizer, 30, lambda genomes: half_failing(genomes, failure))
    assert_same(trace, advance(reference, 30, lambda genomes: half_failing(genomes, np.nan)))
    for genomes in trace:
        SPACE.check(genomes)
    first, last = (np.nanmedian(half_failing(genomes, np.nan).fitness) for genomes in (trace[0], trace[-1]))
    assert last > first or not case.learns


@every_optimizer
def test_when_all_fail_the_search_goes_on_or_says_why_it_cannot(case):
    optimizer = case.make(case.initial(), 1)
    advance(optimizer, 1)
    genomes = optimizer.ask()
    nothing = Evaluations(np.full(len(genomes), np.nan), np.full((len(genomes), 6), np.nan))
    if case.survives_all_failed:
        optimizer.tell(genomes, nothing)
    else:
        before = optimizer.state_dict()
        with pytest.raises(RuntimeError, match="survived"):
            optimizer.tell(genomes, nothing)
        assert_same_state(optimizer.state_dict(), before)
        optimizer.tell(genomes, evaluate(genomes))
    assert optimizer.generation == 2
    SPACE.check(optimizer.ask())


@pytest.mark.parametrize("case", [case for case in CASES if case.rank_based], ids=lambda case: case.name)
@pytest.mark.parametrize("transform", [np.exp, lambda f: f**3, lambda f: 4.0 * f + 3.0], ids=["exp", "cube", "affine"])
def test_a_monotone_map_of_the_fitness_changes_no_bit(case, transform):
    mapped = advance(case.make(case.initial(), 1), 8, lambda genomes: Evaluations(transform(evaluate(genomes).fitness)))
    assert_same(mapped, advance(case.make(case.initial(), 1), 8))


@pytest.mark.parametrize("case", [case for case in CASES if case.evaluations < np.inf], ids=lambda case: case.name)
def test_the_search_reaches_the_gate_as_fast_as_it_did_when_measured(case):
    assert median_to_gate(case) <= 1.5 * case.evaluations, f"error {GATE} of the start"
