"""Genome layout, decoding and published files."""

import numpy as np
import pytest

from snn import AntBrainConfig, decode, gene_blocks, genome_size, load_published_genomes, random_genomes
from snn.topology import ant_brain, ant_brain_pairs

SMALL = AntBrainConfig(n_inputs=2, n_hidden=2, n_outputs=1)


@pytest.mark.parametrize(("n_hidden", "size"), [(20, 1400), (10, 500)])
def test_genomes_have_the_published_sizes(n_hidden, size):
    assert genome_size(AntBrainConfig(n_hidden=n_hidden)) == size
    assert len(ant_brain_pairs(AntBrainConfig(n_hidden=n_hidden))[0]) == size // 2


def test_synapses_follow_the_published_order_on_a_brain_small_enough_to_write_down():
    # inputs 0, 1; hidden 2, 3; output 4; heartbeat 5
    expected = [(0, 2), (0, 3), (1, 2), (1, 3), (5, 2), (5, 3), (2, 3), (3, 2), (2, 4), (3, 4)]
    assert list(zip(*(part.tolist() for part in ant_brain_pairs(SMALL)), strict=True)) == expected


def test_a_brain_has_the_published_populations_and_a_heartbeat_of_its_own_current():
    weights, delays = np.arange(10.0), 1.0 + np.arange(10.0) % 7
    brain = ant_brain(SMALL, weights, delays)
    sizes = {population.name: population.size for population in brain.populations}
    assert sizes == {"input": 2, "hidden": 2, "output": 1, "heartbeat": 1}
    assert {population.model for population in brain.populations} == {"iaf_psc_alpha"}
    currents = {population.name: population.all_parameters()["I_e"] for population in brain.populations}
    assert currents == {"input": 0.0, "hidden": 0.0, "output": 0.0, "heartbeat": SMALL.input_current_pA}
    for values, expected in zip(brain.connections, (*ant_brain_pairs(SMALL), weights, delays), strict=True):
        np.testing.assert_array_equal(values, expected)


def test_weights_are_scaled_and_delays_floored():
    genome = np.concatenate([np.linspace(-20, 20, 10), [1.0, 1.99, 2.0, 3.5, 6.999, 7.0, 1.0, 1.0, 1.0, 1.0]])
    weights, delays = decode(genome, SMALL)
    np.testing.assert_allclose(weights, 100 * genome[:10])
    np.testing.assert_array_equal(delays, [1, 1, 2, 3, 6, 7, 1, 1, 1, 1])


def test_the_first_generation_lies_in_the_published_ranges():
    config = AntBrainConfig()
    genomes = random_genomes(config, 50, np.random.default_rng(0))
    weights, delays = np.split(genomes, 2, axis=1)
    assert genomes.shape == (50, 1400)
    assert weights.min() < -19.9
    assert weights.max() > 19.9
    assert set(np.unique(delays)) == {1, 2, 3, 4, 5, 6}
    for block, genes in zip(gene_blocks(config), (weights, delays), strict=True):
        assert genes.shape[1] == block.size
        assert (genes >= block.low).all()
        assert (genes <= block.high).all()


def _with_gene(index, value):
    genome = np.concatenate([np.zeros(10), np.ones(10)])
    genome[index] = value
    return genome


@pytest.mark.parametrize(
    ("genome", "message"),
    [
        (np.zeros(19), r"shape \(19,\), expected \(20,\).*10 weight"),
        (np.zeros((1, 20)), r"shape \(1, 20\)"),
        (_with_gene(3, np.nan), "gene 3 of the genome is nan"),
        (_with_gene(12, np.inf), "gene 12 of the genome is inf"),
        (_with_gene(10, 0.5), r"delay gene 0 is 0.5, outside \[1.0, 7.0\]"),
        (_with_gene(19, 7.01), r"delay gene 9 is 7.01, outside"),
    ],
)
def test_a_bad_genome_is_refused_with_gene_and_range(genome, message):
    with pytest.raises(ValueError, match=message):
        decode(genome, SMALL)


