import sys
from dataclasses import replace

import numpy as np
import pytest

from experiments.deep_networks import MLP, PublishedCNN
from experiments.gradient_training import PUBLISHED, GradientConfig, gradient_statistics, torch_logits, train
from experiments.layers import activity_statistics

RNG = np.random.default_rng(7)
IMAGES = RNG.random((40, 28, 28)).astype(np.float32)
LABELS = RNG.integers(10, size=40)
LINEAR, SMALL = MLP(n_hidden=()), MLP("tanh", (5,))
DIFFERENTIABLE = ["logistic", "tanh", "relu"]
SGD = GradientConfig(optimizer="sgd", lr=0.1, batch_size=16)
ALL_IMAGES = replace(SGD, batch_size=40)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the gradients are torch's: pip install -e '.[torch]'")


def random_genome(network, scale=0.1, seed=1):
    return scale * np.random.default_rng(seed).standard_normal(network.n_params)


def cross_entropy(network, genome, chosen):
    logits = network.logits(genome[np.newaxis], IMAGES[chosen])[0]
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), LABELS[chosen]])


def linear_gradient(genome):
    """Of the cross entropy of all images in a linear classifier, in closed form."""
    inputs = np.column_stack([IMAGES.reshape(40, -1).astype(float), np.ones(40)])
    odds = np.exp(inputs @ genome.reshape(10, 785).T)
    error = odds / odds.sum(axis=1, keepdims=True) - np.eye(10)[LABELS]
    return (error.T @ inputs / 40).ravel()


def checkpoints_of(network, genome, config, every):
    found = []
    return train(network, genome, IMAGES, LABELS, config, found.append, every), found


@pytest.mark.parametrize("activation", DIFFERENTIABLE)
@pytest.mark.parametrize("make", [PublishedCNN, MLP, lambda activation: MLP(activation, (20, 30))])
def test_torch_answers_as_the_network_does(torch, make, activation):
    network = make(activation)
    genome = random_genome(network)
    found = torch_logits(network, torch.tensor(genome, dtype=torch.float32), torch.from_numpy(IMAGES))
    np.testing.assert_allclose(found, network.logits(genome[np.newaxis], IMAGES)[0], rtol=1e-5, atol=1e-5)


def test_two_steps_of_gradient_descent_follow_the_gradient_in_closed_form_with_momentum(torch):
    genome = random_genome(LINEAR)
    first = linear_gradient(genome)
    after_one = genome - 0.1 * first
    expected = after_one - 0.1 * (0.9 * first + linear_gradient(after_one))
    found = train(LINEAR, genome, IMAGES, LABELS, replace(ALL_IMAGES, epochs=2))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_first_step_of_adam_moves_every_weight_by_the_learning_rate_against_its_gradient(torch):
    """Kingma & Ba 2015, algorithm 1: corrected moments are the gradient and its square."""
    genome = random_genome(LINEAR)
    gradient = linear_gradient(genome)
    found = train(LINEAR, genome, IMAGES, LABELS, replace(PUBLISHED["adam"], batch_size=40))
    np.testing.assert_allclose(found, genome - 1e-3 * gradient / (np.abs(gradient) + 1e-8), rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [PublishedCNN, lambda activation: MLP(activation, (20,))])
@pytest.mark.parametrize("activation", DIFFERENTIABLE)
def test_a_small_step_lowers_the_loss_by_the_squared_norm_of_the_gradient(torch, make, activation):
    network, lr = make(activation), 1e-3
    genome = random_genome(network)
    after, (start, _) = checkpoints_of(network, genome, replace(ALL_IMAGES, lr=lr, momentum=0.0), 1)
    drop = cross_entropy(network, genome, slice(None)) - cross_entropy(network, after, slice(None))
    assert drop == pytest.approx(lr * np.square(start.gradients.norm).sum(), rel=0.1)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("network", [PublishedCNN(), SMALL], ids=["cnn", "mlp"])
def test_the_same_seed_gives_the_same_genome_bit_for_bit_and_another_one_another(torch, network, name):
    genome, config = random_genome(network), replace(PUBLISHED[name], batch_size=16)
    first = train(network, genome, IMAGES, LABELS, config)
    assert np.array_equal(first, train(network, genome, IMAGES, LABELS, config, lambda checkpoint: None, every=2))
    assert not np.array_equal(first, train(network, genome, IMAGES, LABELS, replace(config, seed=1)))
    assert np.array_equal(genome, random_genome(network))


