"""A reservoir study of two digits that takes seconds."""

from experiments.lsm_config import LsmConfig, load_config

SMALL = {
    "classes": "[3, 8]", "n_train": "12", "n_per_class": "2", "population": "6", "block": "3", "generations": "3",
    "test_every": "2", "n_votes": "2", "enkf.block_length": "2", "liquid.stimulus_ms": "60.0", "liquid.bin_ms": "60.0",
    "liquid.reservoir.n_clusters": "2", "liquid.reservoir.n_excitatory": "80", "liquid.reservoir.n_inhibitory": "20",
    "liquid.reservoir.readout_indegree_e": "40", "liquid.reservoir.readout_indegree_i": "10",
    "liquid.reservoir.n_cluster_excitatory": "3", "liquid.reservoir.input_weight_pA": "100.0",
}  # fmt: skip


def small_config() -> LsmConfig:
    """The quick preset with these settings."""
    return load_config(None, dict(SMALL), "quick")
