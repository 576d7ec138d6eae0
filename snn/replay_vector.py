"""Eight numbers at once, added to one of two sums by their sign; what `snn.vector` lacks for replays."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from snn.spike_trains import FloatArray
from snn.vector import _VECTOR, WIDTH, _pointer


def _add_by_sign(sums: FloatArray, positive: int, others: int, terms: FloatArray, first: int) -> None:
    """Add ``terms[first : first + WIDTH]`` to `sums`, each lane from `positive` on if it is above 0, else `others`.

    The sum that a term does not belong to gets 0 instead, which changes no bit of it: it is never -0.

    Parameters
    ----------
    sums, terms : (n,) float64, contiguous, two arrays; no bounds are checked
    positive, others, first : int
    """
    for lane in range(WIDTH):
        term = terms[first + lane]
        sums[positive + lane] += term if term > 0.0 else 0.0
        sums[others + lane] += 0.0 if term > 0.0 else term


@intrinsic
def _add_by_sign_compiled(typing_context: Any, sums: Any, positive: Any, others: Any, terms: Any, first: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
        values = builder.load(_pointer(context, builder, signature.args[3], arguments[3], arguments[4]), align=8)
        is_positive = builder.fcmp_ordered(">", values, zero)
        parts = builder.select(is_positive, values, zero), builder.select(is_positive, zero, values)
        for at, part in zip(arguments[1:3], parts, strict=True):
            target = _pointer(context, builder, signature.args[0], arguments[0], at)
            builder.store(builder.fadd(builder.load(target, align=8), part), target, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.intp, terms, types.intp), build


add_by_sign = _add_by_sign if config.DISABLE_JIT else _add_by_sign_compiled
