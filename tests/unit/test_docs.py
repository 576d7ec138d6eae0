"""What the pages under docs/ say about settings is what the code does."""

import dataclasses
import re

import pytest

from envs.config import ForagingConfig
from envs.presets import PRESETS
from envs.types import COUNTS
from tests.conftest import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
WORLD = (ROOT / "docs" / "world.md").read_text()


@pytest.mark.parametrize("field", dataclasses.fields(ForagingConfig), ids=lambda field: field.name)
def test_every_setting_of_the_world_is_documented_with_its_default(field):
    row = re.search(rf"^\| `{field.name}` \| `(.+?)` \| (.+) \|$", WORLD, re.MULTILINE)
    assert row, f"docs/world.md has no row for {field.name}"
    assert row[1] == repr(field.default)
    assert len(row[2]) > 3


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_documented(preset):
    assert re.search(rf"^\| `{preset}` \| .{{10,}} \|$", WORLD, re.MULTILINE)


@pytest.mark.parametrize("name", [*COUNTS, "fitness"])
def test_every_measure_is_documented(name):
    assert re.search(rf"`[^`]*\b{name}\b", WORLD)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_of_a_page_exists(page):
    links = re.findall(r"\]\(([^)#\s]+)|src=\"([^\"]+)\"", page.read_text())
    paths = [a or b for a, b in links if not (a or b).startswith("http")]
    assert [path for path in paths if not (page.parent / path).exists()] == []


def test_every_fault_has_a_row_that_names_its_test_or_the_reason_why_there_is_none():
    tested, untested = (ROOT / "docs" / "faults.md").read_text().split("## Not tested")
    rows = {True: re.findall(r"^\| (F\d.*?) \|.*\]\(\.\./tests/.*\|$", tested, re.MULTILINE)}
    rows[False] = re.findall(r"^\| (F\d.*?) \|.*\|.{20,}\|$", untested, re.MULTILINE)
    found = {label for labels in (*rows[True], *rows[False]) for label in labels.split(", ")}
    assert found == {f"F{number:02d}" for number in range(1, 49)}
