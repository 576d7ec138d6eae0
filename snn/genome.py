"""Weights and delays of an ant brain from a genome vector; pure.

A genome is ``(2 * n_synapses,)`` float64: weight genes, then delay genes, both in the order of
`snn.topology.ant_brain_pairs` (700 + 700 for 20 hidden neurons, 250 + 250 for 10).
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snn.params import AntBrainConfig
from snn.topology import FloatArray


class GeneBlock(NamedTuple):
    """A run of genes of the same kind with their common bounds."""

    name: str
    size: int
    low: float
    high: float


def n_synapses(config: AntBrainConfig) -> int:
    """Synapses of one ant, heartbeat included."""
    hidden = config.n_hidden
    return hidden * (config.n_inputs + 1 + hidden - 1 + config.n_outputs)


def genome_size(config: AntBrainConfig) -> int:
    """Length of a genome: one weight and one delay gene per synapse."""
    return 2 * n_synapses(config)


def gene_blocks(config: AntBrainConfig) -> tuple[GeneBlock, GeneBlock]:
    """Names, sizes and bounds of the genes, for the search space of an optimizer."""
    size = n_synapses(config)
    return (
        GeneBlock("weights", size, -config.max_weight_gene, config.max_weight_gene),
        GeneBlock("delays", size, config.min_delay_gene, config.max_delay_gene),
    )


def random_genomes(config: AntBrainConfig, n_individuals: int, rng: np.random.Generator) -> FloatArray:
    """Published first generation: uniform weight genes, integer delay genes below the maximum.

    Returns
    -------
    (n_individuals, genome_size) float64
    """
    size = (n_individuals, n_synapses(config))
    weights = rng.uniform(-config.max_weight_gene, config.max_weight_gene, size)
    lowest, highest = math.ceil(config.min_delay_gene), math.floor(config.max_delay_gene)
    delays = rng.integers(lowest, highest, size).astype(np.float64)
    return np.concatenate([weights, delays], axis=1)


def decode(genome: FloatArray, config: AntBrainConfig) -> tuple[FloatArray, FloatArray]:
    """Synaptic weights and delays of one genome: weight = 100 pA × gene, delay = floor(gene) ms.

    Returns
    -------
    weights_pA, delays_ms : (n_synapses,) float64

    Raises
    ------
    ValueError : wrong length, genes that are no real or no finite numbers, or a delay gene outside its bounds.
    """
    genome = np.asarray(genome)
    if genome.dtype.kind not in "fiub":
        raise ValueError(f"genome has the type {genome.dtype}: genes must be real numbers. Give float64.")
    genome = genome.astype(np.float64, copy=False)
    size = n_synapses(config)
    if genome.shape != (2 * size,):
        raise ValueError(
            f"genome has shape {genome.shape}, expected ({2 * size},) for n_hidden={config.n_hidden}: {size} weight "
            f"genes, then {size} delay genes. Published files are read with load_published_genomes."
        )
    if not np.isfinite(genome).all():
        index = int(np.flatnonzero(~np.isfinite(genome))[0])
        raise ValueError(f"gene {index} of the genome is {genome[index]}: every gene must be a finite number.")
    weights, delays = genome[:size], genome[size:]
    low, high = config.min_delay_gene, config.max_delay_gene
    is_outside = (delays < low) | (delays > high)
    if is_outside.any():
        index = int(np.flatnonzero(is_outside)[0])
        raise ValueError(f"delay gene {index} is {delays[index]}, outside [{low}, {high}] ms: clip it before decoding.")
    return config.weight_pA * weights, np.floor(delays)


# Hidden neurons of a file by its number of columns; 720 is the published size with 20 surplus columns.
_HIDDEN_OF_COLUMNS = {n_synapses(AntBrainConfig(n_hidden=h)): h for h in range(1, 201)} | {720: 20}


def load_published_genomes(path: Path | str) -> tuple[FloatArray, int]:
    """Genomes of a file with arrays ``weights`` and ``delays``, both (n, S), as the published data have them.

    S is the number of synapses of a brain with the standard 11 inputs and 4 outputs: 250 for 10 hidden neurons, 700 for
    20. The published 720 means 700 too: its last 20 columns were sized for self-connections that do not exist, and
    are never used.

    Returns
    -------
    genomes : (n, genome_size) float64
    n_hidden : int

    Raises
    ------
    ValueError : no such file or no npz file, missing arrays, unequal shapes, another S, no genome, or genes that are
        not finite.
    """
    arrays = _load_arrays(path)
    missing = {"weights", "delays"} - set(arrays)
    if missing:
        raise ValueError(f"{path} holds {sorted(arrays)}: the arrays {sorted(missing)} are missing.")
    weights, delays = np.atleast_2d(arrays["weights"]), np.atleast_2d(arrays["delays"])
    if weights.dtype.kind not in "fiu" or delays.dtype.kind not in "fiu":
        raise ValueError(f"{path}: weights are {weights.dtype} and delays {delays.dtype}; both must be real numbers.")
    if len(weights) == 0:
        raise ValueError(f"{path} holds no genome: weights have shape {weights.shape}.")
    n_hidden = _HIDDEN_OF_COLUMNS.get(weights.shape[1])
    if weights.shape != delays.shape or n_hidden is None:
        raise ValueError(
            f"{path}: weights have shape {weights.shape} and delays {delays.shape}; expected two equal shapes (n, S) "
            "with S = 700 or 720 (20 hidden neurons), 250 (10), or h (h + 15) for h hidden neurons."
        )
    used = n_synapses(AntBrainConfig(n_hidden=n_hidden))
    genomes = np.concatenate([weights[:, :used], delays[:, :used]], axis=1).astype(np.float64)
    for row, genome in enumerate(genomes):
        try:
            decode(genome, AntBrainConfig(n_hidden=n_hidden))
        except ValueError as error:
            raise ValueError(f"{path}, genome {row}: {error}") from None
    return genomes, n_hidden


def _load_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of an npz file; never runs code from it."""
    try:
        with Path(path).open("rb") as handle:
            if not zipfile.is_zipfile(handle):
                raise ValueError("it is not a zip archive")
            handle.seek(0)
            with np.load(handle, allow_pickle=False) as data:
                return {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as an npz file of numbers: {error}.") from None
