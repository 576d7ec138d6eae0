"""Settings of any study: a tree of frozen dataclasses from TOML and flags, what differs between two, their digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import reprlib
import sys
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from envs.presets import nearest_name
from optim.evaluators import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Fields that a resumed run may change: they decide when it ends, how fast it is, what it keeps, not what it computes.
RESUMABLE = (
    "generations", "record_genomes", "record_spikes", "retries", "timeout_s", "max_failed_fraction", "checkpoint_s",
    "brain.engine",
)  # fmt: skip
RECORD_GENOMES = ("all", "best")
_MAX_BYTES = 2**20  # of a file with settings
_MAX_BITS = 1024  # of a whole number: no seed needs more, and Python does not print the largest


class ConfigError(ValueError):
    """A setting is unknown, has the wrong type, or lies outside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """What every study with an outer loop lets a person choose."""

    population: int = 32  # individuals (ensemble members) per generation, >= 2
    generations: int = 100  # >= 1
    episodes: int = 1  # episodes per individual and generation, >= 1; fitness is their mean
    seed: int = 1  # root of all seeds, >= 0
    record_genomes: str = "all"  # genomes in the results: of "all" individuals, or of the "best" of each generation
    retries: int = 1  # how often a task that failed is tried again, >= 0; see optim.evaluators.Limits
    timeout_s: float = 0.0  # longest time of one try in seconds, > 0; 0 = no limit
    max_failed_fraction: float = 0.5  # a generation with more failed individuals ends the run, [0, 1]
    checkpoint_s: float = 0.0  # seconds between checkpoints, >= 0; 0: after every generation

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ConfigError(f"population={self.population} is too small: it must be >= 2.")
        for name, lowest in (("generations", 1), ("episodes", 1), ("seed", 0)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name}={getattr(self, name)} is not allowed: it must be >= {lowest}.")
        if self.record_genomes not in RECORD_GENOMES:
            raise ConfigError(
                f"record_genomes={self.record_genomes!r} is unknown{nearest_name(self.record_genomes, RECORD_GENOMES)}"
            )
        try:
            Limits(timeout_s=self.timeout_s, retries=self.retries)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if not 0.0 <= self.max_failed_fraction <= 1.0:
            raise ConfigError(
                f"max_failed_fraction={self.max_failed_fraction} is outside [0, 1]: give the share of a generation "
                "that may fail, e.g. 0.5."
            )

        if not 0.0 <= self.checkpoint_s < float("inf"):
            raise ConfigError(f"checkpoint_s={self.checkpoint_s} is outside [0, inf): give seconds, 0 for the safest.")

    def unused(self) -> frozenset[str]:
        """Sections that do not count, so that they are neither written nor compared."""
        return frozenset()


def read_settings(path: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings of a TOML file, overridden by flags.

    Parameters
    ----------
    path : TOML file, or None
    flags : dotted name to value, e.g. ``{"ga.n_elite": 2}``

    Raises
    ------
    ConfigError : the file cannot be read, or a section is none.
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
    return settings


def check_flags(config: RunConfig, flags: Collection[str]) -> None:
    """Refuse flags that have no effect; in a file such sections may wait for their optimizer.

    Raises
    ------
    ConfigError : a flag belongs to a section that does not count.
    """
    for name in flags:
        if (section := name.split(".")[0]) in config.unused():
            raise ConfigError(
                f"--{name} has no effect: it needs --optimizer {section}. Leave one out, or add the other."
            )


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Nested plain values, every field explicit that counts."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in config.unused()}


def config_to_toml(config: RunConfig) -> str:
    """The config as a TOML document that reads back to the same value; what is None, the default then, is left out."""

    def written(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: written(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
            if value is not None
        }

    return tomli_w.dumps(written(config_to_dict(config)))


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every setting in a config, or in nested plain values."""
    if dataclasses.is_dataclass(config):
        config = {entry.name: getattr(config, entry.name) for entry in dataclasses.fields(config)}
    for name, value in config.items():
        if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def differing_fields(old: Any, new: Any) -> dict[str, tuple[Any, Any]]:
    """Dotted names of settings that both have and that differ, with (old, new) values; `RESUMABLE` ones are left out.

    Parameters
    ----------
    old, new : configs or nested plain values; lists and tuples of equal items are equal
    """
    old, new = (config_to_dict(side) if isinstance(side, RunConfig) else side for side in (old, new))
    new_values = {name: as_lists(value) for name, value in leaves(new)}
    old_values = {name: as_lists(value) for name, value in leaves(old) if name in new_values and name not in RESUMABLE}
    return {name: (value, new_values[name]) for name, value in old_values.items() if value != new_values[name]}


def describe(differences: Mapping[str, tuple[Any, Any]]) -> str:
    """Every difference, old -> new."""
    return "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in differences.items())


def config_digest(config: RunConfig) -> str:
    """sha256 of all settings that decide results, in hexadecimal."""
    deciding = {name: value for name, value in leaves(config_to_dict(config)) if name not in RESUMABLE}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def fill(default: Any, settings: Mapping[str, Any], prefix: str = "") -> Any:
    """Copy of a config with some fields replaced by plain values, checked for name and type.

    Raises
    ------
    ConfigError : unknown key (the nearest known one is offered), wrong type, or a value outside its range.
    """
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
            changes[key] = fill(current, value, f"{prefix}{key}.")
        else:
            changes[key] = _convert(value, hints[key], f"{prefix}{key}")
    try:
        return dataclasses.replace(default, **changes)
    except ConfigError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(str(error)) from None


def as_lists(value: Any) -> Any:
    """A value of a setting as a file gives it back: tuples, also inside of others, are lists."""
    return [as_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:
            content = handle.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError(f"config file {path} is larger than {_MAX_BYTES:,} bytes: these are no settings.")
        return tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise ConfigError(f"config file {path} is not valid TOML: {error}") from None


def _convert(value: Any, hint: Any, name: str) -> Any:
    """A plain value as the type of a field; a string for a field that is none is read as TOML."""
    kinds = _kinds(hint)
    wanted = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds if kind is not types.NoneType)
    if isinstance(value, str) and str not in kinds:
        try:
            found = tomllib.loads(f"value = {value}")
            if found.keys() != {"value"}:  # a line end and another setting
                raise ValueError
        except (ValueError, RecursionError):
            raise ConfigError(f"{name}={reprlib.repr(value)} is not a {wanted}.") from None
        value = found["value"]
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ConfigError(f"{name} is too large: a number has at most {_MAX_BITS} bits.")
    if tuple in kinds and isinstance(value, list | tuple):
        return tuple(tuple(item) if isinstance(item, list | tuple) else item for item in value)
    if float in kinds and int not in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigError(f"{name}={value!r} has the wrong type: it must be a {wanted}.")
    return value


_NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text", tuple: "list", Mapping: "section"}


def _kinds(hint: Any) -> tuple[type, ...]:
    """The classes that a type hint of a field allows."""
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return (str,)
    if origin in (types.UnionType, typing.Union):
        return tuple(kind for part in typing.get_args(hint) for kind in _kinds(part))
    return (origin or hint,)
