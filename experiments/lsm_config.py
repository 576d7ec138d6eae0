"""Settings of the reservoir study: which images, which liquid, which readout, and how it is trained."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.presets import nearest_name
from experiments.search_config import SearchConfig
from experiments.settings import ConfigError, check_flags, fill, read_settings
from optim import EnKFConfig
from snn.liquid_config import LiquidConfig, published_liquid
from snn.params import ENGINES
from snn.published_reservoir import PublishedReservoirConfig

IMAGES = ("mnist", "digits")
PRIORS = ("independent", "activity")


@dataclass(frozen=True, slots=True, kw_only=True)
class LsmConfig(SearchConfig):
    """Everything that decides the result of a run of `experiments/lsm.py`; a generation is a batch of images."""

    optimizer: str = "enkf"
    population: int = 98  # members: sets of readout weights
    generations: int = 330
    record_genomes: str = "best"
    checkpoint_s: float = 60.0
    images: str = "mnist"
    classes: tuple[int, ...] = (0, 1, 2)  # labels that are told apart; one cluster each
    n_train: int = 0  # images of each class to learn from, the first in the order of the seed; 0: all
    n_per_class: int = 4  # images of each class per generation, >= 1
    tau_hz: float = 5.0  # > 0: logits are the mean rates of the clusters divided by this
    centre_pA: float = 100.0  # mean of the first members: so much from excitatory neurons, minus as much from others
    spread_pA: float = 50.0  # standard deviation of the first members from their mean, > 0
    prior: str = "independent"  # weights of a member are independent, as published; or follow the "activity", see
    # `experiments.lsm_study.first_weights`
    is_localised: bool = True  # whether weights onto a cluster learn from the response of that cluster only
    bound_pA: float = 1000.0  # largest weight, > 0
    n_votes: int = 15  # members that vote beside the mean readout in the last test, >= 0
    engine: str = "numba"  # or "nest"
    block: int = 49  # members that are simulated side by side, >= 1
    test_every: int = 50  # generations between tests on a part of the test images, >= 1
    enkf: EnKFConfig = field(default_factory=lambda: _filter(3))
    liquid: LiquidConfig = field(default_factory=lambda: published_liquid("published"))

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        for name, known in (("images", IMAGES), ("engine", ENGINES), ("prior", PRIORS)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}={getattr(self, name)!r} is unknown{nearest_name(getattr(self, name), known)}"
                )
        for name, lowest in (("n_train", 0), ("n_per_class", 1), ("block", 1), ("test_every", 1), ("n_votes", 0)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: it must be >= {lowest}.")
        for name in ("tau_hz", "spread_pA", "bound_pA"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}={getattr(self, name)} is outside (0, inf).")
        if self.episodes != 1:
            raise ConfigError(f"episodes={self.episodes}: every image has its own noise already, so it must be 1.")
        self._check_classes()

    def _check_classes(self) -> None:
        reservoir, n_classes = self.liquid.reservoir, len(self.classes)
        if n_classes < 2 or len(set(self.classes)) < n_classes or not set(self.classes) <= set(range(10)):
            raise ConfigError(f"classes={self.classes} are not allowed: give two or more different ones of 0 … 9.")
        if not isinstance(reservoir, PublishedReservoirConfig):
            raise ConfigError("liquid.reservoir has no output neurons: use the published one, see docs/networks.md.")
        if reservoir.n_clusters != n_classes:
            raise ConfigError(
                f"liquid.reservoir.n_clusters={reservoir.n_clusters}, but there are {n_classes} classes: give one "
                "cluster per class."
            )
        if self.optimizer == "enkf" and self.enkf.block_length != n_classes:
            raise ConfigError(
                f"enkf.block_length={self.enkf.block_length}, but an image has {n_classes} responses, one per class: "
                "give as many."
            )


def _filter(n_classes: int) -> EnKFConfig:
    return EnKFConfig(loss="categorical", variant="sqrt", step="misfit", gamma=0.25, block_length=n_classes)


def _improved(n_classes: int, n_pixels: int, **changes: Any) -> LiquidConfig:
    """Receptive fields, relays that pass every spike, weak and sparse recurrence, no background noise, no idle time.

    Found on training images: what tells digits apart is the number of different places that are seen. Images do not
    change in time, so the liquid needs no memory, and noise only blurs its answers.
    """
    settings = {
        "input_indegree": 30, "input_weight_pA": 10.0, "input_weight_sd_pA": 150.0, "patch_pixels": 10,
        "outdegree_ee": 10, "outdegree_ei": 10, "outdegree_ie": 40, "outdegree_ii": 10, "weight_i_pA": -180.0,
        "noise_strong_rate_hz": 0.0, "noise_weak_rate_hz": 0.0, "noise_output_rate_hz": 0.0,
    }  # fmt: skip
    reservoir = PublishedReservoirConfig(n_clusters=n_classes, n_pixels=n_pixels, **settings | changes)
    return published_liquid(
        "local", reservoir=reservoir, stimulus_ms=300.0, bin_ms=300.0, warm_up_ms=0.0, cool_down_ms=0.0,
        max_rate_hz=300.0, min_rate_hz=0.0,
    )  # fmt: skip


_IMPROVED: dict[str, Any] = {
    "prior": "activity",
    "centre_pA": 60.0,
    "spread_pA": 8.0,
    "bound_pA": 4000.0,
    "tau_hz": 5.0,
}
_TEN = tuple(range(10))
PRESETS: dict[str, LsmConfig] = {
    "quick": LsmConfig(
        images="digits", classes=_TEN, population=64, block=32, generations=60, n_per_class=3, test_every=20,
        enkf=_filter(10),
        liquid=_improved(
            10, 64, input_indegree=12, patch_pixels=4, n_excitatory=800, n_inhibitory=200, readout_indegree_e=320,
            readout_indegree_i=80, n_cluster_excitatory=5, n_cluster_inhibitory=2,
        ), **_IMPROVED,
    ),
    "published": LsmConfig(n_train=1320, prior="activity", spread_pA=15.0),
    "improved-3": LsmConfig(generations=120, n_train=480, liquid=_improved(3, 784), **_IMPROVED),
    "improved": LsmConfig(
        classes=_TEN, population=400, block=50, generations=120, n_train=1200, n_per_class=10, enkf=_filter(10),
        liquid=_improved(10, 784), **_IMPROVED,
    ),
}  # fmt: skip


def load_config(path: Path | None, flags: Mapping[str, Any], preset: str = "published") -> LsmConfig:
    """Config from a preset, then the file, then flags; see `experiments.config.load_config`."""
    config = typing.cast(LsmConfig, fill(PRESETS[preset], read_settings(path, flags)))
    check_flags(config, flags)
    return config
