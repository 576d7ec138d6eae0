"""Eight numbers at once, where the compiler does not find the vector instructions by itself."""

from __future__ import annotations

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

WIDTH = 8
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)


def _add_scaled(sums, at, terms, first, factor):
    """Add ``factor * terms[first : first + WIDTH]`` to ``sums[at : at + WIDTH]``.

    Parameters
    ----------
    sums, terms : (n,) float64, contiguous; no bounds are checked
    at, first : int
    factor : float
    """
    for lane in range(WIDTH):
        sums[at + lane] += factor * terms[first + lane]


def _any_nonzero(row, first):
    """Whether ``row[first : first + WIDTH]`` holds a number other than 0; parameters as in `add_scaled`."""
    return any(row[lane] != 0.0 for lane in range(first, first + WIDTH))


def _add_by_sign(sums, positive, others, terms, first):
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
def _add_scaled_compiled(typing_context, sums, at, terms, first, factor):
    def build(context, builder, signature, arguments):
        undefined, zero = ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        scale = builder.shuffle_vector(builder.insert_element(undefined, arguments[4], zero), undefined, everywhere)
        target = _pointer(context, builder, signature.args[0], arguments[0], arguments[1])
        source = _pointer(context, builder, signature.args[2], arguments[2], arguments[3])
        product = builder.fmul(scale, builder.load(source, align=8))
        builder.store(builder.fadd(builder.load(target, align=8), product), target, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.intp, terms, types.intp, types.float64), build


@intrinsic
def _any_nonzero_compiled(typing_context, row, first):
    def build(context, builder, signature, arguments):
        values = builder.load(_pointer(context, builder, signature.args[0], *arguments), align=8)
        is_nonzero = builder.fcmp_unordered("!=", values, ir.Constant(_VECTOR, [0.0] * WIDTH))
        mask = builder.bitcast(is_nonzero, ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", mask, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(row, types.intp), build


@intrinsic
def _add_by_sign_compiled(typing_context, sums, positive, others, terms, first):
    def build(context, builder, signature, arguments):
        zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
        values = builder.load(_pointer(context, builder, signature.args[3], arguments[3], arguments[4]), align=8)
        is_positive = builder.fcmp_ordered(">", values, zero)
        parts = builder.select(is_positive, values, zero), builder.select(is_positive, zero, values)
        for at, part in zip(arguments[1:3], parts, strict=True):
            target = _pointer(context, builder, signature.args[0], arguments[0], at)
            builder.store(builder.fadd(builder.load(target, align=8), part), target, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.intp, terms, types.intp), build


def _pointer(context, builder, array_type, array, index):
    """Address of eight numbers of an array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


add_scaled = _add_scaled if config.DISABLE_JIT else _add_scaled_compiled
add_by_sign = _add_by_sign if config.DISABLE_JIT else _add_by_sign_compiled
any_nonzero = _any_nonzero if config.DISABLE_JIT else _any_nonzero_compiled
