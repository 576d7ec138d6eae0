"""The published filter and its repairs on 7,850 weights: a readout of MNIST, 100 members, 60 batches of 64 images."""

import pytest

from tests.conftest import DATA
from tests.unit.enkf_cases import accuracy, mnist

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def images():
    folder = DATA / "mnist"
    if not folder.is_dir():
        pytest.skip(f"no MNIST in {folder}; set STIGMERGY_DATA to the folder that holds mnist/")
    return mnist(folder)


@pytest.mark.parametrize(
    ("settings", "lowest", "highest"),
    [
        ({"variant": "published", "n_batches": 8, "repeats": 8}, 38, 48),  # 43.0; as published, every batch 8 times
        ({"variant": "published"}, 42, 52),  # 46.8
        ({}, 50, 56),  # 52.9
        ({"inflation": 0.0005}, 71, 76),  # 73.5
        ({"is_localised": True}, 82, 86),  # 83.9
    ],
    ids=["published", "published, new batches", "joint", "joint with noise", "localised"],
)
def test_a_readout_of_mnist_is_as_accurate_as_when_measured(images, settings, lowest, highest):
    results = [
        accuracy(images, **{"n_members": 100, "n_images": 64, "output": "softmax", "seed": seed} | settings)
        for seed in range(2)
    ]
    assert lowest < sum(results) / 2 < highest


def test_the_best_settings_come_within_five_percent_of_what_a_linear_readout_can_do(images):
    """About 92 %: 100 members on 256 new images in each of 60 generations; frozen from 88.0 %."""
    found = accuracy(images, n_members=100, n_images=256, loss="cross_entropy", is_localised=True, inflation=0.0005)
    assert found > 87.0
