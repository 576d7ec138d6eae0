"""Flush-to-zero of denormal numbers."""

import platform

import numpy as np
import pytest

from snn.flush import set_flush_to_zero

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="flush-to-zero is switched on x86-64 only")


def test_denormals_become_zero_only_while_switched_on():
    denormal = np.array([1e-310])
    assert (denormal * 0.5)[0] > 0
    assert set_flush_to_zero(True) is False
    try:
        assert (denormal * 0.5)[0] == 0
    finally:
        assert set_flush_to_zero(False) is True
    assert (denormal * 0.5)[0] > 0
