"""Networks trained by the ensemble Kalman filter: members over ranks."""

import pytest

from experiments.data_files import chosen_files, data_folder, find
from tests.conftest import ROOT
from tests.mpi.conftest import assert_equal_runs

DNN = str(ROOT / "experiments" / "enkf_dnn.py")
LSM = str(ROOT / "experiments" / "lsm.py")


@pytest.mark.data
@pytest.mark.slow
def test_a_network_trained_on_any_number_of_ranks_is_the_same_bit_for_bit(start, tmp_path):
    if any(find(file, data_folder()) is None for file in chosen_files("mnist", "train", data_folder())):
        pytest.skip(f"no MNIST in {data_folder()}; set STIGMERGY_DATA to the folder that holds the data sets")
    small = ["--population", "10", "--generations", "2", "--batch", "16", "--block", "3", "--seed", "4"]
    for n_ranks in (None, 2, 3):
        code, out, error = start(n_ranks, DNN, *small, "--name", f"on{n_ranks}").wait()
        assert (code, error) == (0, ""), out
    for n_ranks in (2, 3):
        assert_equal_runs(tmp_path / "runs" / "onNone", tmp_path / "runs" / f"on{n_ranks}")


@pytest.mark.slow
def test_a_reservoir_recorded_trained_and_tested_on_any_number_of_ranks_gives_the_same_bit_for_bit(start, tmp_path):
    pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install -e '.[liquid]'")
    small = ["--population", "6", "--block", "2", "--generations", "2", "--n-train", "20", "--only", "filter"]
    for n_ranks in (None, 3):
        job = start(n_ranks, LSM, "--preset", "quick", *small, "--runs", f"on{n_ranks}")
        code, out, error = job.wait(timeout=200)
        assert (code, error) == (0, ""), out
    runs = [tmp_path / f"on{n_ranks}" / "lsm-quick" / "filter-seed1" for n_ranks in (None, 3)]
    assert_equal_runs(*runs)
    first, second = ((run.parent / "table.md").read_text().splitlines()[2:4] for run in runs)
    assert [row.split(" | ")[:4] for row in first] == [row.split(" | ")[:4] for row in second]  # times may differ
