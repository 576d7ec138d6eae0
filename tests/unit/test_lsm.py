"""Spiking readouts of a reservoir, trained by the ensemble Kalman filter: settings, first members, runs, report."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from experiments import process
from experiments.dnn_studies import main as compare
from experiments.ensemble_analysis import effective_rank
from experiments.hpo import main as search
from experiments.lsm import VARIANTS, main
from experiments.lsm_analysis import main as analyse
from experiments.lsm_config import PRESETS, LsmConfig, load_config
from experiments.lsm_images import ImageSet
from experiments.lsm_records import KINDS, weight_blocks
from experiments.lsm_report import Score, confusion, table
from experiments.lsm_study import Readouts, first_weights, make_study, n_weights, read_readout, trained_sources
from experiments.lsm_tasks import make_lsm_task, record_missing
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError, config_to_dict
from optim.evaluators import SerialEvaluator
from optim.tasks import Task
from snn.shared_reservoir import SharedReservoir
from tests.faults.toy import run_toy
from tests.unit.lsm_cases import SMALL, small_config

pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install -e '.[liquid]'")


def config_of(**changes) -> LsmConfig:
    return dataclasses.replace(small_config(), **changes)


def flags() -> list[str]:
    return [
        word
        for name, value in SMALL.items()
        for word in (f"--{name.replace('_', '-') if '.' not in name else name}", value)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings of the small study."""
    path = tmp_path_factory.mktemp("recordings")
    record_missing(config_of(), path, lambda settings: SerialEvaluator(make_lsm_task(settings)))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of the small study, trained with two seeds, and its arguments."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = [*flags(), "--seeds", "2", "--only", "filter", "--name", "one", "--runs", str(runs)]
    assert main(arguments) == 0
    return runs / "one", arguments


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "_is_stop_requested", False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "[3, 3]"}, r"classes=\(3, 3\) are not allowed"),
        ({"classes": "[3]"}, "are not allowed: give two or more"),
        ({"classes": "[3, 10]"}, "different ones of 0 … 9"),
        ({"liquid.reservoir.n_clusters": "3"}, "n_clusters=3, but there are 2 classes: give one cluster per class"),
        ({"enkf.block_length": "10"}, "enkf.block_length=10, but an image has 2 responses"),
        ({"enkf.gamma": "0.0"}, r"gamma=0.0 is outside \(0, inf\)"),
        ({"images": "mnits"}, "did you mean 'mnist'"),
        ({"prior": "activty"}, "did you mean 'activity'"),
        ({"tau_hz": "0.0"}, r"tau_hz=0.0 is outside \(0, inf\)"),
        ({"n_per_class": "0"}, "n_per_class=0 is not allowed"),
        ({"liquid.encoder": "poisson"}, "does not go with"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, SMALL | changes, "quick")


def test_a_reservoir_that_cannot_be_built_is_refused_before_anything_is_made(tmp_path, capsys):
    assert main([*flags(), "--liquid.reservoir.readout_indegree_e", "81"]) == process.EXIT_USAGE
    assert "[liquid] cannot be built" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_and_variant_is_allowed_and_has_the_published_number_of_weights(name):
    for settings in VARIANTS.values():
        load_config(None, settings, name)
    expected = {"published": 28_800, "improved-3": 28_800, "improved": 96_000}
    assert n_weights(PRESETS[name]) == expected.get(name, n_weights(PRESETS[name]))


def test_batches_hold_as_many_of_every_class_and_walk_through_all_images(folder):
    images = ImageSet(config_of(), "train", folder)
    batches = [images.batch(generation) for generation in range(6)]
    for batch in batches:
        assert np.bincount(images.labels[batch]).tolist() == [2, 2]
    assert sorted(np.concatenate(batches).tolist()) == list(range(24))


def test_counts_are_those_of_the_recordings_without_the_idle_time(folder):
    images = ImageSet(config_of(), "train", folder)
    for counts, recording in zip(images.counts(np.array([4, 1])), images.recordings.read([4, 1]), strict=True):
        parts = [recording.population(name).counts()[:, 0] for name in ("excitatory", "inhibitory")]
        np.testing.assert_array_equal(counts, np.concatenate(parts))
    assert counts.sum() > 0


