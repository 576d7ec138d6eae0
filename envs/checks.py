"""Checks of the settings of a world."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np


def require(is_valid: bool, config: Any, name: str, rule: str) -> None:
    """Refuse a config unless a rule about one of its settings holds.

    Raises
    ------
    ValueError : names the setting, its value and the rule.
    """
    if not is_valid:
        raise ValueError(f"ForagingConfig.{name}={getattr(config, name)!r} is not allowed: it must be {rule}.")


def checked_type(name: str, value: Any, default: Any, item: tuple[Any, ...] | None = None) -> Any:
    """A setting in the type of its default: text, finite number, whole number, bool, or nested tuple of numbers.

    Parameters
    ----------
    item : what an entry of a list of any length looks like; None for everything else

    Raises
    ------
    ValueError : another type; names the field and the value.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if item is not None:
        is_valid = is_list and all(isinstance(entry, Sequence | np.ndarray) for entry in value)
        rule = f"a list of items of {len(item)} numbers each"
        if is_valid:
            return tuple(checked_type(name, entry, item) for entry in value)
    elif isinstance(default, str):
        is_valid, rule = isinstance(value, str), "text"
    elif isinstance(default, bool):
        is_valid, rule = isinstance(value, bool | np.bool_), "True or False"
    elif isinstance(default, int):
        is_valid, rule = isinstance(value, numbers.Integral) and not isinstance(value, bool), "a whole number"
    elif isinstance(default, float):
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        is_valid, rule = is_number and _is_finite(value), "a finite number"
    else:
        is_valid, rule = is_list and len(value) == len(default), f"{len(default)} numbers"
        if is_valid:
            return tuple(checked_type(name, entry, like) for entry, like in zip(value, default, strict=True))
    if not is_valid:
        raise ValueError(f"ForagingConfig.{name}={value!r} is not allowed: it must be {rule}.")
    return type(default)(value)


def _is_finite(value: Any) -> bool:
    """Whether a real number is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:  # 10**400
        return False
