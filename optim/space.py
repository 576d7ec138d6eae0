"""The box an optimizer searches: named blocks of genes with bounds, kinds and ways to stay inside."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optim.base import Array

Kind = Literal["float", "log", "integer"]
Bounds = Literal["clip", "reflect", "sigmoid"]

_NEAR_ONE = 1.0 - 1e-9  # a gene on its bound has no finite coordinate behind a sigmoid: it gets that of this value
_FARTHEST = float(np.arctanh(_NEAR_ONE))


@njit(cache=True)
def _stretch(unit: Array, low: Array, high: Array, out: Array) -> None:
    """Scaled coordinates of unit coordinates: one pass through memory, where NumPy needs seven.

    Parameters
    ----------
    unit, out : (n, n_params) float64, read and written; slow if they are the same
    low, high : (n_params,) float64, scaled bounds; met exactly by -1 and 1, and by what is beyond
    """
    for i in range(unit.shape[0]):
        for j in range(unit.shape[1]):
            x = unit[i, j]
            x = -1.0 if x < -1.0 else 1.0 if x > 1.0 else x  # NaN stays NaN
            x = 0.5 * ((1.0 - x) * low[j] + (1.0 + x) * high[j])
            out[i, j] = low[j] if x < low[j] else high[j] if x > high[j] else x


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive genes that share a meaning and bounds.

    Parameters
    ----------
    name : what the genes are, with the unit, e.g. "weight_pA"
    size : number of genes, >= 1
    low, high : bounds of every gene in its own unit, 0 < high - low < inf; whole numbers for "integer", 0 < low for
        "log"
    kind : "float"; "log", searched by its logarithm; "integer", searched as a number that is rounded
    bounds : how a search that steps outside comes back: "clip" to the bound, "reflect" at it, or "sigmoid", where
        the search is unbounded and a tanh maps it inside

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    name: str
    size: int
    low: float
    high: float
    kind: Kind = "float"
    bounds: Bounds = "clip"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Block.name is empty: errors could not say which genes are meant. Name the block.")
        if not isinstance(self.size, int | np.integer) or self.size < 1:
            raise ValueError(f"Block {self.name!r}: size={self.size} is not an integer >= 1. Give its number of genes.")
        if not 0.0 < self.high - self.low < np.inf:
            raise ValueError(
                f"Block {self.name!r}: bounds [{self.low}, {self.high}] need 0 < high - low < inf. "
                "Give a box of positive width, e.g. [-20, 20]; leave constant genes out of the genome."
            )
        for name, value, known in (("kind", self.kind, get_args(Kind)), ("bounds", self.bounds, get_args(Bounds))):
            if value not in known:
                raise ValueError(f"Block {self.name!r}: {name}={value!r} is unknown. Choose one of {', '.join(known)}.")
        if self.kind == "log" and self.low <= 0.0:
            raise ValueError(
                f"Block {self.name!r}: low={self.low} has no logarithm. Give a bound above 0, or kind='float'."
            )
        if self.kind == "integer" and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ValueError(
                f"Block {self.name!r}: bounds [{self.low}, {self.high}] of an integer must be whole numbers."
            )


@dataclass(frozen=True, slots=True)
class ParameterSpace:
    """Bounds, kinds and names of a genome.

    Optimizers search in other coordinates than genes: *scaled* ones (the logarithm of "log" genes, the others as they
    are) or *unit* ones, where the scaled bounds are -1 and 1.

    Parameters
    ----------
    blocks : the blocks in genome order, names unique

    Attributes
    ----------
    low, high : (n_params,) float64, read-only
    scaled_low, scaled_high : (n_params,) float64, read-only, bounds of the scaled coordinates; half a step wider for
        integers, so that every value gets an equal share
    slices : the genes of each block, by name

    Raises
    ------
    ValueError : if there is no block, or a name occurs twice.
    """

    blocks: tuple[Block, ...]
    low: Array = field(init=False, repr=False, compare=False)
    high: Array = field(init=False, repr=False, compare=False)
    scaled_low: Array = field(init=False, repr=False, compare=False)
    scaled_high: Array = field(init=False, repr=False, compare=False)
    slices: dict[str, slice] = field(init=False, repr=False, compare=False)
    # Genes that need more than a linear map, by kind and by way back; empty entries are left out.
    _genes: dict[str, NDArray[np.intp]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        blocks = tuple(self.blocks)
        names = [block.name for block in blocks]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"ParameterSpace.blocks are named {names}, but need one or more different names. Rename the blocks."
            )
        sizes = [block.size for block in blocks]
        ends = np.cumsum(sizes).tolist()
        genes = {}
        for attribute, values in (("kind", ("log", "integer")), ("bounds", ("reflect", "sigmoid"))):
            for value in values:
                chosen = np.repeat([getattr(block, attribute) == value for block in blocks], sizes)
                if chosen.any():
                    genes[value] = np.flatnonzero(chosen)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "_genes", genes)
        slices = {block.name: slice(end - block.size, end) for block, end in zip(blocks, ends, strict=True)}
        object.__setattr__(self, "slices", slices)
        for name in ("low", "high"):
            bound = np.repeat(np.array([getattr(block, name) for block in blocks], dtype=np.float64), sizes)
            scaled = self.scale(bound)
            if "integer" in genes:
                scaled = scaled.copy()
                scaled[genes["integer"]] += -0.5 if name == "low" else 0.5
            for key, array in ((name, bound), (f"scaled_{name}", scaled)):
                array.setflags(write=False)
                object.__setattr__(self, key, array)

    @property
    def n_params(self) -> int:
        """Length of a genome."""
        return len(self.low)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names in genome order."""
        return tuple(self.slices)

    @property
    def is_plain(self) -> bool:
        """Whether every gene is a "float" with "clip", so that its coordinates are at most stretched."""
        return not self._genes

    @property
    def scaled_box(self) -> tuple[Array, Array, NDArray[np.bool_]]:
        """`low` and `high` in scaled coordinates, and which genes are whole numbers: (n_params,) bool, (0,) if none."""
        is_whole = np.zeros(self.n_params if "integer" in self._genes else 0, dtype=np.bool_)
        is_whole[self._genes.get("integer", [])] = True
        return np.array(self.scale(self.low)), np.array(self.scale(self.high)), is_whole

    def named(self, genome: Array) -> dict[str, Any]:
        """Values of a (n_params,) genome by block name: a float or int where the block is one gene, else an array."""
        genome, values = self._shaped(genome), dict[str, Any]()
        for block in self.blocks:
            genes = genome[self.slices[block.name]]
            typed = genes.astype(np.int64) if block.kind == "integer" else genes
            values[block.name] = typed[0].item() if block.size == 1 else typed
        return values

    def clip(self, genomes: Array) -> Array:
        """(n, n_params) genomes moved to the nearest point of the box; NaN stays NaN, see `check`."""
        return np.clip(self._rounded(self._shaped(genomes)), self.low, self.high)

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """(n, n_params) genomes, uniform in the scaled coordinates of the box."""
        scaled = rng.random((n, self.n_params))  # as rng.uniform with arrays of bounds, several times as fast
        scaled *= self.scaled_high - self.scaled_low
        scaled += self.scaled_low
        return self.unscale(scaled)

    def scale(self, genomes: Array) -> Array:
        """Scaled coordinates of genomes (…, n_params); the argument itself if no gene is "log"."""
        if "log" not in self._genes:
            return genomes
        scaled = np.array(genomes, dtype=np.float64)
        scaled[..., self._genes["log"]] = np.log(scaled[..., self._genes["log"]])
        return scaled

    def unscale(self, scaled: Array) -> Array:
        """Genomes (…, n_params) of scaled coordinates, moved to the nearest point of the box."""
        genomes = scaled
        if "log" in self._genes:
            genomes = np.array(scaled, dtype=np.float64)
            with np.errstate(over="ignore"):  # clipped below
                genomes[..., self._genes["log"]] = np.exp(genomes[..., self._genes["log"]])
        return self.clip(genomes)

    def to_unit(self, genomes: Array) -> Array:
        """Unit coordinates of genomes (…, n_params); nothing is clipped.

        Linear in the scaled coordinates, which [-1, 1] spans; behind a "sigmoid" the inverse of tanh.
        """
        unit = self.scale(self._shaped(genomes)) - self.scaled_low
        unit /= self.scaled_high - self.scaled_low
        unit *= 2.0
        unit -= 1.0
        if "sigmoid" in self._genes:
            genes = self._genes["sigmoid"]
            unit[..., genes] = np.arctanh(np.clip(unit[..., genes], -_NEAR_ONE, _NEAR_ONE))
        return unit

    def from_unit(self, unit: Array, out: Array | None = None) -> Array:
        """Genomes (…, n_params) of unit coordinates, inside the bounds and exact at both ends of clipped genes.

        Parameters
        ----------
        out : (…, n_params) float64, where to write them; None for a new array
        """
        unit = np.ascontiguousarray(self._shaped(unit))
        genomes = np.empty_like(unit) if out is None else out
        if self._genes.keys() & {"reflect", "sigmoid"}:
            unit = self.confine(unit)
            if "sigmoid" in self._genes:
                genes = self._genes["sigmoid"]
                unit[..., genes] = np.tanh(unit[..., genes])
        shape = (-1, self.n_params)
        into = np.reshape(genomes, shape, copy=False)
        _stretch(unit.reshape(shape), self.scaled_low, self.scaled_high, into)
        for kind, decode in (("log", np.exp), ("integer", np.round)):
            if kind in self._genes:
                genes = self._genes[kind]
                genomes[..., genes] = np.clip(decode(genomes[..., genes]), self.low[genes], self.high[genes])
        return genomes

    def confine(self, unit: Array) -> Array:
        """Copy of unit coordinates, those outside [-1, 1] brought back as their block says.

        What a search keeps as its position, so that it does not walk away from where its genomes are. Behind a
        "sigmoid" coordinates reach as far as they change a gene, to about 10.7.
        """
        unit = self._shaped(unit)
        inside = np.clip(unit, -1.0, 1.0)
        for how in ("reflect", "sigmoid"):
            if how in self._genes:
                genes = self._genes[how]
                there = unit[..., genes]
                back = 1.0 - np.abs(np.mod(there + 1.0, 4.0) - 2.0)
                inside[..., genes] = np.clip(there, -_FARTHEST, _FARTHEST) if how == "sigmoid" else back
        return inside

    def check(self, genomes: Array) -> None:
        """Refuse genomes outside the box.

        Parameters
        ----------
        genomes : (n, n_params) float64

        Raises
        ------
        ValueError : if the shape is another, or a gene is NaN, out of bounds, or no whole number where it should be;
            names the first one.
        """
        if np.ndim(genomes) != 2 or np.shape(genomes)[1] != self.n_params:
            raise ValueError(
                f"genomes have shape {np.shape(genomes)}, but must be (n, {self.n_params}): rows are individuals. "
                "Build them with the same ParameterSpace."
            )
        genomes = self._shaped(genomes)
        outside = np.argwhere(~((genomes >= self.low) & (genomes <= self.high)))
        if outside.size:
            row, column = outside[0].tolist()
            raise ValueError(
                f"genomes[{row}, {column}] = {genomes[row, column]} of block {self._block_of(column)!r} is outside "
                f"[{self.low[column]}, {self.high[column]}]. Apply ParameterSpace.clip, or widen the block."
            )
        broken = np.argwhere(self._rounded(genomes) != genomes)
        if broken.size:
            row, column = broken[0].tolist()
            raise ValueError(
                f"genomes[{row}, {column}] = {genomes[row, column]} of block {self._block_of(column)!r} is no whole "
                "number. Apply ParameterSpace.clip."
            )

    def _shaped(self, genomes: Array) -> Array:
        """Genomes or coordinates as float64; refuses complex ones, and those of another length than a genome."""
        genomes = np.asarray(genomes)
        if genomes.dtype.kind not in "fiub" or genomes.shape[-1:] != (self.n_params,):
            raise ValueError(
                f"genomes have shape {genomes.shape} and type {genomes.dtype}, but must be (…, {self.n_params}) real "
                "numbers. Build them with the same ParameterSpace."
            )
        return genomes.astype(np.float64, copy=False)

    def _rounded(self, genomes: Array) -> Array:
        """Genomes with whole numbers where the kind is "integer"; the argument itself if there is no such gene."""
        if "integer" not in self._genes:
            return genomes
        rounded = np.array(genomes, dtype=np.float64)
        rounded[..., self._genes["integer"]] = np.round(rounded[..., self._genes["integer"]])
        return rounded

    def _block_of(self, column: int) -> str:
        return next(name for name, genes in self.slices.items() if column < genes.stop)
