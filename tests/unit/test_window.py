"""The live window: what it shows, how long, and what its keys do. Without a display, by SDL's dummy driver."""

import math
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled, Error

import envs.window
from envs.foraging import AntForagingEnv
from envs.render import MARGIN, Layers, render_frame
from envs.window import SPEEDS, Window

pygame = pytest.importorskip("pygame")


class Clock:
    """Time that passes only while somebody sleeps; `then` is called at every nap."""

    def __init__(self):
        self.now = 100.0
        self.n_naps = 0
        self.then = lambda: None

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.n_naps += 1
        self.then()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(envs.window, "time", clock)
    yield clock
    pygame.display.quit()


@pytest.fixture
def env():
    """A world of 9 by 9 patches, whose frame fits on any display."""
    env = AntForagingEnv(
        "open", width=9, height=9, arena=(0, 8, 0, 8), nest_x=(4, 4), nest_y=(4, 4), nest_radius=1.0, piles=(), n_ants=3
    )
    env.reset(seed=0)
    env.state.pheromone[2, 3] = 500.0
    return env


@pytest.fixture
def window(env):
    """A window that has shown the world once."""
    window = Window(fps=20)
    window.show(env.state, env.config)
    yield window
    window.close()


def press(*keys):
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def screen():
    """(height, width, 3) what the window shows."""
    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def test_the_window_shows_the_frame_pixel_by_pixel(window, env):
    np.testing.assert_array_equal(screen(), render_frame(env.state, env.config))


@pytest.mark.parametrize("factor", [0.5, 2, 2.5])
def test_a_resized_window_shows_the_whole_picture_in_the_middle(window, env, factor):
    height, width = screen().shape[:2]
    size = (round(width * factor) + 100, round(height * factor))
    pygame.display.set_mode(size, pygame.RESIZABLE)
    window._next_tick_at = 0.0
    window._drawn_at = -math.inf
    window.show(env.state, env.config)
    shown = screen()
    assert shown.shape[:2] == size[::-1]
    assert (shown[:, :50] == MARGIN).all()
    assert (shown[:, -50:] == MARGIN).all()
    if factor == 2:  # sharp
        frame = render_frame(env.state, env.config)
        np.testing.assert_array_equal(shown[:, 50:-50], frame.repeat(2, axis=0).repeat(2, axis=1))


def test_a_frame_larger_than_the_display_is_shown_smaller():
    env = AntForagingEnv()
    env.reset(seed=0)
    window = Window(fps=20)
    window.show(env.state, env.config)
    room = pygame.display.get_desktop_sizes()[0]
    assert screen().shape[0] <= room[1]
    assert screen().shape[1] <= room[0]
    window.close()


def test_ticks_come_at_the_speed_that_was_asked_for(window, env, clock):
    for keys, seconds in [((), 0.05), ((pygame.K_PLUS,), 0.025), ((pygame.K_MINUS, pygame.K_KP_MINUS), 0.1)]:
        press(*keys)
        window.show(env.state, env.config)
        start = clock.now
        for _ in range(40):
            window.show(env.state, env.config)
        assert clock.now - start == pytest.approx(40 * seconds, rel=0.05)


def test_a_late_tick_is_not_made_up_for_by_a_rush(window, env, clock):
    clock.now += 60.0
    start = clock.now
    for _ in range(11):
        window.show(env.state, env.config)
    assert clock.now - start >= 9 * 0.05


def test_plus_goes_up_to_as_fast_as_possible_and_minus_down_to_a_quarter(window, env, clock):
    press(*[pygame.K_PLUS] * 20)
    window.show(env.state, env.config)
    assert window.speed == math.inf
    n_naps = clock.n_naps
    for _ in range(100):
        window.show(env.state, env.config)
    assert clock.n_naps == n_naps
    press(*[pygame.K_MINUS] * 20)
    window.show(env.state, env.config)
    assert window.speed == min(SPEEDS) == 0.25


def test_a_plus_on_any_keyboard_counts(window, env):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_1, unicode="+"))
    window.show(env.state, env.config)
    assert window.speed == 2.0


def test_space_pauses_until_it_is_pressed_again(window, env, clock):
    press(pygame.K_SPACE)
    start = clock.now
    clock.then = lambda: press(pygame.K_SPACE) if clock.now > start + 60.0 and window.is_paused else None
    window.show(env.state, env.config)
    assert clock.now > start + 60.0
    assert not window.is_paused


