"""Pictures of the world: what is where in which colour, as a frame and as text."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from envs import glyphs
from envs.foraging import AntForagingEnv
from envs.presets import make_config
from envs.render import (
    ANT,
    FOODS,
    GROUND,
    LOADED_ANT,
    NEST,
    REPELLENT,
    TEXT,
    TRAIL,
    WALLS,
    Layers,
    frame_layout,
    render_frame,
)
from envs.types import WALL
from tests.unit.picture_cases import NOTHING, each_preset, pixel, pixels_of, square, world

# --- frames -----------------------------------------------------------------------------------------------------------


@each_preset
def test_a_frame_is_an_even_picture_of_constant_size_that_leaves_the_world_alone(preset):
    env = world(preset)
    before = [part.copy() for part in env.state]
    frame = env.render()
    for part, copy in zip(env.state, before, strict=True):
        np.testing.assert_array_equal(part, copy)
    layout = frame_layout(env.config)
    assert (frame.shape, frame.dtype) == ((layout.height, layout.width, 3), np.uint8)
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
    np.testing.assert_array_equal(env.render(), frame)
    env.action_space.seed(0)
    for _ in range(3):
        env.step(env.action_space.sample())
    assert env.render().shape == frame.shape
    assert not np.array_equal(env.render(), frame)


def test_the_published_arena_has_12_pixels_per_patch_and_the_rest_of_the_world_is_not_shown():
    layout = frame_layout(make_config())
    assert (layout.scale, layout.stride, layout.width) == (12, 1, 41 * 12 + 2 * 12)
    assert 60 * 12 + 2 * 12 < layout.height < 60 * 12 + 2 * 12 + 80


@pytest.mark.parametrize(
    ("size", "scale", "stride"), [(5, 24, 1), (71, 10, 1), (700, 2, 1), (1400, 1, 1), (1401, 1, 2)]
)
def test_frames_of_any_world_stay_within_1500_pixels(size, scale, stride):
    env = square(size)
    layout = frame_layout(env.config)
    assert (layout.scale, layout.stride) == (scale, stride)
    assert max(env.render().shape) <= 1500


def test_in_a_world_larger_than_a_frame_a_single_patch_is_still_seen():
    env = square(3000, pile_radius=1.0, piles=((2999, 0),), food_surplus=0)
    env.state.pheromone[2999, 1234] = 5000.0
    env.state.x[:], env.state.y[:] = 2999.0, 2999.0
    layout = frame_layout(env.config)
    frame = env.render()
    assert layout.stride == 3
    np.testing.assert_array_equal(frame[layout.top, layout.left + 1234 // 3], TRAIL[-1])
    np.testing.assert_array_equal(frame[layout.top + 999, layout.left + 999], FOODS)
    assert (frame[layout.top - 2 : layout.top + 3, layout.left + 997 : layout.left + 1002] == ANT).all(axis=2).any()


def test_walls_food_nest_and_ground_have_their_colours_at_their_places(painted):
    frame = painted.render()
    for x, y in [(60, 1), (60, 60), (100, 1), (100, 60), (60, 30), (100, 30), (80, 1), (80, 60)]:
        np.testing.assert_array_equal(pixel(frame, x, y), WALLS)
    for x, y in [(65, 53), (65, 6), (96, 30), (63, 51), (67, 8), (98, 28)]:
        np.testing.assert_array_equal(pixel(frame, x, y), FOODS)
    for x, y in [(61, 2), (99, 59), (80, 40), (68, 53), (96, 33), (75, 23)]:
        np.testing.assert_array_equal(pixel(frame, x, y), GROUND)
    for x, y in [(73, 18), (77, 22), (73, 22), (77, 20)]:
        np.testing.assert_allclose(pixel(frame, x, y), 0.25 * np.array(GROUND) + 0.75 * np.array(NEST), atol=1)
    # The words of the documentation: grey walls, violet nest, blue food.
    assert np.ptp(WALLS) < 20
    assert np.argmax(NEST) == np.argmax(FOODS) == 2
    assert np.argmin(NEST) == 1


def test_a_patch_with_one_of_two_units_is_darker_and_an_empty_one_is_ground(painted):
    painted.state.food[53, 65] = 1
    painted.state.food[53, 66] = 0
    painted.state.objects[53, 66] = 0
    frame = painted.render()
    np.testing.assert_allclose(pixel(frame, 65, 53), np.array(FOODS) * 0.775, atol=1)
    np.testing.assert_array_equal(pixel(frame, 66, 53), GROUND)


@pytest.mark.parametrize("deposit", [60.0, 0.6])
def test_pheromone_is_shown_from_a_60th_of_a_deposit_and_brightest_from_1000_times_as_much(deposit):
    env = world(deposit=deposit, n_scattered=0)
    env.state.x[:], env.state.y[:] = 70.0, 10.0
    for x, content in ((80, 0.9), (81, 10.0), (82, 1000.0), (83, 5000.0)):
        env.state.pheromone[45, x] = content * deposit / 60.0
    frame = env.render()
    np.testing.assert_array_equal(pixel(frame, 80, 45), GROUND)
    assert pixel(frame, 81, 45).argmax() == 1  # green
    assert sum(GROUND) < pixel(frame, 81, 45).sum() < sum(TRAIL[-1])
    np.testing.assert_array_equal(pixel(frame, 82, 45), TRAIL[-1])
    np.testing.assert_array_equal(pixel(frame, 83, 45), TRAIL[-1])


def test_equal_ratios_of_pheromone_are_equal_steps_on_the_colour_scale(painted):
    # The five colours of a trail are the quarters of three powers of ten: 10**0.75, 10**1.5, 10**2.25, 10**3.
    for k in range(1, 5):
        painted.state.pheromone[45, 80 + k] = 10.0 ** (0.75 * k) * 1.0001
    frame = painted.render()
    for k in range(1, 5):
        np.testing.assert_allclose(pixel(frame, 80 + k, 45), TRAIL[k], atol=6)


@pytest.mark.parametrize("bits", [32, 64])
def test_the_repellent_has_another_hue_and_a_scale_of_its_own(bits):
    env = world("two_pheromones", n_scattered=0, pheromone_bits=bits)
    env.state.repellent[45, 80] = 2000.0
    env.state.repellent[45, 81] = 30.0
    frame = env.render()
    np.testing.assert_array_equal(pixel(frame, 80, 45), REPELLENT[-1])
    assert pixel(frame, 81, 45).argmin() == 1  # magenta
    assert len(frame_layout(env.config).bars) == 2
    assert len(frame_layout(make_config()).bars) == 1


# --- ants -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize(("heading", "dx", "dy"), [(0, 0, 1), (90, 1, 0), (180, 0, -1), (270, -1, 0), (45, 0.71, 0.71)])
def test_an_ant_is_drawn_where_it_stands_with_its_heavy_end_behind_and_its_load_ahead(
    painted, heading, dx, dy, is_loaded
):
    state = painted.state
    state.x[:], state.y[:], state.heading[:], state.is_carrying[:] = 80.0, 40.0, heading, is_loaded
    frame = render_frame(state, painted.config, Layers(food=False))
    x, y = pixels_of(frame, LOADED_ANT if is_loaded else ANT)
    assert len(x) > 30
    assert np.hypot(x - 80, y - 40).max() < 1.5
    assert ((x - 80) * dx + (y - 40) * dy).mean() < -0.1
    x, y = pixels_of(frame, FOODS)
    assert (len(x) > 20) == is_loaded
    if is_loaded:
        np.testing.assert_allclose([x.mean(), y.mean()], [80 + dx, 40 + dy], atol=0.15)
        assert np.hypot(x - 80 - dx, y - 40 - dy).max() < 0.6


def test_an_ant_that_looks_another_way_is_the_same_picture_turned(painted):
    state = painted.state
    pictures = []
    for heading in (20.0, 110.0, 200.0, 290.0):
        state.x[:], state.y[:], state.heading[:] = 80.0, 40.0, heading
        frame = painted.render()
        row, column = 12 + 20 * 12 + 6, 12 + 20 * 12 + 6
        pictures.append(frame[row - 18 : row + 18, column - 18 : column + 18])
    for turns in (1, 2, 3):
        np.testing.assert_array_equal(pictures[turns], np.rot90(pictures[0], -turns))


@pytest.mark.parametrize(("n_ants", "size"), [(15, 60), (1000, 300), (5000, 1000)])
def test_every_ant_is_seen_however_many_there_are(n_ants, size):
    env = square(size, n_ants=n_ants)
    state, layout = env.state, frame_layout(env.config)
    per_row = int(np.ceil(np.sqrt(n_ants)))
    state.x[:] = np.round((np.arange(n_ants) % per_row + 0.5) * size / per_row)
    state.y[:] = np.round((np.arange(n_ants) // per_row + 0.5) * size / per_row)
    state.is_carrying[:] = np.arange(n_ants) % 2
    frame = env.render().astype(int)
    rows = layout.top + ((size - 1 - state.y + 0.5) * layout.scale).astype(int)
    columns = layout.left + ((state.x + 0.5) * layout.scale).astype(int)
    near = np.arange(-3, 4)
    views = frame[rows[:, None, None] + near[:, None], columns[:, None, None] + near]
    # Green is what tells an orange ant from a yellow one, and the lack of blue an ant from all that lies on the ground.
    warmth = views[..., 0] - views[..., 2]
    assert (warmth.max(axis=(1, 2)) > 60).all()
    greenest = np.take_along_axis(views[..., 1].reshape(n_ants, -1), warmth.reshape(n_ants, -1).argmax(1)[:, None], 1)
    assert greenest[1::2].mean() > greenest[::2].mean() + 60


def test_ants_at_the_edges_can_be_drawn(painted):
    state = painted.state
    state.x[:] = np.resize([62.0, 98.0], 15)
    state.y[:] = np.resize([3.0, 58.0, 30.0], 15)
    frame = painted.render()
    for x, y in [(62, 3), (98, 58)]:
        found = pixels_of(frame, ANT)
        assert (np.hypot(found[0] - x, found[1] - y) < 0.7).any()
    env = square(20)
    env.state.x[:], env.state.y[:] = [-0.5, 19.5], [-0.5, 19.5]
    assert (env.render() == ANT).all(axis=2).any()


# --- layers and numbers -----------------------------------------------------------------------------------------------


def test_hidden_layers_leave_ground_and_walls(painted):
    painted.state.pheromone[40, 80] = 100.0
    frame = render_frame(painted.state, painted.config, NOTHING)
    assert frame.shape == (62 * 12, 43 * 12, 3)
    arena = frame[12:-12, 12:-12]
    is_wall, is_ground = ((arena == colour).all(axis=2) for colour in (WALLS, GROUND))
    assert is_wall.sum() == 12 * 12 * (2 * 41 + 2 * 58)
    assert (is_wall | is_ground).all()


@pytest.mark.parametrize("name", ["pheromone", "nest", "food", "ants", "hud"])
def test_each_layer_is_hidden_by_its_name(painted, name):
    painted.state.pheromone[40, 80] = 100.0
    shown = {
        "pheromone": lambda frame: pixel(frame, 80, 40)[1] > 100,
        "nest": lambda frame: pixel(frame, 75, 20)[2] > 150,
        "food": lambda frame: pixel(frame, 65, 53)[2] > 200,
        "ants": lambda frame: len(pixels_of(frame, ANT)[0]) > 0,
        "hud": lambda frame: (frame == TEXT).all(axis=2).any(),
    }
    frame = render_frame(painted.state, painted.config, Layers(**{name: False}))
    assert {layer: bool(is_shown(frame)) for layer, is_shown in shown.items()} == {
        layer: layer != name for layer in shown
    }


def test_the_numbers_are_those_of_the_state(painted):
    def written(**changes):
        for name, value in changes.items():
            if name == "is_carrying":
                painted.state.is_carrying[:value] = True
            else:
                painted.state.counts[value[0]] = value[1]
        return painted.render()[frame_layout(painted.config).bottom :]

    tick, food, placed, grown = 6, 0, 8, 9
    first = written()
    layout = frame_layout(painted.config)
    changed = written(a=(tick, 1234), b=(food, 77), c=(placed, 80), d=(grown, 3), is_carrying=9)
    for (left, top), text in zip(layout.status, ["tick 1234", "food 77/83", "carrying 9"], strict=True):
        width = glyphs.text_width(text, layout.text_unit)
        line = np.full((round(10 * layout.text_unit), width, 3), first[-1, -1], dtype=np.uint8)
        glyphs.draw_text(line, text, 0, 0, layout.text_unit, TEXT)
        below = top - layout.bottom
        np.testing.assert_array_equal(changed[below : below + len(line), left : left + width], line)


def test_letters_differ_digits_are_equally_wide_and_unknown_letters_are_a_box():
    signs = "abcdefghijklmnopqrstuvwxyz0123456789/.:-+()?"
    pictures = {sign: glyphs.glyph(sign, 2.0) for sign in signs}
    assert len({(picture.shape, picture.tobytes()) for picture in pictures.values()}) == len(signs)
    assert len({pictures[digit].shape for digit in "0123456789"}) == 1
    np.testing.assert_array_equal(glyphs.glyph("A", 2.0), pictures["a"])
    np.testing.assert_array_equal(glyphs.glyph("λ", 2.0), pictures["?"])
    frame = np.zeros((5, 7, 3), dtype=np.uint8)
    glyphs.draw_text(frame, "too long for it", 2, 1, 2.0, TEXT)
    assert frame.any()


# --- the environment --------------------------------------------------------------------------------------------------


def test_obstacles_are_walls_in_the_picture():
    env = world("maze")
    frame, layout = env.render(), frame_layout(env.config)
    x_min, x_max, y_min, y_max = env.config.arena
    is_wall = (env.state.objects == WALL)[y_min : y_max + 1, x_min : x_max + 1][::-1]
    middle = layout.scale // 2
    arena = frame[layout.top :, layout.left :][middle :: layout.scale, middle :: layout.scale]
    seen = (arena[: is_wall.shape[0], : is_wall.shape[1]] == WALLS).all(axis=2)
    np.testing.assert_array_equal(seen, is_wall)


def test_render_needs_a_reset_and_a_mode():
    with pytest.raises(ResetNeeded, match="render was called before the first reset"):
        AntForagingEnv(render_mode="rgb_array").render()
    env = AntForagingEnv()
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(ValueError, match="render_mode='film' is not supported"):
        AntForagingEnv(render_mode="film")


@pytest.mark.filterwarnings("ignore")  # of moviepy
def test_gymnasium_films_an_episode(tmp_path):
    pytest.importorskip("moviepy", reason="gymnasium.wrappers.RecordVideo needs moviepy")
    env = gymnasium.make("envs:AntForaging-v0", render_mode="rgb_array", n_ticks=5)
    film = gymnasium.wrappers.RecordVideo(env, str(tmp_path), disable_logger=True)
    film.reset(seed=0)
    for _ in range(5):
        film.step(film.action_space.sample())
    film.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]
