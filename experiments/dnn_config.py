"""Settings of the deep-network study: which network learns which images, from where, and by which optimizer."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.presets import nearest_name
from experiments.datasets import Images, every_fifth, load, of_classes
from experiments.deep_networks import MLP, DeepNetwork, PublishedCNN
from experiments.search_config import SearchConfig
from experiments.settings import ConfigError, check_flags, fill, read_settings
from optim import AdaptiveConfig, EnKFConfig

# Of ten classes, as the networks have outputs. "letters": A to J; "letters_test": from the test file alone
IMAGES = ("mnist", "fashion_mnist", "letters", "letters_test")
NETWORKS = ("cnn", "mlp")


# Of the filter, adaptive or not.
_FILTER: dict[str, Any] = {
    "loss": "categorical",
    "variant": "sqrt",
    "step": "misfit",
    "gamma": 0.25,
    "block_length": 10,
    "renewal": 0.1,
    "memory": 0.9,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DnnConfig(SearchConfig):
    """Everything that decides the result of a run of `experiments/enkf_dnn.py`; a generation is a batch of images."""

    optimizer: str = "enkf"
    population: int = 1000
    generations: int = 234  # with 256 images each: every image of MNIST once
    record_genomes: str = "best"
    checkpoint_s: float = 60.0
    network: str = "cnn"  # the published one, or "mlp"
    n_hidden: tuple[int, ...] = (100,)  # units of the hidden layers of the "mlp"
    activation: str = "logistic"  # of the hidden units: "logistic", "tanh", "relu" or "step"
    images: str = "mnist"  # one of IMAGES; "letters" are A to J
    batch: int = 256  # images per generation, >= 1
    repetitions: int = 1  # generations that see the same batch, >= 1; adaptive_enkf has its own
    gain: float = 4.0  # hidden weights of the first mean network have the standard deviation gain / sqrt(inputs), >= 0
    sigma: float = 0.0  # > 0: instead, all its weights have this standard deviation, as in the published program
    hidden_spread: float = 0.02  # standard deviation of the first members from the mean network, >= 0; hidden weights
    output_spread: float = 0.2  # … and those of the last layer, whose mean is 0 unless sigma is given
    temperature: float = 1.0  # > 0, divides the logits in the loss: for networks that begin with large ones
    test_every: int = 26  # generations between tests on the test images, >= 1; there is one after the last
    block: int = 25  # members whose responses are computed together, >= 1
    enkf: EnKFConfig = field(default_factory=lambda: EnKFConfig(**_FILTER))
    adaptive_enkf: AdaptiveConfig = field(default_factory=lambda: AdaptiveConfig(**_FILTER))

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        for name, known in (("network", NETWORKS), ("images", IMAGES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}={getattr(self, name)!r} is unknown{nearest_name(getattr(self, name), known)}"
                )
        for name in ("batch", "repetitions", "test_every", "block"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: it must be >= 1.")
        for name in ("gain", "sigma", "hidden_spread", "output_spread"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}={getattr(self, name)} is outside [0, inf).")
        if not 0.0 < self.temperature < float("inf"):
            raise ConfigError(f"temperature={self.temperature} is outside (0, inf). Give e.g. the size of a logit.")
        if self.episodes != 1:
            raise ConfigError(f"episodes={self.episodes}: a batch has nothing random, so it must be 1.")
        if self.is_adaptive and self.repetitions != 1:
            raise ConfigError(
                f"repetitions={self.repetitions} has no effect: this optimizer chooses them. "
                "Give adaptive_enkf.repetitions for the first batch."
            )
        self.make_network()

    @property
    def is_adaptive(self) -> bool:
        """Whether the optimizer says which batch a generation sees."""
        return self.optimizer == "adaptive_enkf"

    def make_network(self) -> DeepNetwork:
        """The network that is trained.

        Raises
        ------
        ConfigError : an unknown activation, or no hidden units.
        """
        try:
            if self.network == "cnn":
                return PublishedCNN(self.activation)
            return MLP(self.activation, self.n_hidden)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def load_images(name: str, split: str) -> Images:
    """Images of ten classes by their name in `IMAGES`; raises as `experiments.datasets.load`."""
    if not name.startswith("letters"):
        return load(name, split)
    if name == "letters":
        return of_classes(load("emnist_letters", split), range(10))
    return every_fifth(of_classes(load("emnist_letters", "test"), range(10)), split)


def load_config(path: Path | None, flags: Mapping[str, Any]) -> DnnConfig:
    """Config from defaults, then the file, then flags; see `experiments.config.load_config`."""
    config = typing.cast(DnnConfig, fill(DnnConfig(), read_settings(path, flags)))
    check_flags(config, flags)
    return config
