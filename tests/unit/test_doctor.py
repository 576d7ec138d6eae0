"""`stigmergy doctor` passes on a sound machine and names what is wrong on another."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import checks, doctor
from experiments.checks import FAILED, OK, WARNING
from optim.tasks import Task, TaskResult

STIGMERGY = Path(sys.executable).parent / "stigmergy"
MPIRUN = Path(sys.executable).parent / "mpirun"


@pytest.fixture
def run_doctor(run_python):
    """Function that runs the command in a fresh process in an empty folder; returns its exit code and its lines."""

    def run(*arguments, before="pass", env=None):
        code = f"import sys; {before}; from experiments.cli import main; sys.exit(main(['doctor', *sys.argv[1:]]))"
        done = run_python("-c", code, *arguments, env=env)
        return done.returncode, done.stdout

    return run


def line_of(name, shown):
    return next(line for line in shown.splitlines() if f" {name} " in line)


@pytest.mark.nest
def test_nothing_is_wrong_with_this_machine(run_doctor):
    code, shown = run_doctor()
    assert code == 0, shown
    assert {line.split()[0] for line in shown.splitlines()} <= {OK, WARNING}
    assert line_of("NEST", shown).startswith(OK)
    assert line_of("engines", shown).startswith(OK)


@pytest.mark.nest
def test_a_folder_that_cannot_be_written_to_is_a_warning_and_leaves_nothing_behind(run_doctor, tmp_path):
    (tmp_path / "file").touch()
    code, shown = run_doctor("--runs", "file/runs")
    assert code == 0, shown
    assert "--runs DIR" in line_of("run folder", shown)
    assert line_of("HDF5", shown).startswith(OK)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("before", "env", "name", "text"),
    [
        ("sys.modules['nest'] = None", {}, "NEST", "pip install 'nest-simulator"),
        ("pass", {"MPI4PY_LIBMPI": "/no/libmpi.so"}, "MPI", "MPI4PY_LIBMPI, which is /no/libmpi.so"),
        ("pass", {"OMPI_COMM_WORLD_SIZE": "4"}, "ranks", "each sees itself alone"),
    ],
    ids=["no NEST", "no MPI library", "launcher of another MPI"],
)
def test_what_is_broken_fails_with_the_way_out(run_doctor, before, env, name, text):
    code, shown = run_doctor(before=before, env=env)
    assert code == 69, shown
    assert line_of(name, shown).startswith(FAILED)
    assert text in line_of(name, shown)


def test_among_processes_that_are_all_alone_only_the_first_speaks(run_doctor):
    code, shown = run_doctor(env={"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"})
    assert (code, shown) == (69, "")


def test_a_wrong_flag_is_a_usage_error(run_doctor):
    assert run_doctor("--nothing") == (64, "")


@pytest.mark.slow
@pytest.mark.mpi
@pytest.mark.nest
@pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun in {MPIRUN.parent}: pip install -e '.[mpi]'")
def test_under_mpirun_every_rank_answers_and_one_reports(tmp_path):
    # with an empty compiler cache: what a compiler keeps must not keep the ranks from ending
    done = subprocess.run(
        [MPIRUN, "-n", "3", STIGMERGY, "doctor"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 on 1 node, all give the same spikes" in done.stdout
    assert done.stdout.count("versions") == 1


class Answers:
    """An evaluator whose ranks answer with a node and spikes."""

    def __init__(self, answers):
        self.n_ranks = len(answers)
        self._answers = answers

    def evaluate(self, generation, genomes, n_episodes):
        assert len(genomes) * n_episodes == self.n_ranks
        return [
            TaskResult(Task(generation, rank, 0), None, 0.0, f"Traceback …\n{answer}", "exception")
            if isinstance(answer, str)
            else TaskResult(Task(generation, rank, 0), np.array(answer, dtype=float), 0.0)
            for rank, answer in enumerate(self._answers)
        ]


@pytest.mark.parametrize(
    ("answers", "state", "text"),
    [
        ([(1, 7), (1, 7), (2, 7), (2, 7)], OK, "4 on 2 nodes"),
        ([(1, 7), (1, 7), (2, 7), (2, 8)], WARNING, "different spikes"),
        ([(1, 7), (1, 7), (2, 7), "RuntimeError: on node9: no"], FAILED, "1 of 4 ranks: RuntimeError: on node9: no"),
    ],
)
def test_ranks_that_fail_or_differ_are_told(answers, state, text):
    hosts = Counter([1])
    finding = doctor.check_ranks(lambda settings: Answers(answers), hosts)
    assert finding.state == state
    assert text in finding.text
    if state != FAILED:
        assert hosts == {1: 2, 2: 2}


def test_a_rank_whose_checks_fail_says_where(monkeypatch):
    monkeypatch.setattr(doctor, "check_nest", lambda: checks.Finding(FAILED, "no NEST here"))
    with pytest.raises(RuntimeError, match=rf"on {os.uname().nodename}: no NEST here"):
        doctor.make_rank_check(None)(Task(0, 0, 0), np.zeros(1))


@pytest.mark.parametrize(("spikes", "state"), [({"nest": 1, "numba": 1}, OK), ({"nest": 1, "numba": 2}, FAILED)])
def test_engines_have_to_agree(monkeypatch, spikes, state):
    monkeypatch.setattr(checks, "spikes_digest", spikes.get)
    assert checks.check_engines().state == state


@pytest.mark.nest
def test_the_digest_tells_spikes_apart(monkeypatch):
    import snn

    before = checks.spikes_digest("nest")
    random_genomes = snn.random_genomes
    monkeypatch.setattr(snn, "random_genomes", lambda config, n, _: random_genomes(config, n, np.random.default_rng(1)))
    assert checks.spikes_digest("nest") != before


@pytest.mark.parametrize(
    ("threads", "own", "n_cores", "n_ranks", "state"),
    [
        ("64", 2, 2, 2, WARNING),  # the fault F43
        ("2", 2, 2, 2, WARNING),
        ("2", 4, 4, 2, OK),
        ("2", 2, 128, 64, OK),  # ranks bound to two cores each
        ("4", 2, 128, 1, WARNING),
        ("1", 1, 2, 64, OK),  # more ranks than cores is a choice
        ("", 2, 2, 2, OK),
    ],
)
def test_threads_beyond_the_cores_are_a_warning(monkeypatch, threads, own, n_cores, n_ranks, state):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(checks, "_n_cores", lambda: own)
    monkeypatch.setattr(os, "cpu_count", lambda: n_cores)
    finding = checks.check_threads(n_ranks)
    assert finding.state == state
    assert ("export OMP_NUM_THREADS=1" in finding.text) == (state == WARNING)


@pytest.mark.parametrize(
    ("free", "n_ranks", "state"), [(64e6, 8, OK), (64e6, 16, WARNING), (1e9, 64, OK), (0, 1, WARNING)]
)
def test_shared_memory_has_to_suffice_for_the_ranks(monkeypatch, tmp_path, free, n_ranks, state):
    monkeypatch.setattr(checks, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(checks, "_n_cores", lambda: 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    finding = checks.check_shared_memory(n_ranks)
    assert finding.state == state
    assert ("--shm-size=1g" in finding.text) == (state == WARNING)


def test_a_cache_folder_that_cannot_be_written_to_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "numba"))
    finding = checks.check_cache()
    assert finding.state == WARNING
    assert "Set NUMBA_CACHE_DIR" in finding.text


def test_without_a_folder_for_compiled_code_nothing_else_is_tried(monkeypatch, capsys):
    def refuse(package):
        raise RuntimeError("cannot cache function 'tick': no locator available for file 'ants.py'")

    monkeypatch.setattr(checks.importlib, "import_module", refuse)
    assert doctor.main([]) == 69
    shown = capsys.readouterr().out
    assert shown.startswith(f"{FAILED}   cache")
    assert "--tmpfs /tmp" in shown
    assert len(shown.splitlines()) == 1


def test_a_file_system_without_locks_fails_and_one_that_ignores_them_is_a_warning(monkeypatch, tmp_path):
    def refuse(file, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(checks.fcntl, "flock", refuse)
    assert checks.check_locking(tmp_path).state == FAILED
    monkeypatch.setattr(checks.fcntl, "flock", lambda file, operation: None)
    assert checks.check_locking(tmp_path).state == WARNING


def test_a_table_that_comes_back_changed_fails(monkeypatch, tmp_path):
    import experiments.storage

    assert checks.check_hdf5(tmp_path).state == OK
    monkeypatch.setattr(experiments.storage, "read_tables", lambda file: {"table": {"values": np.zeros(1000)}})
    assert checks.check_hdf5(tmp_path).state == FAILED