@pytest.mark.parametrize("key", [pygame.K_RIGHT, pygame.K_PERIOD])
def test_a_paused_colony_does_one_tick_at_a_time(window, env, clock, key):
    press(pygame.K_SPACE)
    clock.then = lambda: press(key) if clock.n_naps % 100 == 0 else None
    for k in range(1, 4):
        env.state.pheromone[2, 3] = 10.0**k
        window.show(env.state, env.config)
        assert window.is_paused
        assert clock.n_naps // 100 == k
        np.testing.assert_array_equal(screen(), render_frame(env.state, env.config))


def test_a_step_means_nothing_while_the_colony_runs(window, env, clock):
    press(pygame.K_RIGHT)
    start = clock.now
    window.show(env.state, env.config)
    window.show(env.state, env.config)
    assert clock.now - start >= 0.05


@pytest.mark.parametrize(("key", "layer"), [("p", "pheromone"), ("a", "ants"), ("h", "hud")])
def test_keys_hide_and_show_layers_even_while_paused(window, env, clock, key, layer):
    seen = []

    def look():
        if clock.n_naps % 10 == 0:
            seen.append(screen())
            press(pygame.key.key_code(key) if len(seen) < 3 else pygame.K_SPACE)

    press(pygame.K_SPACE)
    clock.then = look
    window.show(env.state, env.config)
    hidden = render_frame(env.state, env.config, Layers(**{layer: False}))
    if layer != "hud":  # without the numbers the picture has another shape than the window
        np.testing.assert_array_equal(seen[1], hidden)
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


@pytest.mark.parametrize("kind", ["escape", "closed"])
def test_after_the_end_nothing_is_shown(window, env, clock, kind):
    if kind == "escape":
        press(pygame.K_SPACE, pygame.K_ESCAPE, pygame.K_SPACE)
    else:
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.show(env.state, env.config)
    assert window.is_closed
    assert pygame.display.get_surface() is None
    n_naps = clock.n_naps
    window.show(env.state, env.config)
    window.hold(env.state, env.config)
    window.close()
    assert clock.n_naps == n_naps


def test_the_last_picture_stays_until_the_window_is_closed(window, env, clock):
    start = clock.now
    press(pygame.K_SPACE, pygame.K_RIGHT, pygame.K_x)
    clock.then = lambda: press(pygame.K_ESCAPE) if clock.now > start + 10.0 else None
    window.hold(env.state, env.config)
    assert clock.now > start + 10.0
    assert window.is_closed


def test_the_title_tells_the_speed_the_pause_and_the_keys(window, env, clock):
    first, _ = pygame.display.get_caption()
    titles = []
    clock.then = lambda: (titles.append(pygame.display.get_caption()[0]), press(pygame.K_ESCAPE))
    press(pygame.K_MINUS, pygame.K_SPACE)
    window.show(env.state, env.config)
    assert "× 1 " in first
    assert "× 0.5 " in titles[0]
    assert ("paused  " in first, "paused  " in titles[0]) == (False, True)
    assert "Esc end" in first


def test_an_environment_for_people_draws_every_tick_and_goes_on_after_the_end(clock):
    env = gymnasium.make("envs:AntForaging-v0", render_mode="human", n_ticks=50)
    env.reset(seed=0)
    assert pygame.display.get_surface() is not None
    for _ in range(5):
        env.step(env.action_space.sample())
    press(pygame.K_ESCAPE)
    for _ in range(5):
        env.step(env.action_space.sample())
    assert pygame.display.get_surface() is None
    env.close()
    env.reset(seed=0)
    assert pygame.display.get_surface() is not None
    env.close()
    assert pygame.display.get_surface() is None


def test_without_pygame_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install -e '.\[render\]'"):
        Window(fps=20)


@pytest.mark.parametrize("driver", ["none_of_the_known", ""])
def test_without_a_display_the_error_names_the_other_modes(monkeypatch, driver):
    monkeypatch.setenv("SDL_VIDEODRIVER", driver)
    if not driver:
        monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    with pytest.raises(Error, match="needs a display, and there is none: use 'ansi' or 'rgb_array'"):
        Window(fps=20)
