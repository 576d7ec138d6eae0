"""`python -m envs.play`: ways of watching a colony, and how they end."""

import math
import os
import sys

import pytest

import envs.play
from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from envs.play import TerminalViewer, default_mode, main
from envs.policies import make_policy


@pytest.fixture(autouse=True)
def _no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def outcome(policy, n_ticks, seed=3, **settings):
    """Measures of an episode that is stepped here."""
    env = AntForagingEnv(n_ticks=n_ticks, **settings)
    obs, info = env.reset(seed=seed)
    ants = make_policy(policy, env, seed)
    for _ in range(n_ticks):
        obs, *_, info = env.step(ants.act(obs))
    return info


def test_lines_tell_every_100_ticks_and_the_outcome(capsys):
    assert main(["--policy", "oracle", "--seed", "3", "--ticks", "250", "--mode", "lines"]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    assert [int(line.split()[1]) for line in lines] == [0, 100, 200, 250]
    info = outcome("oracle", 250)
    assert int(lines[-1].split()[3]) == info["food"] > 0
    assert summary == (
        f"oracle ants on published_test, seed 3: {info['food']} of 152 food units in 250 ticks, "
        f"fitness {info['fitness']:.1f}"
    )


def test_settings_of_the_world_are_flags_and_win_over_those_of_the_policy(capsys):
    flags = [
        "--policy",
        "rule",
        "--n-ants",
        "3",
        "--ant-speed",
        "0.5",
        "--piles",
        "[[90, 10]]",
        "--has-repellent",
        "true",
    ]
    assert main([*flags, "--mode", "lines", "--ticks", "1", "--pheromone-period", "3"]) == 0
    assert "of 52 food units in 1 ticks" in capsys.readouterr().out
    known = envs.play._make_parser()._option_string_actions
    assert {action.dest for action in known.values()} >= set(ForagingConfig.__dataclass_fields__)


def test_pictures_in_a_file_have_no_codes_that_move_the_cursor(capsys):
    assert main(["--mode", "ansi", "--speed", "0", "--ticks", "3"]) == 0
    text = capsys.readouterr().out
    assert "▀" in text
    assert "\x1b[H" not in text
    assert text.count("tick 3 ") == 1  # the last picture is always shown


def test_pictures_in_a_terminal_cover_each_other_and_leave_a_cursor(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(envs.play.shutil, "get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    assert main(["--mode", "ansi", "--speed", "0", "--ticks", "3"]) == 0
    text = capsys.readouterr().out
    *pictures, end = text.split("\x1b[H")[1:]
    assert all(picture.count("\n") <= 22 for picture in pictures)
    assert "\x1b[?25l" in text
    assert "\x1b[?25h" in end


def test_the_terminal_keeps_the_pace_that_was_asked_for(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(envs.play.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(envs.play.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    env = AntForagingEnv()
    env.reset(seed=0)
    viewer = TerminalViewer(40.0)
    for _ in range(80):
        assert viewer.show(env)
    assert now[0] == pytest.approx(2.0, rel=0.05)


def test_ctrl_c_ends_with_the_outcome_so_far(monkeypatch, capsys):
    class Impatient:
        n_ticks = 0

        def act(self, obs):
            self.n_ticks += 1
            if self.n_ticks == 6:
                raise KeyboardInterrupt
            return [[0, 0, 0]] * 15

    monkeypatch.setattr(envs.play, "make_policy", lambda *_: Impatient())
    assert main(["--policy", "random", "--mode", "ansi", "--speed", "0"]) == 0
    assert "0 of 152 food units in 5 ticks" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "clever"], "invalid choice: 'clever'"),
        (["--preset", "desert"], "invalid choice: 'desert'"),
        (["--n-ants", "0"], "n_ants=0 is not allowed"),
        (["--n-ants", "many"], "n_ants='many' is not allowed"),
        (["--seed", "-1"], "must be >= 0"),
        (["--speed", "-1"], "must be >= 0"),
        (["--speed", "nan"], "must be >= 0"),
        (["--policy", "rule", "--observation", "binary"], "observation"),
        (["--n-antz", "3"], "unrecognized arguments"),
    ],
)
def test_bad_arguments_are_an_error(capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        main(["--mode", "lines", "--ticks", "1", *arguments])
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_without_a_display_a_window_is_an_error_that_names_the_other_modes(monkeypatch, capsys):
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "none_of_the_known")
    with pytest.raises(SystemExit):
        main(["--mode", "human"])
    assert "needs a display" in capsys.readouterr().err


def test_the_default_is_the_best_way_of_watching_there_is(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert default_mode() == "lines"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert default_mode() == "ansi"
    monkeypatch.setenv("DISPLAY", ":0")
    assert default_mode() == "human"
    monkeypatch.setattr(envs.play.importlib.util, "find_spec", lambda _: None)
    assert default_mode() == "ansi"


def test_a_window_stays_after_the_last_tick_and_its_end_is_the_end(monkeypatch, capsys):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    held = []

    def escape(window, state, config):
        held.append((int(state.counts[6]), window.speed))
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
        hold(window, state, config)

    hold = envs.play.Window.hold
    monkeypatch.setattr(envs.play.Window, "hold", escape)
    assert main(["--mode", "human", "--speed", "0", "--ticks", "7"]) == 0
    assert held == [(7, math.inf)]
    assert pygame.display.get_surface() is None
    assert "in 7 ticks" in capsys.readouterr().out


def test_esc_ends_the_watching_of_a_colony_under_way(monkeypatch, capsys):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    show = envs.play.Window.show

    def escape(window, state, config):
        if state.counts[6] == 4:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))
        show(window, state, config)

    monkeypatch.setattr(envs.play.Window, "show", escape)
    assert main(["--mode", "human", "--speed", "50"]) == 0
    assert "in 4 ticks" in capsys.readouterr().out


def test_several_episodes_are_scored_and_not_shown(capsys):
    assert main(["--policy", "oracle", "--seed", "3", "--ticks", "250", "--episodes", "2"]) == 0
    food = [play_outcome["food"] for play_outcome in (outcome("oracle", 250), outcome("oracle", 250, seed=4))]
    mean, sd = sum(food) / 2, abs(food[0] - food[1]) / 2**0.5
    assert capsys.readouterr().out == (f"oracle ants on published_test, 2 episodes: food {mean:.1f} ± {sd:.1f}\n")
