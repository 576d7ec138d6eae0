"""The scripts of docker/, run with stand-ins for the programs that they start."""

import os
import subprocess

import pytest

from tests.conftest import ROOT

DOCKER = ROOT / "docker"
JOBS = [DOCKER / "slurm" / name for name in ("ants-mpich.sbatch", "ants-openmpi.sbatch")]


@pytest.fixture
def programs(tmp_path):
    """Function that puts a program on PATH which writes down how it was called, then runs a line of shell."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(name, then="true"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\n{then}\n')
        (folder / name).chmod(0o755)

    return put


@pytest.fixture
def run(tmp_path):
    """Function that runs a command in an empty folder; returns its exit code, its output, and what it called."""

    def start(*command, **env):
        path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
        done = subprocess.run(
            [str(word) for word in command],
            cwd=tmp_path,
            env={"PATH": path, **env},
            capture_output=True,
            text=True,
            timeout=60,
        )
        calls = tmp_path / "calls"
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines() if calls.exists() else []

    return start


@pytest.fixture
def submit(programs, run, tmp_path):
    """Function that runs a job script as Slurm would, the study ending with a given code; returns what it called."""
    programs("scontrol")

    def start(script, *arguments, code=0, **env):
        programs("srun", f'case "$*" in *" ants "*) exit {code} ;; esac')
        slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2"}
        result, output, calls = run("bash", script, *arguments, **slurm, **env)
        assert result == code, output
        return calls

    return start


def study(calls):
    """The call that starts the study."""
    return next(call for call in calls if " ants " in call)


@pytest.mark.parametrize("script", JOBS, ids=lambda path: path.stem)
class TestJob:
    def test_a_first_start_names_the_run_after_the_job_and_passes_its_arguments_on(self, submit, script):
        calls = submit(script, "--config", "my settings.toml")
        assert study(calls).endswith(" stigmergy ants --name ants-7 --config my settings.toml")
        assert "--kill-on-bad-exit=1" in study(calls)
        assert not any(call.startswith("scontrol") for call in calls)

    @pytest.mark.parametrize("env", [{}, {"RUN": "mine"}])
    def test_a_run_that_is_there_is_resumed(self, submit, script, tmp_path, env):
        name = env.get("RUN", "ants-7")
        (tmp_path / "runs" / name).mkdir(parents=True)
        assert f" ants --resume runs/{name}" in study(submit(script, **env))

    def test_a_study_that_was_stopped_goes_into_the_queue_again(self, submit, script):
        assert submit(script, code=75)[-1] == "scontrol requeue 7"

    @pytest.mark.parametrize("code", [0, 64, 70, 143])
    def test_a_study_that_ended_otherwise_does_not(self, submit, script, code):
        assert not any(call.startswith("scontrol") for call in submit(script, code=code))

    def test_restarts_are_limited(self, submit, script):
        limits = {"SLURM_RESTART_COUNT": "2", "MAX_RESTARTS": "2"}
        assert not any(call.startswith("scontrol") for call in submit(script, code=75, **limits))

    def test_the_compiler_cache_is_made_and_removed_once_per_node_and_start(self, submit, script):
        calls = submit(script, SLURM_RESTART_COUNT="3")
        assert calls[0] == "srun --ntasks=2 --ntasks-per-node=1 mkdir -m 700 /tmp/stigmergy-7-3"
        assert calls[2] == "srun --ntasks=2 --ntasks-per-node=1 rm -rf /tmp/stigmergy-7-3"

    def test_the_study_does_not_start_in_a_cache_folder_of_somebody_else(self, programs, run, script):
        programs("srun", 'case "$*" in *mkdir*) exit 1 ;; esac')
        code, _, calls = run("bash", script, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1")
        assert code == 1
        assert len(calls) == 1

    def test_an_image_is_run_by_apptainer_in_the_folder_of_the_job(self, submit, script, tmp_path):
        call = study(submit(script, STIGMERGY_IMAGE="/images/stigmergy.sif"))
        assert f"apptainer exec --bind {tmp_path} --pwd {tmp_path} /images/stigmergy.sif " in call


def test_the_job_scripts_differ_in_nothing_but_their_mpi():
    codes = ["\n".join(line for line in path.read_text().splitlines() if line[:2] != "# ") for path in JOBS]
    assert codes[1] == codes[0].replace("--mpi=pmi2", "--mpi=pmix").replace('IMAGE" sti', 'IMAGE" with-openmpi sti')
    assert codes[1] != codes[0]


def test_words_that_are_no_program_go_to_stigmergy(programs, run):
    programs("stigmergy")
    programs("mpirun")
    assert run(DOCKER / "entrypoint", "ants", "--seed", "2")[2][-1] == "stigmergy ants --seed 2"
    assert run(DOCKER / "entrypoint", "--help")[2][-1] == "stigmergy --help"
    assert run(DOCKER / "entrypoint")[2][-1] == "stigmergy "
    assert run(DOCKER / "entrypoint", "mpirun", "-n", "2", "stigmergy")[2][-1] == "mpirun -n 2 stigmergy"


def test_with_openmpi_points_to_its_library_and_leaves_settings_of_the_user(run):
    _, shown, _ = run(DOCKER / "with-openmpi", "env", OMPI_MCA_pml="ucx")
    variables = dict(line.split("=", 1) for line in shown.splitlines())
    assert variables["MPI4PY_LIBMPI"] == "/opt/openmpi/lib/libmpi.so.40"
    assert variables["PATH"].startswith("/opt/openmpi/bin:")
    assert variables["OMPI_MCA_pml"] == "ucx"
    assert variables["OMPI_MCA_btl"] == "self,sm,tcp"


@pytest.mark.parametrize("working", ["docker", "podman", "buildah"])
def test_the_image_is_built_by_the_first_tool_that_works(programs, run, working):
    for name in ("docker", "podman", "buildah"):
        programs(name, "true" if name == working else "exit 1")
    code, _, calls = run(DOCKER / "build.sh", "here:now", "--build-arg", "NEST=source")
    assert code == 0
    assert calls[-1].startswith(f"{working} build --file docker/Dockerfile --tag here:now --build-arg VERSION=0.")
    assert calls[-1].endswith("--build-arg NEST=source .")
    assert ("--format docker" in calls[-1]) == (working != "docker")


def test_without_a_tool_that_works_nothing_is_built(programs, run):
    for name in ("docker", "podman", "buildah"):
        programs(name, "exit 1")
    code, shown, _ = run(DOCKER / "build.sh", "here:now")
    assert code == 69
    assert "none of docker, podman and buildah works here" in shown


@pytest.mark.parametrize(
    ("machine", "choice", "is_compiled"), [("x86_64", "auto", 0), ("x86_64", "source", 1), ("aarch64", "auto", 1)]
)
def test_nest_is_compiled_without_mpi_where_there_is_no_wheel(programs, run, tmp_path, machine, choice, is_compiled):
    programs("uname", f"echo {machine}")
    programs("apt-get")
    programs("pip", f'echo "$CMAKE_ARGS" > "{tmp_path}/cmake"')
    _, _, calls = run(DOCKER / "wheels.sh", "some.lock", "wheels", choice)
    assert calls[-1].endswith("--requirement some.lock")
    assert "--require-hashes" in calls[-1]
    assert ("--no-binary=nest-simulator" in calls[-1]) == is_compiled
    assert ("-Dwith-mpi=OFF" in (tmp_path / "cmake").read_text()) == is_compiled


@pytest.mark.parametrize("path", sorted(DOCKER.rglob("*.sh")) + JOBS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_error(path):
    assert "\nset -eu\n" in path.read_text()


@pytest.mark.parametrize(
    "name", ["build.sh", "entrypoint", "lock.sh", "slurm/one-node.sh", "wheels.sh", "with-openmpi"]
)
def test_scripts_can_be_executed(name):
    assert os.access(DOCKER / name, os.X_OK)
