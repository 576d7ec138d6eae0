import numpy as np
import pytest
from scipy.signal import correlate

from experiments.deep_networks import MLP, PublishedCNN
from experiments.layers import ACTIVATIONS, activity_statistics

FUNCTIONS = {
    "logistic": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "step": lambda x: (x > 0.0).astype(np.float64),
}
RNG = np.random.default_rng(1)
IMAGES = RNG.random((3, 28, 28)).astype(np.float32)


def by_definition(weights, image, activation):
    """Activities of one member for one image, in float64, layer by layer; of the first layer also those pooled."""
    first, second, last = weights[:250].reshape(10, 5, 5), weights[250:5250].reshape(20, 10, 5, 5), weights[5250:]
    maps = activation(np.array([correlate(image, kernel, mode="valid") for kernel in first]))
    pooled = maps.reshape(10, 12, 2, 12, 2).max(axis=(2, 4))
    sums = [sum(correlate(map_, kernel, mode="valid") for map_, kernel in zip(pooled, k, strict=True)) for k in second]
    features = activation(np.array(sums))
    return maps.ravel(), features.ravel(), last.reshape(10, 1280) @ features.ravel()


def mlp_by_definition(weights, image, activation, n_hidden):
    """Activities of one member for one image, in float64, unit by unit."""
    values, layers, start = image.ravel(), [], 0
    for n_units in (*n_hidden, 10):
        inputs, values = values, np.empty(n_units)
        for unit in range(n_units):
            end = start + len(inputs)
            values[unit] = weights[start:end] @ inputs + weights[end]
            start = end + 1
        layers.append(values := activation(values) if len(layers) < len(n_hidden) else values)
    assert start == len(weights)
    return layers


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_are_those_of_the_network_computed_layer_by_layer(activation):
    weights = 0.3 * RNG.standard_normal((10, 18_050))  # more members than are taken at once
    found = PublishedCNN(activation).logits(weights, IMAGES)
    assert found.shape == (10, 3, 10)
    assert found.dtype == np.float64
    expected = [[by_definition(w, image, FUNCTIONS[activation])[-1] for image in IMAGES.astype(float)] for w in weights]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_the_layers_add_up_to_the_published_number_of_weights():
    network = PublishedCNN()
    assert network.n_params == 18_050
    assert [(layer.size, layer.fan_in) for layer in network.layers[:3]] == [(250, 25), (5000, 250), (1280, 1280)]
    assert [layer.name for layer in network.layers[2:]] == [f"class {k}" for k in range(10)]


def test_a_class_depends_on_its_own_weights_and_the_convolutions_only():
    """Which is what localisation by class rests on."""
    weights = 0.3 * RNG.standard_normal((2, 18_050))
    weights[1, : 5250 + 3 * 1280] = weights[0, : 5250 + 3 * 1280]
    first, second = PublishedCNN().logits(weights, IMAGES)
    np.testing.assert_allclose(first[:, :3], second[:, :3], rtol=0, atol=1e-5)
    assert (np.abs(first[:, 3:] - second[:, 3:]) > 1e-3).all()


def test_members_and_images_do_not_influence_each_other():
    weights = 0.3 * RNG.standard_normal((9, 18_050))
    together = PublishedCNN().logits(weights, IMAGES)
    alone = PublishedCNN().logits(weights[8:], IMAGES[1:2])
    np.testing.assert_allclose(together[8:, 1:2], alone, rtol=0, atol=1e-5)


def test_weights_so_large_that_every_unit_saturates_give_finite_logits():
    assert np.isfinite(PublishedCNN().logits(np.full((1, 18_050), -1e4), IMAGES)).all()


def test_an_unknown_activation_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="choose one of logistic, tanh, relu, step"):
        PublishedCNN("sigmoid")


@pytest.mark.parametrize(
    ("weights", "images", "message"),
    [
        (np.zeros((2, 18_051)), IMAGES, r"expected \(n_members, 18050\)"),
        (np.zeros(18_050), IMAGES, r"expected \(n_members, 18050\)"),
        (np.zeros((2, 18_050)), IMAGES[:, :27], r"expected \(n_images, 28, 28\)"),
        (np.zeros((2, 18_050)), IMAGES[0], r"expected \(n_images, 28, 28\)"),
    ],
)
def test_arrays_of_another_shape_are_refused(weights, images, message):
    with pytest.raises(ValueError, match=message):
        PublishedCNN().logits(weights, images)