def test_blocks_of_weights_are_those_of_the_reservoir():
    config = config_of()
    blocks, (source, is_excitatory) = weight_blocks(config), trained_sources(config)
    assert [blocks[cluster, kind].stop for cluster in (0, 1) for kind in KINDS][-1] == n_weights(config) == len(source)
    for (_, kind), block in blocks.items():
        assert set(is_excitatory[block].tolist()) == {kind[0] == "e"}
    assert (source[is_excitatory].max(), source[~is_excitatory].min()) == (79, 80)


def test_independent_members_have_the_published_mean_and_spread(folder):
    config = config_of(population=300, prior="independent", centre_pA=100.0, spread_pA=50.0)
    members, (_, is_excitatory) = first_weights(config, folder), trained_sources(config)
    np.testing.assert_allclose(members[:, is_excitatory].mean(), 100.0, atol=1.0)
    np.testing.assert_allclose(members[:, ~is_excitatory].mean(), -100.0, atol=2.0)
    np.testing.assert_allclose(members.std(axis=0).mean(), 50.0, rtol=0.02)
    assert abs(np.corrcoef(members[:, :2].T)[0, 1]) < 0.2


def test_members_of_the_activity_prior_differ_as_images_do(folder):
    config = config_of(population=400, prior="activity", spread_pA=8.0)
    members, (source, _) = first_weights(config, folder), trained_sources(config)
    np.testing.assert_allclose(members.mean(axis=0)[:10], 60.0, atol=1e-9)
    own = n_weights(config) // 2
    first, second = (np.flatnonzero(source[:own] == source[0])[k] for k in (0, 1))
    deviations = members - members.mean(axis=0)
    np.testing.assert_array_equal(deviations[:, first], deviations[:, second])  # the same neuron of the liquid
    counts = ImageSet(config, "train", folder).counts(np.arange(24))
    covariance = np.cov(counts.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    root *= 64.0 / np.trace(root) * len(root)
    found = np.cov(deviations[:, :own].T, bias=True)[: 40 * 3, : 40 * 3]
    expected = root[np.ix_(source[: 40 * 3], source[: 40 * 3])]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(deviations[:, own:].std(), deviations[:, :own].std(), rtol=0.2)
    assert abs(np.corrcoef(deviations[:, 0], deviations[:, own])[0, 1]) < 0.2  # clusters are independent


def test_a_task_gives_the_rates_that_separate_reservoirs_give(folder):
    config = config_of()
    weights, images = first_weights(config, folder), ImageSet(config, "train", folder)
    values = make_lsm_task({"role": "train", "config": config_to_dict(config), "folder": str(folder)})(
        Task(1, 1, 0), weights[3:].ravel()
    ).reshape(3, 4, 2)
    shared = SharedReservoir(config.liquid, 1, "nest")
    for member in range(3):
        shared.set_weights(weights[3 + member][None])
        for place, image in enumerate(images.batch(1).tolist()):
            recording = shared.record(images.pixels[image], image)  # simulated again, by NEST
            np.testing.assert_array_equal(values[member, place], shared.rates_hz(recording, image)[0])


def test_logits_or_probabilities_are_the_responses_as_the_loss_asks(folder):
    config = config_of()
    rates_hz = np.random.default_rng(1).uniform(0.0, 20.0, (5, 4, 2))
    rates_hz[4] = np.nan
    study = make_study(config, folder)
    reading = study.read(0, rates_hz.reshape(5, -1))
    np.testing.assert_allclose(reading.responses[:4], rates_hz[:4].reshape(4, -1) / config.tau_hz)
    labels = ImageSet(config, "train", folder).labels[ImageSet(config, "train", folder).batch(0)]
    accuracy = (rates_hz[:4].argmax(axis=2) == labels).mean(axis=1)
    np.testing.assert_allclose(reading.measures[:4, 1:], np.stack([accuracy, accuracy], axis=1))  # 1 - 2 / 2 (1 - a)
    assert np.isnan(reading.measures[4]).all()
    squared = dataclasses.replace(config, enkf=dataclasses.replace(config.enkf, loss="squared"))
    probabilities = make_study(squared, folder).read(0, rates_hz.reshape(5, -1)).responses[:4].reshape(4, 4, 2)
    odds = np.exp((rates_hz[:4, :, 0] - rates_hz[:4, :, 1]) / config.tau_hz)
    np.testing.assert_allclose(probabilities[:, :, 0] / probabilities[:, :, 1], odds)


def test_the_study_runs_reports_goes_on_and_records_weights_and_covariances(trained, capsys):
    folder, arguments = trained
    text = (folder / "table.md").read_text()
    rows = [line.split(" | ")[0] for line in text.splitlines()[2:]]
    assert rows == [
        "| filter", "| filter, 2 members vote", "| pixels + ridge", "| pixels + softmax", "| reservoir + ridge",
        "| reservoir + softmax",
    ]  # fmt: skip
    run = RunFolder(folder / "filter-seed1")
    tables, config = run.read_results(), config_of()
    assert tables["test"]["generation"].tolist() == [0, 1, 2]
    assert len(tables["weights"]["kind"]) == 3 * 2 * 4
    assert (tables["weights"]["histogram"].sum(axis=1)[:4] == [120, 80, 30, 20]).all()
    last = tables["spectrum"]["generation"] == 2
    spectrum = tables["spectrum"]["eigenvalue"][last]
    np.testing.assert_allclose(effective_rank(spectrum), tables["covariance"]["effective_rank"][-1], rtol=1e-6)
    assert 0.0 < tables["covariance"]["own_share"][-1] <= 1.0
    mean, votes = read_readout(run)
    assert (mean.shape, votes.shape) == ((n_weights(config),), (2, n_weights(config)))
    capsys.readouterr()
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "recording" not in out
    assert "gen 0" not in out
    assert [line.split(" | ")[:3] for line in (folder / "table.md").read_text().splitlines()] == [
        line.split(" | ")[:3] for line in text.splitlines()
    ]


def test_a_folder_whose_runs_have_other_settings_than_the_command_is_refused(trained, capsys):
    place = trained[1].index("--n-votes")
    fewer = trained[1][:place] + trained[1][place + 2 :]
    assert main(fewer) == process.EXIT_USAGE
    assert "was started with another configuration (n_votes: 2 -> 15)" in capsys.readouterr().err


@pytest.mark.parametrize("seeds", ["0", "x", "-1"])
def test_a_number_of_seeds_that_is_none_is_refused(seeds, capsys):
    assert main([*flags(), f"--seeds={seeds}"]) == process.EXIT_USAGE
    assert f"--seeds {seeds} is not a whole number >= 1" in capsys.readouterr().err


@pytest.mark.parametrize("command", [main, search, compare])
def test_a_comparison_cannot_be_resumed_by_a_flag_that_it_would_ignore(command, capsys):
    arguments = ["activations"] if command is compare else []
    assert command([*arguments, "--resume", "runs/one"]) == process.EXIT_USAGE
    assert "--resume has no effect: give the same command again" in capsys.readouterr().err


def test_confusions_count_true_classes_in_rows():
    found = confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 2]), 3)
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, 1, 0], [0, 0, 1]])


