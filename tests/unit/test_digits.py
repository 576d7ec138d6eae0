"""The study of digits: split, rows, verdicts, messages; the slow test is its claim."""

import sys
import time

import numpy as np
import pytest
from scipy import stats

from experiments import digits, process
from snn.liquid_config import LiquidConfig
from snn.reservoirs import ReservoirConfig

TINY = LiquidConfig(
    reservoir=ReservoirConfig(n_inputs=64, n_excitatory=80, n_inhibitory=20, input_outdegree=10),
    encoder="latency", stimulus_ms=10.0, bin_ms=10.0,
)  # fmt: skip


def row(features, readout, is_right):
    return digits.Row(features, readout, 64, np.array(is_right, dtype=bool), 1.5)


def test_the_split_follows_from_the_seed_and_leaves_no_image_in_both_parts():
    data, again, other = digits.load_digits(1000, 3), digits.load_digits(1000, 3), digits.load_digits(1000, 4)
    assert data.pixels.shape == (1797, 64)
    assert (data.pixels.min(), data.pixels.max()) == (0.0, 1.0)
    np.testing.assert_array_equal(np.sort(np.concatenate([data.train, data.test])), np.arange(1797))
    assert len(data.train) == 1000
    np.testing.assert_array_equal(data.train, again.train)
    assert (data.train != other.train).any()


def test_a_run_has_a_row_for_each_feature_and_readout_that_share_one_simulation(monkeypatch):
    n_simulated = []
    states = digits.liquid_states
    monkeypatch.setattr(digits, "liquid_states", lambda *given: n_simulated.append(1) or states(*given))
    rows = digits.run("numba", 0, 200, TINY)
    assert [(r.features, r.readout) for r in rows] == [
        ("pixels", "ridge"), ("pixels", "logistic"), ("liquid (numba)", "ridge"), ("liquid (numba)", "logistic")
    ]  # fmt: skip
    assert [r.n_features for r in rows] == [64, 64, 100, 100]
    assert len(n_simulated) == 1
    assert {len(r.is_right) for r in rows} == {1597}
    assert rows[0].is_right.mean() > 0.8
    assert "nan" not in digits.table(rows)


def test_the_table_says_whether_the_liquid_beats_the_pixels():
    rows = [
        row("pixels", "ridge", [0] * 10 + [1] * 10), row("pixels", "logistic", [0] * 2 + [1] * 18),
        row("liquid (numba)", "ridge", [1] * 20), row("liquid (numba)", "logistic", [1] * 17 + [0] * 3),
    ]  # fmt: skip
    lines = digits.table(rows).splitlines()
    assert len(lines) == 1 + 4 + 3
    assert lines[1].split() == ["pixels", "ridge", "64", "50.0%", "10", "1.5"]
    assert lines[5] == "liquid + ridge beats pixels + ridge: 0 against 10 errors (sign test p = 0.002)."
    assert lines[6].startswith("liquid + logistic does NOT beat pixels + logistic: 3 against 2 errors")
    assert lines[7].startswith("Fewest errors of each: liquid + ridge beats pixels + logistic: 0 against 2 errors")
    assert lines[7].endswith("within chance).")


@pytest.mark.parametrize(("n_won", "n_lost"), [(0, 0), (5, 5), (9, 1), (1, 9), (14, 3)])
def test_the_sign_test_is_that_of_scipy(n_won, n_lost):
    expected = stats.binomtest(n_won, n_won + n_lost).pvalue if n_won + n_lost else 1.0
    assert digits.sign_test(n_won, n_lost) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-train", "39"], "--n-train 39 is outside 40 … 1787"),
        (["--n-train", "1797"], "--n-train 1797 is outside"),
        (["--seed", "-1"], "--seed -1 is not allowed"),
        (["--engine", "brian"], "invalid choice: 'brian'"),
    ],
)
def test_bad_flags_end_with_a_message(arguments, message, capsys):
    assert digits.main(arguments) == process.EXIT_USAGE
    assert message in capsys.readouterr().err


def test_a_missing_scikit_learn_is_named_with_its_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert digits.main([]) == process.EXIT_UNAVAILABLE
    assert "pip install -e '.[liquid]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_liquid_reads_digits_better_than_ridge_on_pixels_within_two_minutes(capsys):
    start = time.process_time()
    rows = {(r.features, r.readout): r.is_right.mean() for r in digits.run("numba", 0, 1297)}
    assert time.process_time() - start < 120
    assert rows["liquid (numba)", "ridge"] >= 0.95
    assert rows["liquid (numba)", "logistic"] >= 0.95
    assert rows["liquid (numba)", "ridge"] > rows["pixels", "ridge"]