@pytest.mark.parametrize("n_hidden", [(), (100,), (7, 5)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_of_connected_layers_are_those_computed_unit_by_unit(activation, n_hidden):
    network = MLP(activation, n_hidden)
    weights = 0.3 * RNG.standard_normal((10, network.n_params))  # more members than are taken at once
    found = network.logits(weights, IMAGES)
    assert found.dtype == np.float64
    function = FUNCTIONS[activation]
    images = IMAGES.astype(float)
    expected = [[mlp_by_definition(w, image, function, n_hidden)[-1] for image in images] for w in weights]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4)


def test_connected_layers_add_up_to_weights_and_biases():
    assert MLP().n_params == 785 * 100 + 101 * 10
    layers = MLP(n_hidden=(7, 5)).layers
    assert [(layer.name, layer.size, layer.fan_in) for layer in layers[:3]] == [
        ("hidden 1", 785 * 7, 784),
        ("hidden 2", 8 * 5, 7),
        ("class 0", 6, 5),
    ]
    assert [layer.name for layer in layers[2:]] == [f"class {k}" for k in range(10)]


def test_a_class_of_connected_layers_depends_on_its_own_weights_and_the_hidden_ones_only():
    weights = 0.3 * RNG.standard_normal((2, 79_510))
    weights[1, : 78_500 + 3 * 101] = weights[0, : 78_500 + 3 * 101]
    first, second = MLP().logits(weights, IMAGES)
    np.testing.assert_allclose(first[:, :3], second[:, :3], rtol=0, atol=1e-5)
    assert (np.abs(first[:, 3:] - second[:, 3:]) > 1e-3).all()


@pytest.mark.parametrize("n_hidden", [100, [100], (0,), (1.5,)])
def test_hidden_layers_without_units_are_refused(n_hidden):
    with pytest.raises(ValueError, match=r"is not a tuple of integers >= 1. Give e.g. \(100,\)"):
        MLP("tanh", n_hidden)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activities_are_those_of_every_unit_computed_one_by_one(activation):
    """Units of a layer in any order: sorted by image."""
    function, images = FUNCTIONS[activation], IMAGES.astype(float)
    weights = 0.3 * RNG.standard_normal(18_050)
    found = PublishedCNN(activation).activities(weights, IMAGES)
    assert list(found) == ["convolution 1", "convolution 2", "output"]
    expected = [by_definition(weights, image, function) for image in images]
    for own, *wanted in zip(found.values(), *expected, strict=True):
        difference = np.abs(np.sort(own, axis=0) - np.sort(np.array(wanted).T, axis=0))
        assert np.quantile(difference, 0.99) < 2e-4  # a step may fall on the other side of 0
    weights = 0.3 * RNG.standard_normal(785 * 7 + 8 * 5 + 60)
    found = MLP(activation, (7, 5)).activities(weights, IMAGES)
    assert list(found) == ["hidden 1", "hidden 2", "output"]
    expected = [mlp_by_definition(weights, image, function, (7, 5)) for image in images]
    for own, *wanted in zip(found.values(), *expected, strict=True):
        np.testing.assert_allclose(own, np.array(wanted).T, rtol=0, atol=2e-4)


@pytest.mark.parametrize("network", [PublishedCNN(), MLP()], ids=["cnn", "mlp"])
def test_the_last_activities_are_the_logits(network):
    weights = 0.3 * RNG.standard_normal(network.n_params)
    output = network.activities(weights, IMAGES)["output"]
    np.testing.assert_allclose(output.T, network.logits(weights[np.newaxis], IMAGES)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("network", [PublishedCNN(), MLP()], ids=["cnn", "mlp"])
def test_activities_are_of_one_network(network):
    with pytest.raises(ValueError, match=rf"expected \({network.n_params},\)"):
        network.activities(np.zeros((1, network.n_params)), IMAGES)


@pytest.mark.parametrize(
    ("activation", "values", "share"),
    [
        ("logistic", [0.0, 0.005, 0.02, 0.5, 0.98, 0.995, 1.0, 1.0], 5 / 8),
        ("tanh", [-1.0, -0.995, -0.98, 0.0, 0.005, 0.98, 0.995, 1.0], 4 / 8),
        ("relu", [0.0, 0.0, 0.0, 0.005, 1.0, 2.0, 3.0, 4.0], 3 / 8),
        ("step", [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0], 3 / 8),
    ],
)
def test_statistics_count_the_units_that_no_longer_answer(activation, values, share):
    hidden = np.array(values, np.float32).reshape(4, 2)
    found = activity_statistics({"hidden 1": hidden, "output": np.float32([[1, 3]])}, activation)
    np.testing.assert_allclose(found.mean, [np.mean(values), 2.0], rtol=1e-6)
    np.testing.assert_allclose(found.sd, [np.std(values), 1.0], rtol=1e-6)
    np.testing.assert_array_equal(found.saturated, [share, np.nan])
