"""The packages as a whole: foreign namesakes, layers that load without their extras."""

import pytest


@pytest.mark.parametrize("name", ["envs", "snn", "optim"])
def test_a_foreign_package_of_the_same_name_is_refused_with_its_place(run_python, tmp_path, name):
    (tmp_path / "foreign" / name).mkdir(parents=True)
    (tmp_path / "foreign" / name / "__init__.py").write_text("")
    done = run_python("-c", f"import sys; sys.path.insert(0, r'{tmp_path / 'foreign'}'); import experiments")
    assert done.returncode == 1
    assert f"the package {name!r} is found in {tmp_path / 'foreign'}" in done.stderr
    assert f"pip uninstall {name}" in done.stderr


@pytest.mark.parametrize("statement", ["import envs.foraging", "import optim", "import snn", "import experiments.run"])
def test_packages_load_without_the_optional_ones(run_python, statement):
    block = "import sys; sys.modules.update(dict.fromkeys(('mpi4py', 'matplotlib', 'nest')))"
    done = run_python("-c", f"{block}; {statement}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", ["import envs; name = 'AntForaging-v0'", "name = 'envs:AntForaging-v0'"])
def test_the_world_is_registered_by_import_or_by_name(run_python, code):
    done = run_python("-W", "error", "-c", f"import gymnasium; {code}; gymnasium.make(name).reset(seed=0)")
    assert done.returncode == 0, done.stderr


def test_importing_experiments_caps_threads_but_respects_the_user(run_python):
    code = "import os, experiments; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    done = run_python("-c", code, env={"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1"})
    assert done.stdout.split() == ["1", "3"]


@pytest.mark.parametrize("module", ["envs", "snn", "numba, envs", "experiments.compiled"])
def test_a_changed_kernel_gets_a_compiler_cache_of_its_own(run_python, tmp_path, module):
    from tests.conftest import ROOT

    copy = tmp_path / "copy"
    for package in ("envs", "snn", "optim", "experiments"):
        (copy / package).mkdir(parents=True)
        for source in (ROOT / package).glob("*.py"):
            (copy / package / source.name).write_bytes(source.read_bytes())
    code = f"import os, sys; sys.path.insert(0, r'{copy}'); import {module}, numba; print(numba.config.CACHE_DIR)"

    def cache():
        return run_python("-c", f"import os; os.environ.pop('NUMBA_CACHE_DIR', None); {code}").stdout.strip()

    before = cache()
    kernel = copy / "envs" / "pheromone.py"
    kernel.write_text(kernel.read_text() + "\n# changed\n")
    assert before
    assert cache() != before
