"""Networks trained by the ensemble Kalman filter: members over ranks."""

import pytest

from experiments.data_files import chosen_files, data_folder, find
from tests.conftest import ROOT
from tests.mpi.conftest import assert_equal_runs

DNN = str(ROOT / "experiments" / "enkf_dnn.py")


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
