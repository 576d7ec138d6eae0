"""Variants of a colony, and the command that compares them: silenced sensors, shuffled brains, other worlds."""

import dataclasses
import shutil

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.types import N_SENSORS, SENSORS
from experiments import analyse, analysis_figures, analysis_tasks, process
from experiments.ablations import N_SHUFFLES, blocks, make_variants, shuffle, silence
from experiments.analysis_tasks import make_analysis_task
from experiments.config import load_config
from experiments.npz import write_genomes
from experiments.rollout import MEASURES, run_episode, task_seeds
from experiments.settings import config_to_dict, config_to_toml
from experiments.storage import read_tables, reading
from optim.tasks import Task
from snn import AntBrainConfig, AntColonyBrain, decode, random_genomes

SMALL = {"brain.engine": "numba", "brain.n_hidden": 5, "env.n_ants": 4, "env.n_ticks": 22, "population": 2}
N_ANTS, N_TICKS = 3, 25


@pytest.fixture(scope="module")
def config():
    return load_config(None, SMALL)


@pytest.fixture(scope="module")
def genome(config):
    return random_genomes(config.brain, 1, np.random.default_rng(3))[0]


def fired(genome, brain, obs):
    """Spikes of the hidden and the motor neurons."""
    with AntColonyBrain(*decode(genome, brain), N_ANTS, brain, has_recording=True) as colony:
        for row in obs:
            colony.act(row)
        spikes = colony.spikes()
    assert len(spikes.population("hidden").steps) > 100
    return [spikes.population(name) for name in ("hidden", "output")]


@pytest.mark.parametrize("sensors", [(1,), (7, 8, 9)])
def test_silencing_is_exactly_a_sensor_that_never_acts(sensors):
    brain = AntBrainConfig(engine="numba", n_hidden=10, has_startup_transient=False)
    genome = random_genomes(brain, 1, np.random.default_rng(0))[0]
    obs = (np.random.default_rng(1).random((N_TICKS, N_ANTS, N_SENSORS)) < 0.4).astype(np.int8)
    blind = obs.copy()
    blind[..., sensors] = 0
    expected = fired(genome, brain, blind)
    for ours, theirs in zip(fired(silence(genome, sensors, brain), brain, obs), expected, strict=True):
        assert ours.equals(theirs)
    assert not fired(genome, brain, obs)[0].equals(expected[0])


def test_silencing_silences_the_start_up_transient_too():
    brain = AntBrainConfig(engine="numba", n_hidden=10)
    genome = random_genomes(brain, 1, np.random.default_rng(0))[0]
    nothing = np.zeros((N_TICKS, N_ANTS, N_SENSORS), dtype=np.int8)
    every = tuple(range(N_SENSORS))
    without = dataclasses.replace(brain, has_startup_transient=False)
    for ours, theirs in zip(
        fired(silence(genome, every, brain), brain, nothing), fired(genome, without, nothing), strict=True
    ):
        assert ours.equals(theirs)


def test_silencing_changes_the_weights_of_one_input_neuron_only(config, genome):
    n_hidden = config.brain.n_hidden
    silenced = silence(genome, (2,), config.brain)
    changed = np.flatnonzero(silenced != genome)
    np.testing.assert_array_equal(changed, np.arange(2 * n_hidden, 3 * n_hidden))  # input-major, as published
    assert not silenced[changed].any()


def test_blocks_have_the_published_sizes():
    kinds, sizes = np.unique(blocks(AntBrainConfig(n_hidden=20)), return_counts=True)
    assert len(kinds) == 4
    assert sorted(sizes) == [20, 80, 220, 380]


def test_a_shuffled_brain_has_the_same_genes_in_every_block_elsewhere(config, genome):
    shuffled = shuffle(genome, config.brain, np.random.default_rng(0))
    kinds = blocks(config.brain)
    for ours, theirs in zip(np.split(shuffled, 2), np.split(genome, 2), strict=True):
        for kind in np.unique(kinds):
            is_kind = kinds == kind
            np.testing.assert_array_equal(np.sort(ours[is_kind]), np.sort(theirs[is_kind]))
            assert not np.array_equal(ours[is_kind], theirs[is_kind])
    decode(shuffled, config.brain)  # a valid genome


