"""Any number of ranks gives the same result; errors end all ranks."""

import pytest

from tests.mpi.conftest import ANTS, SMALL, assert_equal_runs

# A job in which something goes wrong outside of any individual; what, is said by the first argument.
TOY = """
import sys
from optim.mpi import launch

def make_task(settings):
    if settings == "broken settings":
        raise RuntimeError("no task function today")
    return lambda identity, genome: genome

def main(make_evaluator):
    make_evaluator(sys.argv[1])
    raise RuntimeError("outside of any individual")

if __name__ == "__main__":
    sys.exit(launch(main, make_task))
"""


@pytest.fixture
def toy(start, tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    return lambda n_ranks, what: start(n_ranks, "toy.py", what).wait(timeout=30)


@pytest.mark.parametrize(
    ("n_ranks", "what"),
    [
        (2, "raise on rank 0"),
        (3, "broken settings"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [(3, "raise on rank 0"), (2, "broken settings")]),
    ],
)
def test_an_error_outside_an_individual_ends_all_ranks_with_its_traceback(toy, what, n_ranks):
    code, _, error = toy(n_ranks, what)  # within the timeout
    assert code != 0
    assert {"raise on rank 0": "outside of any individual", "broken settings": "no task function today"}[what] in error
    assert "Traceback" in error


def run_on(start, n_ranks, optimizer):
    """Run the small study under the name of the number of ranks."""
    code, out, error = start(n_ranks, ANTS, *SMALL, "--optimizer", optimizer, "--name", f"on{n_ranks}").wait()
    assert (code, error) == (0, ""), out


@pytest.mark.nest
def test_a_study_is_bit_identical_on_1_2_and_3_ranks(start, tmp_path, whole):
    for n_ranks in (2, 3):
        run_on(start, n_ranks, "ga")
        assert_equal_runs(whole, tmp_path / "runs" / f"on{n_ranks}")


@pytest.mark.slow
@pytest.mark.nest
@pytest.mark.parametrize("optimizer", ["es", "enkf"])
def test_other_optimizers_are_bit_identical_on_1_2_and_3_ranks_too(start, tmp_path, optimizer):
    for n_ranks in (None, 2, 3):
        run_on(start, n_ranks, optimizer)
        assert_equal_runs(tmp_path / "runs" / "onNone", tmp_path / "runs" / f"on{n_ranks}")


@pytest.mark.slow
@pytest.mark.nest
def test_more_ranks_than_individuals_and_a_population_that_does_not_divide(start, tmp_path):
    odd = ["--population", "5", "--env.n_ticks", "20", "--generations", "2"]
    for name, n_ranks in (("serial", None), ("eight", 8)):
        assert start(n_ranks, ANTS, *odd, "--name", name).wait()[0] == 0
    assert_equal_runs(tmp_path / "runs" / "serial", tmp_path / "runs" / "eight")


@pytest.mark.nest
def test_errors_and_help_are_printed_once(start):
    code, _, error = start(2, ANTS, "--optimizer", "gaa").wait()
    assert code == 64
    assert error.count("did you mean 'ga'") == 1
    code, out, _ = start(2, ANTS, "--help").wait()
    assert code == 0
    assert out.count("usage:") == 1


def test_a_foreign_launcher_is_refused_instead_of_n_equal_runs(start):
    # what a process sees that the mpirun of another MPI library has started
    code, _, error = start(None, ANTS, *SMALL, env={"OMPI_COMM_WORLD_SIZE": "4"}).wait()
    assert code == 69
    assert "4 processes were started together, but each sees itself alone" in error


def test_a_parallel_start_without_mpi4py_names_the_extra(start, tmp_path):
    (tmp_path / "blocked.py").write_text(
        "import sys; sys.modules['mpi4py'] = None\nfrom experiments.ants import main\nsys.exit(main([]))"
    )
    code, _, error = start(None, "blocked.py", env={"OMPI_COMM_WORLD_SIZE": "2"}).wait()
    assert code == 69
    assert "pip install -e '.[mpi]'" in error
