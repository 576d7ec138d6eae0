"""optim.encoding, the cosine transform of genomes; tests/unit/test_encoding.py is about snn.encoding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optim import Block, Dct, DEConfig, Encoded, Evaluations, GAConfig, ParameterSpace
from optim.encoding import decode, encode
from optim.methods import Start, make_optimizer

SPACE = ParameterSpace((Block("weight_pA", 8, -20.0, 20.0), Block("delay_ms", 4, 1.0, 7.0)))
OPTIMUM = np.linspace(-0.5, 0.5, 12)  # in unit coordinates
BLOCKS = (3, 3, 5, 1)


def rng(seed=1):
    return np.random.default_rng(seed)


def start(n=10, seed=1):
    """Genomes around the middle of the box, so that few of their coefficients are large."""
    initial = SPACE.from_unit(0.3 * rng(4).uniform(-1.0, 1.0, (n, 12)))
    return Start(SPACE, initial, seed, np.zeros(12))


def evaluate(genomes):
    offset = SPACE.to_unit(genomes) - OPTIMUM
    return Evaluations(-(offset**2).sum(axis=1), offset)


def trace(optimizer, n):
    rows = []
    for _ in range(n):
        rows.append(optimizer.ask())
        optimizer.tell(rows[-1], evaluate(rows[-1]))
    return rows


def cosine_basis(n):
    """(n, n) float64: row k is the k-th basis vector of the orthonormal DCT-II, from its definition."""
    k, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    basis = np.sqrt(2.0 / n) * np.cos(np.pi * (j + 0.5) * k / n)
    basis[0] = np.sqrt(1.0 / n)
    return basis


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_coefficients", 0),
        ("n_coefficients", 2.5),
        ("blocks", (3, 0)),
        ("blocks", (3.0,)),
        ("reach", 0.0),
        ("reach", np.inf),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"Dct\.{field}="):
        Dct(**({"n_coefficients": 3} | {field: value}))


def test_blocks_that_do_not_add_up_to_a_genome_are_refused():
    with pytest.raises(ValueError, match=r"blocks=\(3, 3\) have 6 genes, but the genome has 12"):
        make_optimizer("de", start(), encoding=Dct(n_coefficients=2, blocks=(3, 3)))


def test_genomes_outside_the_bounds_are_refused():
    with pytest.raises(ValueError, match="weight_pA"):
        make_optimizer("de", start()._replace(initial=np.full((10, 12), 30.0)), encoding=Dct(n_coefficients=2))


@pytest.mark.parametrize("n_coefficients", [1, 5, 12])
def test_genes_are_the_sum_of_the_lowest_cosines(n_coefficients):
    coefficients = rng().standard_normal((7, n_coefficients))
    expected = coefficients @ cosine_basis(12)[:n_coefficients]
    np.testing.assert_allclose(decode(coefficients, (12,), n_coefficients), expected, atol=1e-14)


@pytest.mark.parametrize("sizes", [(12,), BLOCKS])
@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (2, 12), elements=st.floats(-10, 10)))
def test_all_coefficients_give_the_genome_back(sizes, genes):
    np.testing.assert_allclose(decode(encode(genes, sizes, 12), sizes, 12), genes, atol=1e-13)


@pytest.mark.parametrize("sizes", [(12,), BLOCKS])
@pytest.mark.parametrize("n_coefficients", [1, 2, 4])
def test_few_coefficients_keep_their_energy_and_come_back(sizes, n_coefficients):
    n_kept = sum(min(n_coefficients, size) for size in sizes)
    coefficients = rng().standard_normal((6, n_kept))
    genes = decode(coefficients, sizes, n_coefficients)
    np.testing.assert_allclose((genes**2).sum(axis=1), (coefficients**2).sum(axis=1))
    np.testing.assert_allclose(encode(genes, sizes, n_coefficients), coefficients, atol=1e-14)


def test_the_coefficients_of_a_genome_are_its_least_squares_fit_by_low_cosines():
    genes = rng().standard_normal((3, 12))
    fit = np.linalg.lstsq(cosine_basis(12)[:4].T, genes.T, rcond=None)[0].T
    np.testing.assert_allclose(encode(genes, (12,), 4), fit, atol=1e-13)


def test_one_block_is_the_whole_genome_and_several_are_transformed_one_by_one():
    genes = rng().standard_normal((4, 12))
    assert Dct(n_coefficients=3).sizes(12) == Dct(n_coefficients=3, blocks=(12,)).sizes(12)
    parts = [encode(part, (part.shape[1],), 2) for part in np.split(genes, np.cumsum(BLOCKS)[:-1], axis=1)]
    np.testing.assert_array_equal(encode(genes, BLOCKS, 2), np.concatenate(parts, axis=1))
    back = [decode(part, (size,), 2) for part, size in zip(parts, BLOCKS, strict=True)]
    np.testing.assert_array_equal(decode(np.concatenate(parts, axis=1), BLOCKS, 2), np.concatenate(back, axis=1))


def test_a_random_point_of_the_box_has_genes_as_large_as_a_random_genome():
    for encoding in (Dct(n_coefficients=25), Dct(n_coefficients=7, blocks=(50, 50))):
        coefficients = encoding.space(100).sample(rng(), 3000)
        genes = decode(coefficients, encoding.sizes(100), encoding.n_coefficients)
        assert abs((genes**2).mean() - 1.0 / 3.0) < 0.005  # of a uniform number in [-1, 1]


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (1, 12), elements=st.sampled_from([-1.0, 1.0])))
def test_with_enough_reach_the_box_holds_the_coefficients_of_every_genome_and_is_no_wider(corner):
    for blocks in ((), BLOCKS):
        encoding = Dct(n_coefficients=4, blocks=blocks, reach=100.0)
        high = encoding.space(12).high
        assert (np.abs(encode(corner, encoding.sizes(12), 4)) <= high + 1e-12).all()
        is_mean = encode(np.ones((1, 12)), encoding.sizes(12), 4)[0] > 1e-9  # the first coefficient of each block
        np.testing.assert_allclose(encode(np.ones((1, 12)), encoding.sizes(12), 4)[0, is_mean], high[is_mean])


def test_the_first_genomes_are_the_low_frequencies_of_those_given():
    optimizer = make_optimizer("cosyne", start(), encoding=Dct(n_coefficients=5))
    projection = cosine_basis(12)[:5].T @ cosine_basis(12)[:5]
    np.testing.assert_allclose(SPACE.to_unit(optimizer.ask()), SPACE.to_unit(start().initial) @ projection, atol=1e-13)


@pytest.mark.parametrize("method", ["enkf", "de"])
@pytest.mark.parametrize("blocks", [(), (6, 6)])
def test_a_search_that_does_not_care_for_axes_is_the_same_in_all_coefficients(method, blocks):
    # donors are the same in any orthonormal basis, and trials are if they take all of them
    config = DEConfig(crossover_probability=1.0, scale_factor=0.4) if method == "de" else None
    encoding = Dct(n_coefficients=12, blocks=blocks, reach=10.0)
    direct = trace(make_optimizer(method, start(), config), 6)
    for rows, ours in zip(direct, trace(make_optimizer(method, start(), config, encoding), 6), strict=True):
        assert (np.abs(SPACE.to_unit(rows)) < 1.0).all()  # no bound is met
        np.testing.assert_allclose(ours, rows, atol=1e-9)


def test_a_gene_that_decodes_outside_its_bounds_comes_back_as_its_block_says():
    space = ParameterSpace((Block("clipped", 2, -1.0, 1.0), Block("reflected", 2, -1.0, 1.0, bounds="reflect")))

    class Inner:
        """Asks for three means, twice the genes they give."""

        def ask(self):
            return np.array([[2.4], [4.0], [-1.0]])

    encoded = Encoded(space, Dct(n_coefficients=1), lambda box, initial: Inner(), initial=np.zeros((3, 4)))
    np.testing.assert_allclose(encoded.ask(), [[1.0, 1.0, 0.8, 0.8], [1.0, 1.0, 0.0, 0.0], [-0.5] * 4], atol=1e-15)


def test_equal_genomes_of_different_coefficients_may_be_told_in_any_order():
    narrow = ParameterSpace((Block("w", 6, -1.0, 1.0),))
    encoding = Dct(n_coefficients=6, reach=10.0)
    corners = rng().choice([-1.0, 1.0], (12, 6))
    first, second = (make_optimizer("cosyne", Start(narrow, corners, 3), encoding=encoding) for _ in range(2))
    n_equal = 0
    for generation in range(8):
        genomes = first.ask()
        second.ask()
        n_equal += len(genomes) - len(np.unique(genomes, axis=0))
        order = rng(generation).permutation(len(genomes))
        fitness = genomes @ np.arange(1.0, 7.0)
        first.tell(genomes, Evaluations(fitness))
        second.tell(genomes[order], Evaluations(fitness[order]))
        for key, value in first.state_dict().items():
            np.testing.assert_array_equal(value, second.state_dict()[key], err_msg=key)
    assert n_equal > 0


def test_states_of_direct_and_encoded_searches_are_not_mistaken_for_each_other():
    direct, encoded = (make_optimizer("de", start(), encoding=e) for e in (None, Dct(n_coefficients=12)))
    with pytest.raises(ValueError, match="algorithm 'DifferentialEvolution', but this is 'Encoded Diff"):
        encoded.load_state_dict(direct.state_dict())
    with pytest.raises(ValueError, match="algorithm 'Encoded DifferentialEvolution', but this is 'Diff"):
        direct.load_state_dict(encoded.state_dict())
    other = make_optimizer("de", start(), encoding=Dct(n_coefficients=3))
    with pytest.raises(ValueError, match="shape"):
        encoded.load_state_dict(other.state_dict())


def test_why_to_stop_and_how_it_looks_inside_is_what_the_other_optimizer_says():
    equal = start()._replace(initial=np.tile(start().initial[:1], (8, 1)))
    encoded = make_optimizer("de", equal, encoding=Dct(n_coefficients=3))
    assert encoded.stop().keys() == {"converged"}
    assert encoded.diagnostics() == {"spread": 0.0, "replaced": 0.0}


@pytest.mark.parametrize(
    ("method", "ratio"), [("cosyne", 0.2), ("de", 0.6), pytest.param("ga", 0.2, marks=pytest.mark.slow)]
)
def test_a_smooth_optimum_of_many_genes_is_found_sooner_with_few_coefficients(method, ratio):
    space = ParameterSpace((Block("w", 200, -1.0, 1.0),))
    goal = 0.8 * np.cos(np.pi * (np.arange(200) + 0.5) / 200)  # the second basis vector, 8 long

    def error(encoding, seed):
        config = GAConfig(mutation_sigma=0.2) if method == "ga" else None
        optimizer = make_optimizer(method, Start(space, space.sample(rng(seed), 20), seed), config, encoding)
        best = np.inf
        for _ in range(60):
            genomes = optimizer.ask()
            errors = ((genomes - goal) ** 2).mean(axis=1)
            best = min(best, errors.min())
            optimizer.tell(genomes, Evaluations(-errors))
        return best

    ratios = [error(Dct(n_coefficients=8, reach=2.0), seed) / error(None, seed) for seed in range(5)]
    assert np.median(ratios) < ratio
