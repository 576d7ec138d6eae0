"""Missing packages, no network, clocks that jump, nobody who listens: F37 to F39, F42."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.toy import assert_same_run, run_toy, tree

TOY = [sys.executable, "-m", "tests.faults.toy"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("package", ["h5py", "tqdm"])
def test_f37_a_missing_package_is_one_sentence_with_69(run_python, tmp_path, package):
    code = f"import sys; sys.modules[{package!r}] = None; from experiments.cli import main; sys.exit(main(['ants']))"
    done = run_python("-c", code)
    assert done.returncode == 69
    assert done.stderr == f"error: not installed: {package}. Install stigmergy with all it needs: pip install -e .\n"
    assert list(tmp_path.iterdir()) == []


def test_f37_without_h5py_networks_worlds_and_optimizers_still_import(run_python):
    done = run_python("-c", "import sys; sys.modules['h5py'] = None; import snn, envs, optim; import envs.foraging")
    assert done.returncode == 0, done.stderr


def test_f37_the_script_tells_what_is_missing_before_it_imports_it(run_python, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['h5py'] = None")
    done = run_python(str(ROOT / "experiments" / "ants.py"), env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stderr[:30]) == (69, "error: not installed: h5py. In")


def test_f38_nothing_reaches_for_the_network(run_python, tmp_path):
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "from experiments.ants import main\n"
        "tiny = ['--population', '4', '--generations', '2', '--brain.engine', 'numba', '--brain.n_hidden', '2']\n"
        "sys.exit(main([*tiny, '--env.n_ticks', '3', '--env.n_ants', '2', '--name', 'a']))"
    )
    done = run_python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "a" / "results.h5").exists()


def test_f39_a_clock_that_goes_back_and_a_far_time_zone_change_nothing(tmp_path, whole, monkeypatch):
    expected = whole()
    now = [2e9]

    def backwards():
        now[0] -= 3600.0
        return now[0]

    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    monkeypatch.setattr(time, "time", backwards)
    assert run_toy(tmp_path / "run", generations=2) == 0
    assert run_toy(tmp_path / "run", generations=3) == 0
    monkeypatch.undo()
    time.tzset()
    assert_same_run(tmp_path / "run", expected)


def test_f39_names_and_provenance_are_in_utc(run_python, tmp_path):
    code = (
        "import json; from experiments.command import run_name; from experiments.provenance import collect_provenance; "
        "print(run_name(None, 'x'), collect_provenance(1, 1, '', '')['started_utc'])"
    )
    before = time.time()
    done = run_python("-c", code, env={"TZ": "Pacific/Kiritimati"})
    name, started = done.stdout.split()
    utc = [time.strftime("%Y%m%d-%H%M", time.gmtime(moment)) for moment in (before, time.time())]
    assert name[2:-2] in utc
    assert re.sub(r"[-:]", "", started)[:13].replace("T", "-") in utc
    assert started.endswith("+00:00")


def test_f42_a_reader_that_leaves_does_not_stop_the_run(tmp_path, whole):
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    command = [*TOY, str(tmp_path / "run"), "3", "6"]
    done = subprocess.run(command, stdout=reader.stdin, stderr=subprocess.PIPE, env=ENVIRONMENT, cwd=ROOT)
    reader.stdin.close()
    assert (done.returncode, done.stderr) == (0, b"")
    assert_same_run(tmp_path / "run", whole())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_f42_a_full_log_does_not_stop_the_run(tmp_path, whole):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [*TOY, str(tmp_path / "run"), "3", "6"]
        done = subprocess.run(command, stdout=full, stderr=full, env=ENVIRONMENT, cwd=ROOT)
    assert done.returncode == 0
    assert_same_run(tmp_path / "run", whole())


def test_f42_an_error_that_cannot_be_told_still_has_its_exit_code(tmp_path):
    (tmp_path / "file").write_text("")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        command = [*TOY, str(tmp_path / "file" / "run"), "3", "6"]
        done = subprocess.run(command, stdout=full, stderr=full, env=ENVIRONMENT, cwd=ROOT)
    assert done.returncode == 73
    assert list(tree(tmp_path)) == ["file"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_f42_closed_output_does_not_stop_the_run(tmp_path, whole, closed):
    command = f'exec "$@" {closed}'
    done = subprocess.run(["sh", "-c", command, "sh", *TOY, str(tmp_path / "run"), "3", "6"], env=ENVIRONMENT, cwd=ROOT)
    assert done.returncode == 0
    assert_same_run(tmp_path / "run", whole())


def test_f42_an_encoding_without_our_signs_does_not_stop_the_run(tmp_path):
    command = [*TOY, str(tmp_path / "rün"), "3", "6"]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\xb1" in done.stdout
