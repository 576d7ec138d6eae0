"""Weights and covariances of an ensemble of readouts in one generation, as tables of its record; pure.

- ``weights`` (generation, kind, cluster, mean_pA, sd_pA, spread_pA, histogram): the weights of one kind of synapse onto
  a cluster; mean, standard deviation and histogram over the weights of the estimate, and how much the members differ
- ``spectrum`` (generation, place, eigenvalue): of the covariance C_gg of the responses, the largest first
- ``covariance`` (generation, effective_rank, own_share): of C_gg; and which share of the squared norm of C_ug lies in
  the blocks of weights with the responses of their own cluster
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.ensemble_analysis import covariance_spectrum, cross_covariance_norms, effective_rank, spreads
from experiments.generation import Generation
from experiments.lsm_config import LsmConfig
from experiments.storage import Tables

KINDS = ("ee", "ei", "ie", "ii")  # from excitatory or inhibitory neurons of the liquid onto those of a cluster
N_BINS = 80  # of a histogram, from the smallest to the largest weight that is allowed
_N_EIGENVALUES = 50


def weight_blocks(config: LsmConfig) -> dict[tuple[int, str], slice]:
    """Where the weights of a cluster and kind stand in a genome."""
    r: Any = config.liquid.reservoir
    sizes = {
        "ee": r.n_cluster_excitatory * r.readout_indegree_e,
        "ei": r.n_cluster_inhibitory * r.readout_indegree_e,
        "ie": r.n_cluster_excitatory * r.readout_indegree_i,
        "ii": r.n_cluster_inhibitory * r.readout_indegree_i,
    }
    blocks, start = {}, 0
    for cluster in range(r.n_clusters):
        for kind in KINDS:
            blocks[cluster, kind] = slice(start, start + sizes[kind])
            start += sizes[kind]
    return blocks


def analysis_tables(config: LsmConfig, generation: Generation, estimate: NDArray[np.float64]) -> Tables:
    """See above.

    Parameters
    ----------
    generation : as it was evaluated, before the update
    estimate : (n_weights,) float64, pA, after the update
    """
    survivors = ~generation.evaluations.failed
    genomes, responses = generation.genomes[survivors], generation.evaluations.responses
    tables = {"weights": _weights(config, generation.number, genomes, estimate)}
    if responses is None or len(genomes) < 2:
        return tables
    responses, number, n_classes = responses[survivors], generation.number, len(config.classes)
    spectrum = covariance_spectrum(responses)
    n_own = genomes.shape[1] // n_classes
    genes = {str(k): slice(k * n_own, (k + 1) * n_own) for k in range(n_classes)}
    columns = {str(k): slice(k, None, n_classes) for k in range(n_classes)}
    norms = cross_covariance_norms(genomes, responses, genes, columns)
    kept = spectrum[:_N_EIGENVALUES]
    return tables | {
        "spectrum": {
            "generation": np.full(len(kept), number),
            "place": np.arange(len(kept)),
            "eigenvalue": kept,
        },
        "covariance": {
            "generation": np.array([number]),
            "effective_rank": np.array([effective_rank(spectrum)]),
            "own_share": np.array([np.trace(norms) / norms.sum() if norms.any() else np.nan]),
        },
    }


def _weights(
    config: LsmConfig, number: int, genomes: NDArray[np.float64], estimate: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    blocks = weight_blocks(config)
    parts = [estimate[block] for block in blocks.values()]
    edges = np.linspace(-config.bound_pA, config.bound_pA, N_BINS + 1)
    return {
        "generation": np.full(len(blocks), number),
        "kind": np.array([kind for _, kind in blocks]),
        "cluster": np.array([cluster for cluster, _ in blocks]),
        "mean_pA": np.array([part.mean() for part in parts]),
        "sd_pA": np.array([part.std() for part in parts]),
        "spread_pA": spreads(genomes, {str(name): block for name, block in blocks.items()}),
        "histogram": np.array([np.histogram(part, edges)[0] for part in parts]),
    }
