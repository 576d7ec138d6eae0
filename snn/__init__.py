"""Spiking networks on NEST and on its compiled twin. Importing this package does not load the simulator."""

import snn.kernel_cache  # noqa: F401  (before Numba is used)

# isort: split
from snn.ant_brain import AntColonyBrain
from snn.genome import decode, gene_blocks, genome_size, load_published_genomes, random_genomes
from snn.liquid import LiquidStateMachine
from snn.liquid_config import LiquidConfig, published_liquid
from snn.models import Population
from snn.network import Network, build
from snn.numba_network import NumbaEnsemble
from snn.params import AntBrainConfig, NeuronConfig
from snn.reservoirs import ReservoirConfig
from snn.shared_reservoir import SharedReservoir
from snn.spike_trains import SpikeTrains
from snn.topology import Connections, Topology

__all__ = [
    "AntBrainConfig",
    "AntColonyBrain",
    "Connections",
    "LiquidConfig",
    "LiquidStateMachine",
    "Network",
    "NeuronConfig",
    "NumbaEnsemble",
    "Population",
    "ReservoirConfig",
    "SharedReservoir",
    "SpikeTrains",
    "Topology",
    "build",
    "decode",
    "gene_blocks",
    "genome_size",
    "load_published_genomes",
    "published_liquid",
    "random_genomes",
]
