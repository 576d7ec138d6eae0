"""The image, built and run for real; minutes, and a few gigabytes that are deleted again."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.docker.container import PROGRAMS, Image
from tests.mpi.conftest import SMALL, assert_equal_runs

MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
STUDY = ["ants", *SMALL, "--generations", "2"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.container,
    pytest.mark.nest,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can build without an engine"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The image of this checkout."""
    built = Image(tmp_path_factory.mktemp("image"))
    try:
        built.build()
        yield built
    finally:
        built.remove()


@pytest.fixture
def data(tmp_path):
    """A folder that every user can write to."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_it_has_a_user_without_rights_a_health_check_and_labels(image):
    config = image.config()
    assert config["User"] == "1000:1000"
    assert config["Healthcheck"]["Test"] == ["CMD", "stigmergy", "doctor"]
    labels = config["Labels"]
    assert labels["org.opencontainers.image.licenses"] == "GPL-3.0-or-later"
    assert labels["org.opencontainers.image.version"][0].isdigit()
    assert labels["org.opencontainers.image.revision"] not in ("", "unknown")
    assert labels["mpi.abi"] == "mpich"


@pytest.mark.parametrize("user", [1000, 4711])
def test_doctor_finds_nothing_wrong_with_a_read_only_root_whoever_runs_it(image, data, user):
    done = image.run(data, "doctor", user=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}


def test_doctor_says_what_a_container_without_a_writable_folder_lacks(image, data):
    done = image.run(data, "doctor", has_tmp=False, is_data_writable=False)
    assert done.returncode == 69
    assert "--tmpfs /tmp" in done.stdout
    done = image.run(data, "doctor", is_data_writable=False)
    assert done.returncode == 0
    assert "/data cannot be written to (Read-only file system)" in done.stdout


@pytest.mark.parametrize(
    "launcher",
    [[], ["mpirun", "-n", "2", "stigmergy"], ["mpirun", "-n", "5", "stigmergy"]]
    + [["with-openmpi", "mpirun", "-n", n, "stigmergy"] for n in ("2", "5")],
    ids=["one process", "MPICH 2", "MPICH 5", "Open MPI 2", "Open MPI 5"],
)
def test_a_study_gives_the_results_of_one_outside_on_any_number_of_ranks(image, data, launcher):
    outside = [sys.executable, str(ROOT / "experiments" / "ants.py"), *STUDY[1:], "--name", "outside"]
    subprocess.run(outside, cwd=data, check=True, capture_output=True, timeout=300)
    done = image.run(data, *launcher, *STUDY, "--runs", "inside", "--name", "inside")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_equal_runs(data / "runs" / "outside", data / "inside" / "inside")


def test_the_settings_of_the_published_figures_are_in_the_image(image, data):
    done = image.run(data, "ants", "--config", "/opt/configs/quick.toml", "--generations", "1", "--env.n_ticks", "10")
    assert done.returncode == 0, done.stdout + done.stderr
