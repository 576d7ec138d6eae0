"""Configuration of the ant study: one tree of frozen dataclasses from a TOML file and command-line flags."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.config import ForagingConfig
from envs.presets import PRESETS, make_config, nearest_name
from experiments.search_config import SearchConfig
from experiments.seeds import RUN_WORLDS
from experiments.settings import ConfigError, check_flags, fill, read_settings
from snn import AntBrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AntsConfig(SearchConfig):
    """Everything that decides the result of a run of `experiments/ants.py`."""

    worlds: str = "individual"  # who meets the same worlds: "individual", "generation" or "run"; see experiments.seeds
    record_spikes: bool = False  # True: keep the spikes of the best individual of every generation
    preset: str = "published_training"  # world preset that [env] refines
    env: ForagingConfig = field(default_factory=lambda: make_config("published_training"))
    brain: AntBrainConfig = field(default_factory=AntBrainConfig)

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        if self.worlds not in RUN_WORLDS:
            raise ConfigError(f"worlds={self.worlds!r} is unknown{nearest_name(self.worlds, RUN_WORLDS)}")
        if self.brain.n_inputs != 11 or self.brain.n_outputs != 4:
            raise ConfigError(
                f"brain.n_inputs={self.brain.n_inputs}, brain.n_outputs={self.brain.n_outputs}: the ant world has "
                "11 sensors and reads 4 motor neurons; leave both at their defaults."
            )
        check_body(self.env)


def check_body(world: ForagingConfig) -> None:
    """Refuse a world whose ants have other senses or motors than an ant brain.

    Raises
    ------
    ConfigError : names the setting, its value and the one it must have.
    """
    for name, value in (("observation", "binary"), ("action", "discrete"), ("has_repellent", False)):
        if getattr(world, name) != value:
            raise ConfigError(
                f"env.{name}={getattr(world, name)!r}: an ant brain has the published 11 sensors and 4 motor neurons, "
                f"so it must be {value!r}. Choose another preset or set it."
            )


def load_config(path: Path | None, flags: Mapping[str, Any]) -> AntsConfig:
    """Config from defaults, then the file, then flags; each overrides the one before.

    Parameters
    ----------
    path : TOML file, or None
    flags : dotted name to value, e.g. ``{"ga.n_elite": 2}``; strings are read as TOML where the field is not a string

    Raises
    ------
    ConfigError : unknown key (the nearest known one is offered), wrong type, or a value outside its range.
    """
    config = config_from_dict(read_settings(path, flags))
    check_flags(config, flags)
    return config


def config_from_dict(settings: Mapping[str, Any]) -> AntsConfig:
    """Config from nested plain values, e.g. what `config_to_dict` gave; missing keys keep their defaults.

    Raises
    ------
    ConfigError : as `load_config`.
    """
    preset = settings.get("preset", "published_training")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise ConfigError(f"preset={preset!r} is unknown{nearest_name(str(preset), PRESETS)}")
    default = dataclasses.replace(AntsConfig(), preset=preset, env=PRESETS[preset])
    return typing.cast(AntsConfig, fill(default, settings))
