"""Configuration tree: files, flags, errors."""

import dataclasses
import json

import pytest

from envs.presets import PRESETS
from experiments.ants import ants_parser
from experiments.colony import make_optimizer
from experiments.config import AntsConfig, config_from_dict, load_config
from experiments.settings import (
    RESUMABLE,
    ConfigError,
    config_digest,
    config_to_dict,
    config_to_toml,
    describe,
    differing_fields,
    leaves,
)
from optim.methods import METHODS
from tests.conftest import ROOT


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write


def test_defaults_are_the_published_settings():
    config = load_config(None, {})
    assert (config.optimizer, config.population, config.episodes) == ("ga", 32, 1)
    assert (config.env.n_ants, config.env.n_ticks, config.env.food_per_patch) == (15, 2000, 1)
    assert config.brain.n_hidden == 20
    assert (config.ga.tournament_size, config.ga.n_elite) == (4, 0)


def test_flags_override_the_file_and_the_file_overrides_the_preset(toml):
    path = toml('preset = "published_test"\npopulation = 8\n[env]\nn_ants = 3\nn_ticks = 50\n')
    config = load_config(path, {"population": "10", "env.n_ticks": "70", "ga.mutation_sigma": "2"})
    assert config.population == 10
    assert (config.env.n_ants, config.env.n_ticks, config.env.food_per_patch) == (3, 70, 2)
    assert config.ga.mutation_sigma == 2.0
    assert isinstance(config.ga.mutation_sigma, float)


def test_written_config_reads_back_to_the_same_value(toml):
    flags = {
        "env.piles": "[[90, 20]]",
        "brain.neuron.tau_m": "12.5",
        "record_spikes": True,
        "worlds": "run",
        "optimizer": "enkf",
    }
    config = load_config(None, flags)
    assert config.env.piles == ((90, 20),)
    assert load_config(toml(config_to_toml(config)), {}) == config
    assert config_from_dict(config_to_dict(config)) == config


def test_every_setting_has_a_flag():
    known = {action.dest for action in ants_parser()._actions}
    assert {name for name, _ in leaves(AntsConfig())} <= known


@pytest.mark.parametrize("name", ["quick.toml", "ants_published.toml"])
def test_shipped_configs_are_valid(name):
    assert load_config(ROOT / "experiments" / "configs" / name, {}).generations >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("popsize = 4", "unknown setting popsize"),
        ("populaton = 4", "did you mean 'population'"),
        ("[ga]\nn_elit = 1", "unknown setting ga.n_elit, did you mean 'n_elite'"),
        ("[env]\nn_ant = 1", "unknown setting env.n_ant, did you mean 'n_ants'"),
        ("[brain.neuron]\ntau_n = 1.0", "brain.neuron.tau_n, did you mean 'tau_m'"),
        ('optimizer = "gaa"', "optimizer='gaa' is unknown, did you mean 'ga'"),
        ('preset = "published_trainin"', "preset='published_trainin' is unknown, did you mean 'published_training'"),
        ("population = 1", "population=1 is too small: it must be >= 2"),
        ('worlds = "generations"', "worlds='generations' is unknown, did you mean 'generation'"),
        ("generations = 0", "generations=0 .* >= 1"),
        ("episodes = -1", "episodes=-1"),
        ("retries = -1", "retries=-1 is not an integer >= 0"),
        ("timeout_s = -0.5", "timeout_s=-0.5 is outside"),
        ("timeout_s = nan", "timeout_s=nan is outside"),
        ("checkpoint_s = -1.0", r"checkpoint_s=-1.0 is outside \[0, inf\)"),
        ("max_failed_fraction = 1.1", r"max_failed_fraction=1.1 is outside \[0, 1\]"),
        ('record_genomes = "none"', "record_genomes='none' is unknown. Known: all, best"),
        ("seed = -1", "seed=-1 .* >= 0"),
        ("population = 4.5", "population=4.5 has the wrong type: it must be a whole number"),
        ("population = true", "population=True has the wrong type"),
        ('record_spikes = "maybe"', "record_spikes='maybe' is not a true or false"),
        ("env = 3", "env=3 is not a section"),
        ("[env]\nevaporation = 1.5", r"evaporation=1.5 .* in \[0, 1\]"),
        ("[ga]\nmutation_sigma = -1.0", "mutation_sigma=-1.0"),
        ('[ga]\nreevaluate = "some"', "reevaluate='some'"),
        ("[enkf]\ngamma = 0.0", "gamma=0.0"),
        ("[brain]\nn_inputs = 12", "n_inputs=12"),
        ('preset = "two_pheromones"', "env.has_repellent=True: an ant brain has the published 11 sensors"),
        ('preset = "published_rules"', "env.observation='egocentric': .* it must be 'binary'"),
        ('preset = "mazes"', "preset='mazes' is unknown, did you mean 'maze'"),
        ("[env]\nobstacles = [[72, 73, 30, 31]]", r"obstacles=.* off all nest centres"),
        ("population = ", "not valid TOML"),
        ("population = 4\npopulation = 5", "not valid TOML"),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_the_way_out(toml, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(toml(text), {})


@pytest.mark.parametrize("preset", ["obstacles", "maze", "random_piles", "moving_food", "changing_food", "open"])
def test_a_brain_can_be_evolved_in_any_world_with_the_published_body(toml, preset):
    config = load_config(toml(f'preset = "{preset}"'), {})
    assert config.env == PRESETS[preset]
    assert load_config(toml(config_to_toml(config)), {}) == config


@pytest.mark.parametrize("optimizer", sorted(METHODS))
def test_every_optimizer_has_a_section_that_is_written_only_where_it_counts(toml, optimizer):
    config = load_config(None, {"optimizer": optimizer})
    assert type(getattr(config, optimizer)) is METHODS[optimizer].config
    written = config_to_toml(config)
    assert [name for name in METHODS if f"[{name}]" in written] == [optimizer]
    assert load_config(toml(written), {}) == config


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"population": 4, "ga.n_elite": 4}, "optimizer='ga', population=4: initial has 4 individuals, but needs >= 5"),
        ({"optimizer": "es", "population": 5}, "optimizer='es', population=5: population_size=5 must be .* even"),
        ({"optimizer": "grid"}, "optimizer='grid'.*1,000,000"),
    ],
)
def test_an_optimizer_that_does_not_fit_its_population_or_genome_is_a_wrong_setting(flags, message):
    with pytest.raises(ConfigError, match=message):
        make_optimizer(load_config(None, flags))