@pytest.mark.parametrize(("columns", "n_hidden", "used"), [(720, 20, 700), (700, 20, 700), (250, 10, 250), (54, 3, 54)])
def test_published_files_are_cut_to_the_genes_that_are_used(tmp_path, columns, n_hidden, used):
    weights = np.arange(2.0 * columns).reshape(2, columns) / 100
    delays = np.full((2, columns), 3.5)
    delays[:, used:] = 99.0  # surplus genes are never read
    np.savez(tmp_path / "genomes.npz", weights=weights, delays=delays)
    genomes, found = load_published_genomes(tmp_path / "genomes.npz")
    assert found == n_hidden
    np.testing.assert_array_equal(genomes[:, :used], weights[:, :used])
    np.testing.assert_array_equal(genomes[:, used:], 3.5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"weights": np.zeros((1, 700))}, r"\['delays'\] are missing"),
        ({"weights": np.zeros((1, 300)), "delays": np.ones((1, 300))}, r"S = 700 or 720"),
        ({"weights": np.zeros((2, 700)), "delays": np.ones((1, 700))}, "two equal shapes"),
        ({"weights": np.full((1, 250), np.nan), "delays": np.ones((1, 250))}, "genome 0: gene 0 .* nan"),
        ({"weights": np.zeros((1, 250)), "delays": np.zeros((1, 250))}, "genome 0: delay gene 0 is 0.0"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_the_reason(tmp_path, arrays, message):
    path = tmp_path / "genomes.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as error:
        load_published_genomes(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_hidden": 0}, "n_hidden=0 .* 1 … 1000"),
        ({"resolution_ms": 0.3}, "resolution_ms=0.3 .* divide 1 ms"),
        ({"tick_ms": 2.0}, "tick_ms=2.0 .* above 2"),
        ({"tick_ms": 20.5}, "tick_ms=20.5"),
        ({"min_delay_gene": 0.5}, "min_delay_gene"),
        ({"min_delay_gene": 1.2, "max_delay_gene": 1.5}, "two whole milliseconds"),
        ({"max_delay_gene": np.inf}, "max_delay_gene=inf is not finite"),
        ({"resolution_ms": 1e-320}, "resolution_ms"),
        ({"tick_ms": np.nan}, "tick_ms=nan is not finite"),
        ({"n_hidden": 10**8}, "n_hidden=100000000"),
        ({"weight_pA": 0.0}, "weight_pA=0.0 .* > 0"),
    ],
)
def test_a_bad_brain_config_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AntBrainConfig(**settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip archive"),
        (b"weights, delays", "not a zip archive"),
        (b"PK\x03\x04 cut off", "not a zip archive"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_npz_is_refused_with_its_name(tmp_path, content, message):
    path = tmp_path / "genomes.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        load_published_genomes(path)
    assert str(path) in str(error.value)


def test_a_damaged_npz_is_refused_wherever_the_damage_is(tmp_path):
    path = tmp_path / "genomes.npz"
    np.savez_compressed(path, weights=np.zeros((1, 250)), delays=np.ones((1, 250)))
    content = path.read_bytes()
    for position in np.random.default_rng(0).integers(len(content), size=30).tolist():
        path.write_bytes(content[:position])
        with pytest.raises(ValueError, match="cannot be read as an npz file"):
            load_published_genomes(path)


def test_objects_and_complex_numbers_are_refused(tmp_path):
    path = tmp_path / "genomes.npz"
    np.savez(path, weights=np.full((1, 250), {}, dtype=object), delays=np.ones((1, 250)))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_published_genomes(path)
    np.savez(path, weights=np.zeros((1, 250), complex), delays=np.ones((1, 250)))
    with pytest.raises(ValueError, match="must be real numbers"):
        load_published_genomes(path)
    np.savez(path, weights=np.zeros((0, 250)), delays=np.ones((0, 250)))
    with pytest.raises(ValueError, match="holds no genome"):
        load_published_genomes(path)
