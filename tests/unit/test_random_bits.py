import numpy as np
import pytest
from scipy import stats

from optim.random_bits import N_LANES, coin, fill_words, make_lanes, n_words


def lanes_of(seed):
    return make_lanes(np.random.default_rng(seed))


def words_of(seed, n):
    words = np.empty(n, dtype=np.uint64)
    fill_words(lanes_of(seed), words)
    return words


def numpy_lane(a, b, c, counter):
    generator = np.random.SFC64()
    state = generator.state
    state["state"]["state"] = np.array([a, b, c, counter], dtype=np.uint64)
    generator.state = state
    return generator


def test_every_lane_gives_the_words_of_numpy_from_its_seed_on():
    seeds = np.random.default_rng(3).integers(2**64, size=(3, N_LANES), dtype=np.uint64)
    words = words_of(3, 50 * N_LANES).reshape(50, N_LANES)
    for k in range(N_LANES):
        lane = numpy_lane(*seeds[:, k], 1)
        lane.random_raw(12)  # which a new generator of numpy has behind it
        np.testing.assert_array_equal(words[:, k], lane.random_raw(50))


def test_the_lanes_move_on_as_far_as_words_were_taken():
    whole, lanes = words_of(4, 6 * N_LANES), lanes_of(4)
    parts = [np.empty(n * N_LANES, dtype=np.uint64) for n in (1, 3, 2)]
    for part in parts:
        fill_words(lanes, part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert set(lanes[3].tolist()) == {13 + 6}


def test_a_generator_repeats_its_lanes_and_another_one_shares_no_word():
    np.testing.assert_array_equal(lanes_of(1), lanes_of(1))
    words = np.concatenate([words_of(seed, 1000 * N_LANES) for seed in (1, 2)])
    assert len(np.unique(words)) == words.size


def test_all_bits_bytes_and_halves_are_uniform():
    words = words_of(7, 5000 * N_LANES)
    ones = np.array([int(((words >> np.uint64(bit)) & np.uint64(1)).sum()) for bit in range(64)])
    z = (ones - 0.5 * words.size) / np.sqrt(0.25 * words.size)
    assert stats.chi2.sf((z**2).sum(), 64) > 0.001
    counts = np.bincount(words.view(np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue > 0.001
    assert stats.kstest(words.view(np.int32)[: 2**20] / 2.0**32 + 0.5, "uniform").pvalue > 0.001


@pytest.mark.parametrize("lag", [1, 2, N_LANES - 1, N_LANES, N_LANES + 1, 2 * N_LANES])
def test_words_do_not_follow_from_their_neighbours_in_the_same_or_another_lane(lag):
    uniform = words_of(11, 8000 * N_LANES).view(np.int32) / 2.0**32
    for values in (uniform, uniform**2):
        for shift in (1, 2 * lag):
            assert abs(np.corrcoef(values[shift:], values[:-shift])[0, 1]) < 4.0 / np.sqrt(values.size)


@pytest.mark.parametrize(("n_bits", "expected"), [(1, 1), (64 * N_LANES, 1), (64 * N_LANES + 1, 2), (32 * 2048, 8)])
def test_words_come_in_whole_rounds_of_the_lanes(n_bits, expected):
    assert n_words(n_bits) == expected * N_LANES


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.45, 0.9, 1e-3])
def test_a_coin_falls_with_its_probability(probability):
    share = (words_of(5, 4000 * N_LANES).view(np.int32) < coin(probability)).mean()
    assert abs(share - probability) <= 4.0 * np.sqrt(probability * (1.0 - probability) / (8000 * N_LANES))
