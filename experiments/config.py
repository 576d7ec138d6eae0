"""Configuration of the ant study: one tree of frozen dataclasses from a TOML file and command-line flags."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from envs.config import ForagingConfig
from envs.presets import PRESETS, make_config, nearest_name
from experiments.seeds import RUN_WORLDS
from optim import EnKFConfig, ESConfig, GAConfig
from snn import AntBrainConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OPTIMIZERS = ("ga", "es", "enkf")
# Fields that a resumed run may change: they decide when it ends and how fast, not what it computes.
RESUMABLE = ("generations", "brain.engine")


class ConfigError(ValueError):
    """A setting is unknown, has the wrong type, or lies outside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AntsConfig:
    """Everything that decides the result of a run of `experiments/ants.py`."""

    optimizer: str = "ga"  # "ga", "es" or "enkf"
    population: int = 32  # individuals (ensemble members) per generation, >= 2
    generations: int = 100  # >= 1
    episodes: int = 1  # episodes per individual and generation, >= 1; fitness is their mean
    seed: int = 1  # root of all seeds, >= 0
    worlds: str = "individual"  # who meets the same worlds: "individual", "generation" or "run"; see experiments.seeds
    record_spikes: bool = False  # True: keep the spikes of the best individual of every generation
    preset: str = "published_training"  # world preset that [env] refines
    env: ForagingConfig = field(default_factory=lambda: make_config("published_training"))
    brain: AntBrainConfig = field(default_factory=AntBrainConfig)
    ga: GAConfig = field(default_factory=GAConfig)
    es: ESConfig = field(default_factory=ESConfig)
    enkf: EnKFConfig = field(default_factory=EnKFConfig)

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer={self.optimizer!r} is unknown{nearest_name(self.optimizer, OPTIMIZERS)}")
        lowest = self.ga.n_elite + 1 if self.optimizer == "ga" else 2
        if self.population < max(2, lowest):
            raise ConfigError(f"population={self.population} is too small: {self.optimizer} needs >= {max(2, lowest)}.")
        if self.optimizer == "es" and self.es.mirrored and self.population % 2:
            raise ConfigError(
                f"population={self.population} is odd: mirrored sampling needs pairs. "
                "Use an even number or es.mirrored=false."
            )
        for name in ("generations", "episodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: it must be >= 1.")
        if self.worlds not in RUN_WORLDS:
            raise ConfigError(f"worlds={self.worlds!r} is unknown{nearest_name(self.worlds, RUN_WORLDS)}")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} is not allowed: it must be >= 0.")
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
    settings = _read_toml(path) if path is not None else {}
    for name, value in flags.items():
        *sections, key = name.split(".")
        section = settings
        for part in sections:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise ConfigError(f"{part}={section!r} is not a section: write [{part}] with its settings.")
        section[key] = value
    return config_from_dict(settings)


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
    return typing.cast(AntsConfig, _fill(default, settings, ""))


def config_to_dict(config: AntsConfig) -> dict[str, Any]:
    """Nested plain values, every field explicit."""
    return dataclasses.asdict(config)


def config_to_toml(config: AntsConfig) -> str:
    """The config as a TOML document that `load_config` reads back to the same value."""
    return tomli_w.dumps(config_to_dict(config))


def differing_fields(old: AntsConfig, new: AntsConfig) -> dict[str, tuple[Any, Any]]:
    """Dotted names of fields that differ, with (old, new) values; `RESUMABLE` fields are left out."""
    new_values = dict(leaves(new))
    return {
        name: (value, new_values[name])
        for name, value in leaves(old)
        if value != new_values[name] and name not in RESUMABLE
    }


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every setting in the tree."""
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{entry.name}.")
        else:
            yield f"{prefix}{entry.name}", value


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} is not valid TOML: {error}") from None


def _fill(default: Any, settings: Mapping[str, Any], prefix: str) -> Any:
    """Copy of a dataclass with some fields replaced by plain values, checked for name and type."""
    hints = typing.get_type_hints(type(default))
    known = [entry.name for entry in dataclasses.fields(default)]
    changes = {}
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"unknown setting {prefix}{key}{nearest_name(key, known)}")
        current = getattr(default, key)
        if dataclasses.is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix}{key}={value!r} is not a section: write [{prefix}{key}] with its settings.")
            changes[key] = _fill(current, value, f"{prefix}{key}.")
        else:
            changes[key] = _convert(value, hints[key], f"{prefix}{key}")
    try:
        return dataclasses.replace(default, **changes)
    except ConfigError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(str(error)) from None


def _convert(value: Any, hint: Any, name: str) -> Any:
    """A plain value as the type of a field; a string for a field that is none is read as TOML."""
    kind = hint
    if typing.get_origin(hint) is typing.Literal:
        kind = str
    elif isinstance(typing.get_origin(hint), type):
        kind = typing.get_origin(hint)
    if isinstance(value, str) and kind is not str:
        try:
            value = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            raise ConfigError(f"{name}={value!r} is not a {_type_name(kind)}.") from None
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(tuple(item) if isinstance(item, list | tuple) else item for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{name}={value!r} has the wrong type: it must be a {_type_name(kind)}.")
    return value


def _type_name(kind: Any) -> str:
    names = {int: "whole number", float: "number", bool: "true or false", str: "text", tuple: "list"}
    return names.get(kind, str(kind) if isinstance(kind, types.UnionType) else kind.__name__)
