"""The generator of the compiled tick against SplitMix64 on Python's integers."""

from collections import Counter
from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.randomness import draw, shuffle
from tests.unit.ant_cases import generator, quiet

GAMMA, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def splitmix64(state):
    """SplitMix64 on Python's integers: the next state and output."""
    state = (state + GAMMA) & MASK
    bits = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return state, bits ^ (bits >> 31)


def shuffled(n, random):
    order = np.arange(n, dtype=np.int64)
    with quiet():
        shuffle(order, random)
    return order.tolist()


def test_the_python_splitmix64_gives_the_known_first_numbers_of_seed_1234567():
    state, outputs = 1234567, []
    for _ in range(3):
        state, bits = splitmix64(state)
        outputs.append(bits)
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 2**31), state=st.integers(0, MASK))
def test_a_draw_is_the_remainder_of_the_next_number(n, state):
    random = generator(state)
    expected_state, bits = splitmix64(state)
    with quiet():
        assert draw(n, random) == bits % n
    assert int(random[0]) == expected_state


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 40), state=st.integers(0, MASK))
def test_a_shuffle_equals_fisher_yates_with_the_python_splitmix64(n, state):
    expected, expected_state = list(range(n)), state
    for i in range(n - 1, 0, -1):
        expected_state, bits = splitmix64(expected_state)
        j = bits % (i + 1)
        expected[i], expected[j] = expected[j], expected[i]
    random = generator(state)
    assert shuffled(n, random) == expected
    assert int(random[0]) == expected_state


@settings(deadline=None, max_examples=40)
@given(order=st.permutations(range(12)), state=st.integers(0, MASK))
def test_a_shuffle_of_any_order_is_a_permutation(order, state):
    array = np.array(order, dtype=np.int64)
    with quiet():
        shuffle(array, generator(state))
    assert sorted(array.tolist()) == list(range(12))


def test_all_orders_of_three_ants_are_equally_frequent():
    random = generator(2024)
    counts = Counter(tuple(shuffled(3, random)) for _ in range(6000))
    assert set(counts) == set(permutations(range(3)))
    # 1,000 expected each, standard deviation 29; the sum of squares is chi-square with 5 degrees: 20.5 has p = 0.001.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


def test_the_state_advances_by_one_increment_per_drawn_number():
    random = generator(5)
    first = shuffled(15, random)
    assert int(random[0]) == (5 + 14 * GAMMA) & MASK
    assert shuffled(15, random) != first


def test_two_colonies_with_equal_state_shuffle_equally():
    one, other = generator(77), generator(77)
    assert [shuffled(15, one) for _ in range(5)] == [shuffled(15, other) for _ in range(5)]
    assert shuffled(15, generator(78)) != shuffled(15, generator(77))