def test_every_variant_differs_from_the_intact_colony_and_has_a_name_of_its_own(config, genome):
    intact, *others = make_variants(genome, config)
    assert (intact.name, intact.world) == ("intact", config.env)
    np.testing.assert_array_equal(intact.genome, genome)
    assert all(v.world != config.env or not np.array_equal(v.genome, genome) for v in others)
    assert len({(v.group, v.name) for v in others}) == len(others)
    names = [v.name for v in others]
    assert names[:N_SENSORS] == list(SENSORS[:N_SENSORS])
    assert sum(v.group == "brain" for v in others) == N_SHUFFLES
    assert "published_training" not in names  # its own world
    assert all(v.world.n_ticks == config.env.n_ticks for v in others)


def test_a_colony_without_smell_keeps_it_off_in_other_worlds(config, genome):
    blind = dataclasses.replace(config, env=dataclasses.replace(config.env, has_pheromone_sense=False))
    variants = make_variants(genome, blind)
    assert not any(v.world.has_pheromone_sense for v in variants)
    assert "no pheromone sense" not in [v.name for v in variants]


def test_permutations_depend_on_the_seed_only(config, genome):
    first, second = (make_variants(genome, config) for _ in range(2))
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours.genome, theirs.genome)
    other = make_variants(genome, dataclasses.replace(config, seed=5))
    brains = [[v.genome for v in variants if v.group == "brain"] for variants in (first, other)]
    assert not any(np.array_equal(a, b) for a, b in zip(*brains, strict=True))


def test_the_intact_variant_is_the_plain_episode_and_others_get_their_world(config, genome):
    variants = make_variants(genome, config)
    worlds = [dataclasses.asdict(v.world) for v in variants]
    task = make_analysis_task({"config": config_to_dict(config), "worlds": worlds, "is_recorded": False})
    for index in (0, *(i for i, v in enumerate(variants) if v.name in ("50", "maze"))):
        v, identity = variants[index], Task(0, index, 1)
        env = AntForagingEnv(**dataclasses.asdict(v.world))
        plain = dataclasses.replace(config, env=v.world)
        expected = run_episode(v.genome, plain, env, task_seeds(config, identity, is_held_out=True))
        found = task(identity, v.genome)
        np.testing.assert_array_equal(found[:-1], expected.values)
        assert found[-1] == env.measures()["food_placed"]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory, config, genome):
    """A run folder, and what the command said about it."""
    run = tmp_path_factory.mktemp("runs") / "small"
    run.mkdir()
    (run / "config.toml").write_text(config_to_toml(config))
    write_genomes(run / "best.npz", *np.split(genome[None], 2, axis=1))
    assert analyse.main([str(run), "--episodes", "2"]) == process.EXIT_DONE
    return run


@pytest.fixture
def run(analysed, tmp_path):
    return shutil.copytree(analysed, tmp_path / "small")


def content(run):
    with reading(run / "analysis" / "analysis.h5") as file:
        return read_tables(file, analyse._TABLES)


def test_the_command_leaves_data_tables_and_figures(run):
    found = {path.name for path in (run / "analysis").iterdir()}
    figures = {"correlations.png", "ablations.png", "worlds.png", "pheromone.png", "trails.png"}
    assert found == {"analysis.h5", "tables.md"} | figures
    text = (run / "analysis" / "tables.md").read_text()
    assert all(name in text for name in (*SENSORS[:N_SENSORS], "shuffled", "maze", "sees_food", "on_nest"))
    assert "nan" not in text
    tables = content(run)
    n_variants = len(tables["variants"]["name"])
    for name in (*MEASURES, "available"):
        assert tables["episodes"][name].shape == (n_variants, 2)
    assert tables["recorded"]["behaviour"].shape == (2, 9)


