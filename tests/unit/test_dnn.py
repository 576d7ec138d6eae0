"""Deep networks trained by the ensemble Kalman filter: settings, batches, first ensemble, runs, studies."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import dnn_baseline, dnn_config, dnn_study, process
from experiments.batches import batch_of
from experiments.data_files import data_folder, use_data_folder
from experiments.datasets import Images
from experiments.dnn_config import DnnConfig, load_config
from experiments.dnn_figures import read_baseline, read_run, table
from experiments.dnn_studies import STUDIES
from experiments.dnn_studies import main as studies
from experiments.dnn_study import first_network, make_network_task, make_optimizer, make_study, predictions
from experiments.enkf_dnn import main
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError, config_to_dict
from experiments.study import estimate
from optim.tasks import Task
from tests.conftest import ROOT

SMALL = ["--population", "8", "--generations", "3", "--batch", "16", "--test-every", "2", "--block", "4"]

TINY = ["--population", "4", "--generations", "1", "--batch", "8", "--network", "mlp", "--n-hidden", "[4]"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "_is_stop_requested", False)


@pytest.fixture(autouse=True)
def blobs(monkeypatch):
    """Ten classes of pictures in place of the data sets: each has a bright column of its own."""

    def images(name, split):
        rng = np.random.default_rng(0 if split == "train" else 1)
        labels = rng.integers(10, size=200 if split == "train" else 50)
        pixels = rng.integers(60, size=(len(labels), 28, 28), dtype=np.uint8)
        for place, label in enumerate(labels):
            pixels[place, :, 2 * label + 3 : 2 * label + 6] += 180
        return Images(name=name, split=split, pixels=pixels, labels=labels, class_names=tuple("0123456789"), sha256={})

    monkeypatch.setattr(dnn_study, "load_images", images)
    monkeypatch.setattr(dnn_baseline, "load_images", images)
    return images


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"network": "cmn"}, "network='cmn' is unknown, did you mean 'cnn'"),
        ({"images": "mnits"}, "images='mnits' is unknown, did you mean 'mnist'"),
        ({"activation": "sigmoid"}, "activation='sigmoid' is unknown: choose one of logistic"),
        ({"network": "mlp", "n_hidden": "[0]"}, "is not a tuple of integers >= 1"),
        ({"batch": "0"}, "batch=0 is not allowed: it must be >= 1"),
        ({"sigma": "-1.0"}, r"sigma=-1.0 is outside \[0, inf\)"),
        ({"temperature": "0.0"}, r"temperature=0.0 is outside \(0, inf\)"),
        ({"episodes": "2"}, "episodes=2: a batch has nothing random"),
        ({"ga.n_elite": "1"}, "optimizer"),
        ({"optimizer": "adaptive_enkf", "repetitions": "2"}, "repetitions=2 has no effect.*adaptive_enkf.repetitions"),
    ],
)
def test_settings_that_make_no_sense_are_refused(flags, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, flags)


def test_batches_of_an_epoch_have_no_image_in_common_and_repeat_by_their_number():
    epoch = np.concatenate([batch_of(number, 50, 12, seed=3) for number in range(4)])
    assert len(set(epoch.tolist())) == 48
    assert set(epoch.tolist()) <= set(range(50))
    np.testing.assert_array_equal(batch_of(1, 50, 12, 3), epoch[12:24])
    assert set(batch_of(4, 50, 12, 3).tolist()) != set(epoch[:12].tolist())
    assert not np.array_equal(batch_of(0, 50, 12, 4), epoch[:12])


@pytest.mark.parametrize("n", [0, 51])
def test_a_batch_needs_as_many_images_as_it_has(n):
    with pytest.raises(ValueError, match=rf"a batch of {n} images is not allowed: there are 50, give 1 … 50"):
        batch_of(0, 50, n, 1)


def test_members_lie_around_the_first_network_whose_last_layer_is_zero():
    config = DnnConfig(population=400, hidden_spread=0.02, output_spread=0.3)
    genomes, centre = make_optimizer(config).ask(), first_network(config)
    assert not centre[5250:].any()
    np.testing.assert_allclose(centre[:250].std(), 4.0 / 5.0, rtol=0.15)
    np.testing.assert_allclose(centre[250:5250].std(), 4.0 / np.sqrt(250), rtol=0.05)
    np.testing.assert_allclose(genomes.mean(axis=0), centre, atol=5 * 0.3 / 20)
    np.testing.assert_allclose(genomes[:, :5250].std(axis=0).mean(), 0.02, rtol=0.02)
    np.testing.assert_allclose(genomes[:, 5250:].std(axis=0).mean(), 0.3, rtol=0.02)


def test_the_first_members_do_not_depend_on_how_many_there_are():
    few, many = (make_optimizer(DnnConfig(population=n)).ask() for n in (4, 9))
    np.testing.assert_array_equal(few, many[:4])


def test_a_bad_start_has_weights_of_one_size_in_all_layers():
    weights = first_network(DnnConfig(sigma=2.0))
    np.testing.assert_allclose([weights[:5250].std(), weights[5250:].std()], [2.0, 2.0], rtol=0.05)


def test_a_task_gives_the_logits_of_its_members_on_the_batch_of_its_generation(blobs):
    config = DnnConfig(population=6, batch=5, repetitions=2, block=3, temperature=4.0)
    respond, genomes = make_network_task(config_to_dict(config)), make_optimizer(config).ask()
    images = blobs("mnist", "train")
    for generation in (0, 1, 2):
        chosen = batch_of(generation // 2, 200, 5, config.seed)
        expected = config.make_network().logits(genomes[3:], (images.pixels[chosen] / 255.0).astype(np.float32)) / 4.0
        given = respond(Task(generation, 1, 0), genomes[3:].ravel())
        np.testing.assert_allclose(given, expected.ravel(), rtol=1e-5, atol=1e-5)


def test_cross_entropy_accuracy_and_targets_follow_from_the_logits(blobs):
    config = DnnConfig(population=2, batch=3)
    labels = blobs("mnist", "train").labels[batch_of(0, 200, 3, config.seed)]
    logits = np.zeros((3, 3, 10))
    logits[0, np.arange(3), labels] = np.log(9.0)  # probability 1/2 of the label
    logits[1, 0, labels[0]] = logits[1, 1, (labels[1] + 1) % 10] = logits[1, 2, (labels[2] + 1) % 10] = 1.0
    logits[2] = np.nan
    reading = make_study(config).read(0, logits.reshape(3, -1))
    np.testing.assert_allclose(reading.measures[0], [-np.log(2.0), 1.0])
    np.testing.assert_allclose(reading.measures[1, 1], 1.0 / 3.0)
    assert np.isnan(reading.measures[2]).all()
    np.testing.assert_array_equal(reading.targets.reshape(3, 10).argmax(axis=1), labels)
    np.testing.assert_array_equal(reading.responses, logits.reshape(3, -1))


@pytest.mark.parametrize("network", ["cnn", "mlp"])
def test_a_run_learns_the_pictures_and_keeps_network_tests_and_layers(tmp_path, blobs, network):
    arguments = ["--network", network, "--population", "60", "--generations", "12", "--batch", "50", "--block", "16"]
    assert main([*arguments, "--n-hidden", "[20]", "--test-every", "5", "--name", "run"]) == 0
    run = RunFolder(tmp_path / "runs" / "run")
    tables = run.read_results()
    assert tables["test"]["generation"].tolist() == [4, 9, 11]
    assert tables["test"]["accuracy"][-1] > 0.8
    assert np.isfinite(tables["layers"]["activity_sd"]).all()
    config = load_config(run.path / "config.toml", {})
    weights = dnn_study.read_network(run)
    right = predictions(config.make_network(), weights, blobs("mnist", "test")) == blobs("mnist", "test").labels
    assert right.mean() == tables["test"]["accuracy"][-1]
    lines = table([read_run("one", run, config)]).splitlines()
    assert lines[-1].startswith(f"| one | {tables['test']['accuracy'][-1]:.2%} | 600 |")


def test_a_run_that_was_stopped_goes_on_to_the_same_result(tmp_path, monkeypatch):
    assert main([*SMALL, "--generations", "1", "--name", "parts"]) == 0
    assert main(["--resume", "runs/parts", "--generations", "3"]) == 0
    assert main([*SMALL, "--name", "whole"]) == 0
    tables = [RunFolder(tmp_path / "runs" / name).read_results() for name in ("parts", "whole")]
    for name in ("fitness", "accuracy"):
        np.testing.assert_array_equal(*(each["individuals"][name] for each in tables))
    np.testing.assert_array_equal(
        *(dnn_study.read_network(RunFolder(tmp_path / "runs" / n)) for n in ("parts", "whole"))
    )


def test_an_adaptive_filter_chooses_batches_and_members_and_learns_as_the_plain_one_until_then(tmp_path):
    flags = ["--optimizer", "adaptive_enkf", "--network", "mlp", "--adaptive_enkf.repetitions", "2"]
    flags += ["--adaptive_enkf.begin=-inf", "--adaptive_enkf.every", "2", "--adaptive_enkf.threshold", "1.0"]
    flags += ["--adaptive_enkf.smallest", "4", "--adaptive_enkf.factor", "2.0"]
    assert main([*SMALL, *flags, "--generations", "3", "--name", "adaptive"]) == 0
    assert main(["--resume", "runs/adaptive", "--generations", "11"]) == 0
    found = RunFolder(tmp_path / "runs" / "adaptive").read_results()
    shown = dict(zip(found["episodes"]["generation"].tolist(), found["episodes"]["episode"].tolist(), strict=True))
    assert [shown[generation] for generation in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert found["diagnostics"]["members"].tolist()[:9] == [8.0] * 8 + [4.0]  # scores of the pictures rise
    plain = ["--network", "mlp", "--repetitions", "2", "--generations", "8", "--name", "plain"]
    assert main([*SMALL, *plain]) == 0
    fitness = RunFolder(tmp_path / "runs" / "plain").read_results()["individuals"]["fitness"]
    np.testing.assert_array_equal(found["individuals"]["fitness"][: len(fitness)], fitness)
    config = load_config(tmp_path / "runs" / "adaptive" / "config.toml", {})
    training = read_run("one", RunFolder(tmp_path / "runs" / "adaptive"), config)
    cells = table([training]).splitlines()[-1].split(" | ")
    assert cells[-2:] == ["8 → 4", f"{16 * int(found['diagnostics']['members'].sum()):,} |"]


def test_other_optimizers_train_networks_too():
    assert main([*SMALL, "--optimizer", "es", "--name", "es"]) == 0
    assert main([*SMALL, "--optimizer", "ga", "--network", "mlp", "--name", "ga"]) == 0


def test_the_result_of_a_search_is_its_mean_and_of_one_without_its_best():
    config, best = DnnConfig(population=4), np.ones(18_050)
    for name in ("enkf", "adaptive_enkf", "es"):
        search = make_optimizer(dataclasses.replace(config, optimizer=name))
        np.testing.assert_array_equal(estimate(search, best), search.mean)
    other = make_optimizer(dataclasses.replace(config, optimizer="ga"))
    assert estimate(other, best) is best


def test_missing_images_are_told_before_anything_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dnn_study, "load_images", dnn_config.load_images)
    monkeypatch.setenv("STIGMERGY_DATA", "")
    assert main([*SMALL, "--data", str(tmp_path / "nowhere"), "--name", "run"]) == process.EXIT_CANNOT_CREATE
    error = capsys.readouterr().err
    assert "nowhere" in error
    assert "stigmergy fetch-data mnist" in error
    assert not (tmp_path / "runs").exists()


def test_the_data_flag_chooses_the_folder_of_images(monkeypatch):
    monkeypatch.setenv("STIGMERGY_DATA", "before")
    use_data_folder(["--seed", "1"])
    assert data_folder() == Path("before")
    use_data_folder(["--data", "after"])
    assert data_folder() == Path("after")


def test_a_study_trains_what_is_missing_and_draws_what_is_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STUDIES, "activations", STUDIES["activations"][2:])
    assert studies(["activations", *TINY]) == 0
    written = (tmp_path / "runs" / "activations.md").read_text()
    assert [line.split(" | ")[0] for line in written.splitlines()[2:]] == ["| relu", "| step"]
    assert (tmp_path / "runs" / "activations.png").stat().st_size > 10_000
    before = RunFolder(tmp_path / "runs" / "activations-step").read_results()
    assert studies(["activations", *TINY]) == 0
    assert (tmp_path / "runs" / "activations.md").read_text() == written
    np.testing.assert_array_equal(
        RunFolder(tmp_path / "runs" / "activations-step").read_results()["individuals"]["fitness"],
        before["individuals"]["fitness"],
    )
    assert "activations: step" in capsys.readouterr().out


def test_gradient_descent_begins_at_the_same_network_and_sees_the_same_images(tmp_path, blobs):
    pytest.importorskip("torch", reason="the gradients are torch's: pip install -e '.[torch]'")
    config = DnnConfig(network="mlp", n_hidden=(20,), generations=20, batch=100, population=4)
    path = tmp_path / "adam.h5"
    dnn_baseline.train_baseline(config, "adam", path)
    training = read_baseline("adam", path)
    assert (training.images[0], training.images[-1]) == (0, 2000)
    first = dnn_study.accuracy_of(config.make_network(), first_network(config), blobs("mnist", "test"))
    assert training.accuracy[0] == first
    assert training.accuracy[-1] > first
    layers = training.layers
    assert layers["layer"][:2].tolist() == ["hidden 1", "output"]
    assert layers["gradient_norm"][1] > 0.0
    assert layers["gradient_norm"][0] == 0.0  # the output layer is zero at first, so nothing reaches the one before
    assert "| adam |" in table([training])
    dnn_baseline.check_baseline(config, path)
    with pytest.raises(ConfigError, match=r"adam.h5 was trained with other settings \(batch: 100 -> 50\)"):
        dnn_baseline.check_baseline(dataclasses.replace(config, batch=50), path)


def test_without_torch_a_study_leaves_gradient_descent_out_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(STUDIES, "networks", STUDIES["networks"][1:5])
    assert studies(["networks", *TINY]) == 0
    out = capsys.readouterr().out
    assert "left out: training by gradients needs torch" in out
    rows = (tmp_path / "runs" / "networks.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| mlp"]


@pytest.mark.parametrize("name", ["cnn_mnist.toml", "cnn_sigma1.toml"])
def test_shipped_configs_show_every_image_of_mnist_once_to_a_thousand_members(name):
    config = load_config(ROOT / "experiments" / "configs" / name, {})
    assert (config.population, config.generations) == (1000, 60_000 // config.batch)


@pytest.mark.parametrize("study", STUDIES)
def test_labels_of_a_study_are_different_and_its_settings_are_allowed(study):
    labels = [variant.label for variant in STUDIES[study]]
    assert len(set(labels)) == len(labels)
    for variant in STUDIES[study]:
        load_config(None, variant.settings)