def test_a_flag_of_another_optimizer_is_refused_but_its_section_in_a_file_waits(toml):
    with pytest.raises(ConfigError, match=r"--es.sigma has no effect: it needs --optimizer es"):
        load_config(None, {"es.sigma": "0.2"})
    assert load_config(toml("[es]\nsigma = 0.2\n"), {"optimizer": "es"}).es.sigma == 0.2


def test_a_short_genome_of_cosine_coefficients_serves_the_whole_brain():
    config = load_config(None, {"n_coefficients": 30, "population": 6})
    genomes = make_optimizer(config).ask()
    assert genomes.shape == (6, 1400)
    with pytest.raises(ConfigError, match="n_coefficients=-1"):
        load_config(None, {"n_coefficients": -1})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        load_config(tmp_path / "none.toml", {})


def test_only_what_cannot_change_results_may_differ_on_resume():
    old = AntsConfig()
    harmless = {"generations": 7, "record_genomes": "best", "record_spikes": True, "retries": 3, "timeout_s": 9.0}
    brain = dataclasses.replace(old.brain, engine="numba")
    new = dataclasses.replace(old, **harmless, max_failed_fraction=1.0, checkpoint_s=9.0, brain=brain)
    assert {name for name, value in leaves(new) if value != dict(leaves(old))[name]} == set(RESUMABLE)
    assert differing_fields(old, new) == {}
    assert config_digest(old) == config_digest(new)


def test_every_other_difference_is_listed_and_changes_the_digest():
    old = AntsConfig()
    new = dataclasses.replace(old, seed=9, ga=dataclasses.replace(old.ga, n_elite=2))
    assert differing_fields(old, new) == {"seed": (1, 9), "ga.n_elite": (0, 2)}
    assert describe(differing_fields(old, new)) == "seed: 1 -> 9; ga.n_elite: 0 -> 2"
    assert len({config_digest(config) for config in (old, new, dataclasses.replace(old, seed=9))}) == 3


def test_a_config_equals_itself_as_it_comes_back_from_a_file(toml):
    config = load_config(None, {"env.piles": "[[90, 20]]"})
    plain = json.loads(json.dumps(config_to_dict(config)))  # tuples have become lists
    assert differing_fields(plain, config_to_dict(config)) == {}
    plain["env"]["piles"][0][1] = 21
    assert differing_fields(plain, config_to_dict(config)) == {"env.piles": ([[90, 21]], [[90, 20]])}


def test_a_file_that_is_too_large_or_nested_too_deeply_is_refused_at_once(toml):
    with pytest.raises(ConfigError, match="larger than 1,048,576 bytes"):
        load_config(toml("# " + "a" * 2**20), {})
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(toml("a = " + 50_000 * "[" + 50_000 * "]"), {})


@pytest.mark.parametrize(
    "value", ["5\npopulation = 3", "5\n[ga]", 5000 * "9", "0x" + 5000 * "f", "[" * 50_000, "", "5 5"]
)
def test_a_flag_that_is_no_single_number_is_refused(value):
    with pytest.raises(ConfigError, match=r"seed(=.* is not a whole number| is too large)"):
        load_config(None, {"seed": value})


def test_a_file_with_an_endless_number_is_refused(toml):
    with pytest.raises(ConfigError, match="is not valid TOML: "):
        load_config(toml(f"seed = {5000 * '9'}"), {})
