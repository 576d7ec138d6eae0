"""Spiking networks on NEST: ant brains from genomes. Importing this package does not load the simulator."""

from snn.ant_brain import AntColonyBrain
from snn.genome import decode, gene_blocks, genome_size, load_published_genomes, random_genomes
from snn.params import AntBrainConfig, NeuronConfig

__all__ = [
    "AntBrainConfig",
    "AntColonyBrain",
    "NeuronConfig",
    "decode",
    "gene_blocks",
    "genome_size",
    "load_published_genomes",
    "random_genomes",
]
