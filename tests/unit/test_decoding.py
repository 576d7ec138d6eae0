"""Spike counts to actions."""

import numpy as np
import pytest

from snn.decoding import decode_actions


@pytest.mark.parametrize(
    ("counts", "action"),
    [
        ([0, 0, 0, 0], [0, 0, 0]),
        ([1, 0, 0, 0], [0, 1, 0]),
        ([0, 3, 2, 0], [1, 0, 0]),
        ([0, 2, 3, 0], [2, 0, 0]),
        ([9, 4, 4, 10], [0, 1, 1]),
    ],
)
def test_larger_side_turns_equal_sides_go_straight_any_spike_moves_or_deposits(counts, action):
    np.testing.assert_array_equal(decode_actions(np.array([counts])), [action])


def test_ants_are_decoded_independently():
    counts = np.random.default_rng(0).integers(0, 11, size=(15, 4))
    together = decode_actions(counts)
    for ant in range(15):
        np.testing.assert_array_equal(together[ant], decode_actions(counts[ant : ant + 1])[0])
