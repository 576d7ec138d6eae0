import numpy as np
import pytest
from scipy.signal import correlate

from experiments.deep_networks import ACTIVATIONS, PublishedCNN

FUNCTIONS = {
    "logistic": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "step": lambda x: (x > 0.0).astype(np.float64),
}
RNG = np.random.default_rng(1)
IMAGES = RNG.random((3, 28, 28)).astype(np.float32)


def by_definition(weights, image, activation):
    """One member, one image, in float64, layer by layer."""
    first, second, last = weights[:250].reshape(10, 5, 5), weights[250:5250].reshape(20, 10, 5, 5), weights[5250:]
    maps = activation(np.array([correlate(image, kernel, mode="valid") for kernel in first]))
    maps = maps.reshape(10, 12, 2, 12, 2).max(axis=(2, 4))
    sums = [sum(correlate(map_, kernel, mode="valid") for map_, kernel in zip(maps, k, strict=True)) for k in second]
    return last.reshape(10, 1280) @ activation(np.array(sums)).ravel()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_logits_are_those_of_the_network_computed_layer_by_layer(activation):
    weights = 0.3 * RNG.standard_normal((10, 18_050))  # more members than are taken at once
    found = PublishedCNN(activation).logits(weights, IMAGES)
    assert found.shape == (10, 3, 10)
    assert found.dtype == np.float64
    expected = [[by_definition(w, image, FUNCTIONS[activation]) for image in IMAGES.astype(float)] for w in weights]
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
