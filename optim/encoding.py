"""Indirect encoding: any optimizer searches a few frequencies, from which long genomes are made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from optim.base import Array, Evaluations, Optimizer
from optim.search import Search
from optim.space import Block, ParameterSpace

# scipy.fft is imported where it is called: it takes longer to load than all of optim.


@dataclass(frozen=True, slots=True, kw_only=True)
class Dct:
    """Settings of `Encoded`: which coefficients of a cosine transform make a genome.

    Parameters
    ----------
    n_coefficients : the lowest frequencies, per block, >= 1; a block shorter than that keeps all it has
    blocks : numbers of genes that are transformed together, e.g. the weights of each layer or of each neuron, in
        genome order; () transforms the whole genome at once
    reach : half-width of the box of coefficients, > 0; at 1 a random point of it has genes as large as a random
        genome of the full space has, in the mean square

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    n_coefficients: int
    blocks: tuple[int, ...] = ()
    reach: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.n_coefficients, int) or self.n_coefficients < 1:
            raise ValueError(f"Dct.n_coefficients={self.n_coefficients} is not an integer >= 1. Give e.g. 20.")
        if any(not isinstance(size, int) or size < 1 for size in self.blocks):
            raise ValueError(f"Dct.blocks={self.blocks} are not integers >= 1. Give the genes of each block, or ().")
        if not 0.0 < self.reach < np.inf:
            raise ValueError(f"Dct.reach={self.reach} is outside (0, inf). Give e.g. 1.")

    def sizes(self, n_params: int) -> tuple[int, ...]:
        """Genes of each block of a genome.

        Raises
        ------
        ValueError : if the blocks do not add up to `n_params`.
        """
        if self.blocks and sum(self.blocks) != n_params:
            raise ValueError(
                f"Dct.blocks={self.blocks} have {sum(self.blocks)} genes, but the genome has {n_params}. "
                "Give the sizes of all blocks, or () for the whole genome."
            )
        return self.blocks or (n_params,)

    def space(self, n_params: int) -> ParameterSpace:
        """The box of coefficients of a genome.

        Its half-width in a block of n genes and k coefficients is reach (n/k)^(1/2), but not more than n^(1/2): no
        genome inside its bounds has a larger coefficient.
        """
        boxes = []
        for i, (size, count) in enumerate(_runs(self.sizes(n_params))):
            kept = min(self.n_coefficients, size)
            width = np.sqrt(size) * min(1.0, self.reach / np.sqrt(kept))
            boxes.append(Block(f"coefficients_{i}", count * kept, -width, width))
        return ParameterSpace(tuple(boxes))


def _runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(size, number) of consecutive blocks of equal size, which are transformed in one call."""
    return [(size, len(list(run))) for size, run in groupby(sizes)]


def encode(genes: Array, sizes: Sequence[int], n_coefficients: int) -> Array:
    """Lowest coefficients of the orthonormal cosine transform of each block: the nearest genome they can express.

    Parameters
    ----------
    genes : (n, n_params) float64
    sizes : number of genes of each block
    n_coefficients : per block at most

    Returns
    -------
    (n, sum of min(n_coefficients, size)) float64, block after block, from low to high frequency
    """
    from scipy.fft import dct

    parts, start = [], 0
    for size, count in _runs(sizes):
        blocks = genes[:, start : start + count * size].reshape(-1, count, size)
        kept = dct(blocks, norm="ortho")[..., :n_coefficients]
        parts.append(kept.reshape(len(genes), -1))
        start += count * size
    return np.concatenate(parts, axis=1)


def decode(coefficients: Array, sizes: Sequence[int], n_coefficients: int) -> Array:
    """Genes from coefficients, where those of the higher frequencies are 0: the inverse of `encode`.

    Parameters
    ----------
    coefficients : (n, sum of min(n_coefficients, size)) float64, as `encode` returns
    sizes, n_coefficients : as in `encode`

    Returns
    -------
    (n, n_params) float64, with the same sum of squares in each row
    """
    from scipy.fft import idct

    parts, start = [], 0
    for size, count in _runs(sizes):
        n_kept = count * min(n_coefficients, size)
        kept = coefficients[:, start : start + n_kept].reshape(len(coefficients), count, -1)
        parts.append(idct(kept, n=size, norm="ortho").reshape(len(coefficients), -1))
        start += n_kept
    return np.concatenate(parts, axis=1)


class Encoded(Search):
    """Let another optimizer search the low frequencies of genomes.

    That optimizer moves coefficients in a box of their own. The genomes of `ask` are what the coefficients decode to
    in unit coordinates of the full space, brought inside the bounds; the evaluations are handed on row by row. Rows of
    coefficients that differ outside the bounds only give equal genomes, which are asked and scored one by one.

    A step of the optimizer in its unit coordinates moves genes `reach` times as far as it would without encoding, in
    the root mean square. With `reach` below the root of the number of coefficients per block, genomes whose energy
    is all in one frequency, e.g. in the mean of their genes, may lie outside the box.

    Parameters
    ----------
    space : the full space
    make : the optimizer from the space of coefficients and its first individuals (n, n_coefficients in all)
    initial : (n, n_params) float64, genomes inside the bounds, whose coefficients are the first individuals, those
        outside the box moved to its border

    Raises
    ------
    ValueError : if `initial` leaves the bounds, or the blocks of the encoding do not add up to a genome.

    Source: Koutník, Gomez and Schmidhuber 2010, doi:10.1145/1830483.1830596, and 2012, arXiv:1212.6521. Deviates: the
    transform runs along the genome and not over the two axes of a weight matrix, and the first individuals are the
    low frequencies of given genomes.
    """

    def __init__(
        self,
        space: ParameterSpace,
        encoding: Dct,
        make: Callable[[ParameterSpace, Array], Optimizer],
        *,
        initial: Array,
    ) -> None:
        space.check(initial)
        super().__init__(space, seed=0)  # draws nothing: the other optimizer has the random numbers, and the state
        self._sizes = encoding.sizes(space.n_params)
        self._n_coefficients = encoding.n_coefficients
        box = encoding.space(space.n_params)
        first = encode(space.to_unit(np.asarray(initial, dtype=np.float64)), self._sizes, self._n_coefficients)
        self._inner = make(box, box.clip(first))

    def _genomes(self) -> Array:
        """What the coefficients of the other optimizer mean."""
        return self._space.from_unit(decode(self._inner.ask(), self._sizes, self._n_coefficients))

    def _learn(self, evaluations: Evaluations) -> None:
        """Tell the other optimizer; it may refuse as it says."""
        self._inner.tell(self._inner.ask(), evaluations)

    def stop(self) -> dict[str, str]:
        """The reasons of the other optimizer."""
        return self._inner.stop()

    def diagnostics(self) -> dict[str, float]:
        """Those of the other optimizer, in its space of coefficients."""
        return self._inner.diagnostics()

    def state_dict(self) -> dict[str, Any]:
        """That of the other optimizer, marked as encoded."""
        state = self._inner.state_dict()
        return state | {"algorithm": f"Encoded {state['algorithm']}"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; see `Optimizer`."""
        name = self.state_dict()["algorithm"]
        if state.get("algorithm") != name:
            raise ValueError(
                f"state is of algorithm {state.get('algorithm')!r}, but this is {name!r}. "
                "Load it into the optimizer class that wrote it."
            )
        self._inner.load_state_dict({**state, "algorithm": name.removeprefix("Encoded ")})
        self._open = None
        self._is_asked = bool(state["is_asked"])
        self.generation = self._inner.generation