def test_intervals_are_over_images_for_one_seed_and_over_seeds_for_several():
    one = Score(name="a", confusions=np.array([[[40, 10], [5, 45]]]), n_images=10, seconds=1.0)
    n, p, z = 100, 0.85, stats.norm.ppf(0.975)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(one.interval, [centre - half, centre + half], rtol=1e-9)
    several = dataclasses.replace(
        one, confusions=np.array([[[40, 10], [5, 45]], [[45, 5], [5, 45]], [[50, 0], [5, 45]]])
    )
    half = stats.t.ppf(0.975, 2) * 0.05 / np.sqrt(3)
    np.testing.assert_allclose(several.interval, [0.9 - half, 0.9 + half], rtol=1e-9)
    assert "| a | 90.00% (3 seeds) | 77.6% … 102.4% | 0.900 | 10 | 1 s |" in table([several])


def test_readouts_of_any_number_of_members_answer_alike(folder):
    config = config_of()
    readouts, weights = Readouts(config, folder), first_weights(config, folder)
    chosen = np.arange(3)
    together = readouts.rates_hz(weights, readouts.train, chosen)
    for member in (0, 5):
        alone = readouts.rates_hz(weights[member][None], readouts.train, chosen)
        np.testing.assert_array_equal(alone[0], together[member])


def test_weights_and_covariances_of_a_run_are_drawn_and_a_run_without_them_is_refused(trained, tmp_path, capsys):
    run = trained[0] / "filter-seed2"
    assert analyse([str(run)]) == 0
    for name in ("weights", "covariance"):
        assert (run / f"{name}.png").stat().st_size > 20_000
    run_toy(tmp_path / "toy")
    assert analyse([str(tmp_path / "toy")]) == process.EXIT_CANNOT_CREATE
    assert "has no record of weights and covariances" in capsys.readouterr().err
