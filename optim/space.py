"""The box an optimizer searches: named blocks of genes with bounds."""

from dataclasses import dataclass, field

import numpy as np

from optim.base import Array


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive genes that share a meaning and bounds.

    Parameters
    ----------
    name : what the genes are, with the unit, e.g. "weight_pA"
    size : number of genes, >= 1
    low, high : bounds of every gene in its own unit, 0 < high - low < inf

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    name: str
    size: int
    low: float
    high: float

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


@dataclass(frozen=True, slots=True)
class ParameterSpace:
    """Bounds and names of a genome.

    Parameters
    ----------
    blocks : the blocks in genome order, names unique

    Attributes
    ----------
    low, high : (n_params,) float64, read-only
    slices : the genes of each block, by name

    Raises
    ------
    ValueError : if there is no block, or a name occurs twice.
    """

    blocks: tuple[Block, ...]
    low: Array = field(init=False, repr=False, compare=False)
    high: Array = field(init=False, repr=False, compare=False)
    slices: dict[str, slice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        blocks = tuple(self.blocks)
        names = [block.name for block in blocks]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"ParameterSpace.blocks are named {names}, but need one or more different names. Rename the blocks."
            )
        sizes = [block.size for block in blocks]
        ends = np.cumsum(sizes).tolist()
        low = np.repeat(np.array([block.low for block in blocks], dtype=np.float64), sizes)
        high = np.repeat(np.array([block.high for block in blocks], dtype=np.float64), sizes)
        low.setflags(write=False)
        high.setflags(write=False)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        slices = {block.name: slice(end - block.size, end) for block, end in zip(blocks, ends, strict=True)}
        object.__setattr__(self, "slices", slices)

    @property
    def n_params(self) -> int:
        """Length of a genome."""
        return len(self.low)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names in genome order."""
        return tuple(self.slices)

    def clip(self, genomes: Array) -> Array:
        """(n, n_params) genomes moved to the nearest point of the box; NaN stays NaN, see `check`."""
        return np.clip(genomes, self.low, self.high)

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """(n, n_params) genomes, uniform in the box."""
        return rng.uniform(self.low, self.high, size=(n, self.n_params))

    def to_unit(self, genomes: Array) -> Array:
        """Linear map of [low, high] to [-1, 1], gene by gene; nothing is clipped."""
        return (genomes - self.low) / (self.high - self.low) * 2.0 - 1.0

    def from_unit(self, unit: Array) -> Array:
        """Linear map of [-1, 1] to [low, high], exact at both ends; inside, rounding may pass a bound by one ulp."""
        return 0.5 * ((1.0 - unit) * self.low + (1.0 + unit) * self.high)

    def check(self, genomes: Array) -> None:
        """Refuse genomes outside the box.

        Parameters
        ----------
        genomes : (n, n_params) float64

        Raises
        ------
        ValueError : if the shape is another, or a gene is NaN or out of bounds; names the first one.
        """
        if np.ndim(genomes) != 2 or np.shape(genomes)[1] != self.n_params:
            raise ValueError(
                f"genomes have shape {np.shape(genomes)}, but must be (n, {self.n_params}): rows are individuals. "
                "Build them with the same ParameterSpace."
            )
        genomes = np.asarray(genomes)
        outside = np.argwhere(~((genomes >= self.low) & (genomes <= self.high)))
        if outside.size:
            row, column = outside[0].tolist()
            name = next(name for name, genes in self.slices.items() if column < genes.stop)
            raise ValueError(
                f"genomes[{row}, {column}] = {genomes[row, column]} of block {name!r} is outside "
                f"[{self.low[column]}, {self.high[column]}]. Apply ParameterSpace.clip, or widen the block."
            )
