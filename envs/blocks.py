"""Blocks of numbers for kernels that work on several at once: compiled, they are registers, else NumPy arrays.

The compiler would not keep what a kernel has read across rows and columns by itself, and refuses to vectorise a loop
that writes where it reads. A block has + and *, `load` and `store` at a place of a row (the end of a row may cut it),
`beside` and `flushed`. No operation is fused or reordered: results do not depend on the processor.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.errors import NumbaTypeError
from numba.extending import intrinsic, models, overload, register_model

BLOCK_BYTES = 64  # one AVX-512 register; LLVM splits it where registers are smaller, the result is the same


def _lanes(row):
    """How many numbers of its dtype a block holds; a constant for the compiler."""
    return BLOCK_BYTES // row.itemsize


def _load(row, first, n_left):
    """Block ``row[first : first + min(n_left, lanes)]``, the rest 0. `row` is contiguous; no bounds are checked."""
    block = np.zeros(_lanes(row), row.dtype)
    block[: max(n_left, 0)] = row[first : first + min(max(n_left, 0), block.size)]
    return block


def _store(row, first, n_left, block):
    """Write the first `n_left` numbers of a block, all if there are fewer; as in `load`."""
    n = min(max(n_left, 0), block.size)
    row[first : first + n] = block[:n]


def _beside(left, here, right):
    """For each number of `here`, the sum of its left and right neighbour in the three blocks."""
    return np.concatenate((left[-1:], here[:-1])) + np.concatenate((here[1:], right[:1]))


def _flushed(block, tiny):
    """0 in place of what is not above `tiny`."""
    return np.where(block > tiny, block, block.dtype.type(0.0))


class Block(types.Type):
    """Numba type of a block."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.n_lanes = 8 * BLOCK_BYTES // dtype.bitwidth
        super().__init__(name=f"Block({dtype} x {self.n_lanes})")


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager, block):
        element = {types.float64: ir.DoubleType(), types.float32: ir.FloatType()}[block.dtype]
        super().__init__(manager, block, ir.VectorType(element, block.n_lanes))


def _block_of(row):
    """Type of the blocks of a row."""
    if row.layout != "C" or row.dtype not in (types.float64, types.float32):
        raise NumbaTypeError(f"{row} is not a C-contiguous row of float64 or float32")
    return Block(row.dtype)


def _splat(builder, value, n_lanes):
    """The same value in all lanes."""
    zero = ir.Constant(ir.IntType(32), 0)
    one_lane = builder.insert_element(ir.Constant(ir.VectorType(value.type, n_lanes), ir.Undefined), value, zero)
    return builder.shuffle_vector(one_lane, one_lane, ir.Constant(ir.VectorType(zero.type, n_lanes), [0] * n_lanes))


def _call_masked(context, builder, name, block, row_type, row, first, n_left, content):
    """Masked load or store of the lanes below `n_left`; LLVM drops a mask that it knows to be full."""
    vector, int32 = context.get_value_type(block), ir.IntType(32)
    address = builder.gep(context.make_array(row_type)(context, builder, row).data, [first])
    address = builder.bitcast(address, vector.as_pointer())
    numbers = ir.Constant(ir.VectorType(first.type, block.n_lanes), list(range(block.n_lanes)))
    mask = builder.icmp_signed("<", numbers, _splat(builder, n_left, block.n_lanes))
    alignment = ir.Constant(int32, block.dtype.bitwidth // 8)
    if name == "load":
        arguments, result = [address, alignment, mask, content], vector
    else:
        arguments, result = [content, address, alignment, mask], ir.VoidType()
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    full_name = f"llvm.masked.{name}.v{block.n_lanes}f{block.dtype.bitwidth}.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, full_name), arguments)


@intrinsic
def _lanes_compiled(typing_context, row):
    n_lanes = _block_of(row).n_lanes
    return types.intp(row), lambda context, builder, signature, arguments: context.get_constant(types.intp, n_lanes)


@intrinsic
def _load_compiled(typing_context, row, first, n_left):
    block = _block_of(row)

    def build(context, builder, signature, arguments):
        zeros = ir.Constant(context.get_value_type(block), [0.0] * block.n_lanes)
        return _call_masked(context, builder, "load", block, row, *arguments, zeros)

    return block(row, types.intp, types.intp), build


@intrinsic
def _store_compiled(typing_context, row, first, n_left, content):
    def build(context, builder, signature, arguments):
        _call_masked(context, builder, "store", content, row, *arguments)
        return context.get_dummy_value()

    return types.void(row, types.intp, types.intp, _block_of(row)), build


@intrinsic
def _beside_compiled(typing_context, left, here, right):
    def build(context, builder, signature, arguments):
        n, index = here.n_lanes, ir.VectorType(ir.IntType(32), here.n_lanes)
        from_left = builder.shuffle_vector(*arguments[:2], ir.Constant(index, list(range(n - 1, 2 * n - 1))))
        from_right = builder.shuffle_vector(*arguments[1:], ir.Constant(index, list(range(1, n + 1))))
        return builder.fadd(from_left, from_right)

    return here(here, here, here), build


@intrinsic
def _flushed_compiled(typing_context, block, tiny):
    def build(context, builder, signature, arguments):
        is_kept = builder.fcmp_ordered(">", arguments[0], _splat(builder, arguments[1], block.n_lanes))
        return builder.select(is_kept, arguments[0], ir.Constant(arguments[0].type, [0.0] * block.n_lanes))

    return block(block, block.dtype), build


def _define_operator(operation, instruction):
    """Let compiled code use an operator on two blocks."""

    @intrinsic
    def compute(typing_context, a, b):
        return a(a, a), lambda context, builder, signature, arguments: getattr(builder, instruction)(*arguments)

    def operate(a, b):
        return compute(a, b)

    overload(operation)(lambda a, b: operate if isinstance(a, Block) and a == b else None)


_define_operator(operator.add, "fadd")
_define_operator(operator.mul, "fmul")

lanes = _lanes if config.DISABLE_JIT else _lanes_compiled
load = _load if config.DISABLE_JIT else _load_compiled
store = _store if config.DISABLE_JIT else _store_compiled
beside = _beside if config.DISABLE_JIT else _beside_compiled
flushed = _flushed if config.DISABLE_JIT else _flushed_compiled