def test_the_same_command_draws_again_without_computing(run, monkeypatch, capsys):
    run = run.rename(run.with_name("renamed"))
    drawn = []
    monkeypatch.setattr(analyse, "draw_all", lambda analysis, folder: drawn.append(folder) or [])
    before = (run / "analysis" / "tables.md").read_text()
    monkeypatch.setattr(analyse, "compute", lambda *_: pytest.fail("computed again"))
    assert analyse.main([str(run), "--episodes", "2"]) == process.EXIT_DONE
    assert drawn == [run / "analysis"]
    assert (run / "analysis" / "tables.md").read_text() == before
    assert "shuffled, mean of 5" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--episodes", "3"], ["--episodes", "2", "--seed", "9"]])
def test_other_settings_do_not_replace_what_is_there(run, flags, capsys):
    assert analyse.main([str(run), *flags]) == process.EXIT_CANNOT_CREATE
    assert "has another analysis" in capsys.readouterr().err


def test_another_colony_does_not_replace_what_is_there(run, config, capsys):
    write_genomes(run / "best.npz", *np.split(random_genomes(config.brain, 1, np.random.default_rng(9)), 2, axis=1))
    assert analyse.main([str(run), "--episodes", "2"]) == process.EXIT_CANNOT_CREATE
    assert "(other genomes): remove it, or choose another --out" in capsys.readouterr().err


def test_an_output_that_cannot_be_made_is_told_before_any_work(run, monkeypatch, capsys):
    monkeypatch.setattr(analyse, "compute", lambda *_: pytest.fail("computed"))
    assert analyse.main([str(run), "--out", str(run / "best.npz" / "there")]) == process.EXIT_IO
    assert "best.npz" in capsys.readouterr().err


def test_a_stop_leaves_nothing(run, monkeypatch, capsys):
    shutil.rmtree(run / "analysis")
    monkeypatch.setattr(analysis_tasks, "is_stop_requested", lambda: True)
    assert analyse.main([str(run)]) == process.EXIT_STOPPED
    assert "stopped: nothing was written" in capsys.readouterr().out
    assert list((run / "analysis").iterdir()) == []


def test_failed_episodes_are_left_out_and_named(run, monkeypatch, capsys):
    def failing(genome, config, env, seeds):
        if config.env.n_ants == 50:
            raise ZeroDivisionError("too many ants")
        return run_episode(genome, config, env, seeds)

    monkeypatch.setattr(analysis_tasks, "run_episode", failing)
    monkeypatch.setattr(analyse, "draw_all", lambda *_: [])
    out = run / "other"
    assert analyse.main([str(run), "--episodes", "2", "--out", str(out)]) == process.EXIT_DONE
    errors = capsys.readouterr().err
    assert errors.count("failed: 50, ") == errors.count("ZeroDivisionError: too many ants") == 2
    assert "| ants: 50 | – | – | – | – | – | 0 |" in (out / "tables.md").read_text()


def test_a_colony_that_always_fails_is_an_error(run, monkeypatch, capsys):
    def failing(genome, config, seeds):
        raise ZeroDivisionError

    shutil.rmtree(run / "analysis")
    monkeypatch.setattr(analysis_tasks, "record_episode", failing)
    assert analyse.main([str(run), "--episodes", "1"]) == process.EXIT_INTERNAL
    assert "every episode of the intact colony failed" in capsys.readouterr().err
    assert list((run / "analysis").iterdir()) == []


def test_without_matplotlib_there_are_tables_and_no_figures(run, monkeypatch, capsys):
    monkeypatch.setattr(analysis_figures, "new_axes", lambda *_, **__: (None, None))
    assert analyse.main([str(run), "--episodes", "2"]) == process.EXIT_DONE
    assert "matplotlib is missing" in capsys.readouterr().out


def test_a_colony_too_large_to_record_is_refused_before_any_work(run, capsys):
    shutil.rmtree(run / "analysis")
    text = (run / "config.toml").read_text().replace("n_ticks = 22", "n_ticks = 3000000")
    (run / "config.toml").write_text(text)
    assert analyse.main([str(run)]) == process.EXIT_USAGE
    assert "more than the 200,000,000 that can be recorded" in capsys.readouterr().err