def test_checkpoints_are_at_the_start_between_and_at_the_end_and_describe_their_genome(torch):
    genome = random_genome(SMALL)
    after, found = checkpoints_of(SMALL, genome, replace(SGD, epochs=2), 4)
    assert [checkpoint.n_batches for checkpoint in found] == [0, 4, 6]  # of 16, 16, 8 images, twice
    np.testing.assert_array_equal(found[0].genome, genome.astype(np.float32))
    np.testing.assert_array_equal(found[-1].genome, after)
    rng = np.random.default_rng(SGD.seed)
    orders = [rng.permutation(40) for _ in range(2)]
    for checkpoint, chosen in zip(found, (orders[0][:16], orders[1][16:32], orders[1][32:]), strict=True):
        expected = activity_statistics(SMALL.activities(checkpoint.genome, IMAGES[chosen]), "tanh")
        np.testing.assert_array_equal(checkpoint.activities, expected)
    assert found[0].loss == pytest.approx(cross_entropy(SMALL, genome, orders[0][:16]), rel=1e-5)


def test_the_loss_of_a_checkpoint_is_the_mean_over_the_batches_since_the_last_one(torch):
    _, single = checkpoints_of(SMALL, random_genome(SMALL), SGD, 1)
    _, pairs = checkpoints_of(SMALL, random_genome(SMALL), SGD, 2)
    losses = [checkpoint.loss for checkpoint in single[1:]]
    assert [checkpoint.loss for checkpoint in pairs[1:]] == pytest.approx([np.mean(losses[:2]), losses[2]])


def test_training_that_diverges_ends_without_an_error_and_says_so(torch):
    network = MLP("relu", (5,))
    genome, found = checkpoints_of(network, random_genome(network), replace(SGD, lr=1e30, epochs=4), 1)
    assert not np.isfinite(genome).all()
    assert not np.isfinite(found[-1].loss)


def test_training_takes_one_thread_and_gives_the_others_back(torch):
    before, during = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        train(SMALL, random_genome(SMALL), IMAGES, LABELS, SGD, lambda _: during.append(torch.get_num_threads()))
        assert (set(during), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_gradients_are_summarised_layer_by_layer_with_the_classes_together():
    gradient = np.concatenate([np.full(250, 2.0), np.arange(5000.0), np.tile([3.0, -3.0], 6400)])
    found = gradient_statistics(PublishedCNN(), gradient)
    np.testing.assert_allclose(found.mean, [2.0, 2499.5, 0.0])
    np.testing.assert_allclose(found.sd, [0.0, np.sqrt((5000**2 - 1) / 12), 3.0])
    np.testing.assert_allclose(found.norm, np.sqrt([1000.0, 4999 * 5000 * 9999 / 6, 115_200.0]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimizer", "sgdm"),
        ("lr", 0.0),
        ("lr", np.inf),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("batch_size", 0),
        ("batch_size", 1.5),
        ("epochs", 0),
        ("seed", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"GradientConfig\.{field}="):
        replace(SGD, **{field: value})


def test_the_published_settings_are_those_of_the_paper():
    assert (PUBLISHED["sgd"].lr, PUBLISHED["sgd"].momentum, PUBLISHED["sgd"].batch_size) == (0.1, 0.9, 64)
    assert (PUBLISHED["adam"].lr, PUBLISHED["adam"].batch_size) == (1e-3, 64)


@pytest.mark.parametrize("network", [PublishedCNN("step"), MLP("step")], ids=["cnn", "mlp"])
def test_a_step_has_no_gradient_and_is_refused(network):
    with pytest.raises(ValueError, match=r"activation='step' has no gradient: choose one of logistic, tanh, relu"):
        train(network, random_genome(network), IMAGES, LABELS, SGD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genome": np.zeros(5)}, r"weights have shape \(5,\), expected \(3985,\)"),
        ({"images": IMAGES[:, 1:]}, r"expected \(n_images, 28, 28\)"),
        ({"labels": LABELS[1:]}, r"labels have shape \(39,\) for 40 images"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "0 images: give one per image, at least 1"),
        ({"labels": LABELS + 1}, "from 1 to 10: give integers of 0 … 9"),
        ({"labels": LABELS / 2}, "labels are float64"),
        ({"every": 0}, "every=0 is not allowed"),
    ],
)
def test_what_cannot_be_trained_is_refused(change, message):
    arguments = {"genome": random_genome(SMALL), "images": IMAGES, "labels": LABELS} | change
    with pytest.raises(ValueError, match=message):
        train(SMALL, config=SGD, **arguments)


def test_a_missing_torch_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs torch.*pip install 'stigmergy\[torch\]'"):
        train(SMALL, random_genome(SMALL), IMAGES, LABELS, SGD)
