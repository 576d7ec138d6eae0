"""Pictures of the world as text: in colours, and in plain characters."""

import re

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.render import (
    ANT,
    LOADED_ANT,
    cell_colours,
    render_ansi,
)
from tests.unit.picture_cases import NOTHING, each_preset, square, world


def read_back(lines):
    """(rows, columns, 3) colours of half blocks, from what the escape codes mean."""
    rows = []
    for line in lines:
        colours, upper, lower = {}, [], []
        for ground, red, green, blue, block in re.findall(r"\x1b\[(?:([34])8;2;(\d+);(\d+);(\d+)|0)m|(▀)", line):
            if block:
                upper.append(colours["3"])
                lower.append(colours["4"])
            elif ground:
                colours[ground] = (int(red), int(green), int(blue))
        rows += [upper, lower]
    return np.array(rows)


@each_preset
def test_text_in_colours_shows_the_cells_of_the_frame_and_the_ants(preset):
    env = AntForagingEnv(preset, render_mode="ansi")
    env.reset(seed=0)
    env.state.is_carrying[0] = True
    *lines, numbers = env.render().split("\n")
    assert all(line.endswith("\x1b[0m") for line in lines)
    shown, cells = read_back(lines), cell_colours(env.state, env.config)
    is_ant = np.isin(shown, (ANT, LOADED_ANT)).all(axis=2)
    x_min, _, _, y_max = env.config.arena
    nest_x, nest_y = env.state.nest.astype(int)
    assert is_ant.sum() == 1  # all are still in the nest
    np.testing.assert_array_equal(shown[y_max - nest_y, nest_x - x_min], LOADED_ANT)
    rows = len(cells)
    np.testing.assert_array_equal(shown[:rows][~is_ant[:rows]], cells[~is_ant[:rows]])
    assert numbers == f"tick 0   food 0/{env.state.food.sum()}   carrying 1"


@pytest.mark.parametrize("size", [99, 101, 1000])
def test_text_of_large_worlds_fits_into_its_room(size):
    env = square(size)
    *lines, _ = render_ansi(env.state, env.config).split("\n")
    assert 25 < len(lines) <= 50
    assert {line.count("▀") for line in lines} == {-(-size // -(-size // 100))}
    *lines, _ = render_ansi(env.state, env.config, room=(30, 40)).split("\n")
    assert len(lines) <= 40
    assert max(line.count("▀") for line in lines) <= 30


def test_text_without_colours_has_a_letter_for_everything(painted, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    state = painted.state
    state.x[:], state.y[:] = 90.0, 50.0
    state.heading[:] = 90.0
    state.x[1], state.heading[1], state.is_carrying[1] = 70.0, 180.0, True
    state.pheromone[40, 80], state.pheromone[40, 81] = 5.0, 50.0
    state.food[53, 65] = 30
    lines = render_ansi(state, painted.config).split("\n")
    at = {(x, y): lines[(60 - y) // 2][x - 60] for x in range(60, 101) for y in range(1, 61)}
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 31
    assert at[60, 30] == at[80, 1] == at[100, 60] == "#"
    assert at[75, 20] == "n"
    assert (at[65, 6], at[65, 53]) == ("2", "*")
    assert (at[80, 40], at[81, 40], at[85, 40]) == (".", "+", " ")
    assert (at[90, 50], at[70, 50]) == ("→", "⇓")
    assert lines[-1] == "tick 0   food 0/150   carrying 1"


def test_more_repellent_than_pheromone_is_a_dash_in_plain_text(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    env = world("two_pheromones", n_scattered=0)
    env.state.repellent[40, 80], env.state.pheromone[40, 80] = 20.0, 10.0
    assert render_ansi(env.state, env.config).split("\n")[10][20] == "-"
    hidden = render_ansi(env.state, env.config, NOTHING)
    assert set(hidden) == {"#", " ", "\n"}
