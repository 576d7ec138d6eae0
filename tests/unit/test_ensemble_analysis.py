"""Covariances of synthetic ensembles whose ranks and blocks are known."""

import numpy as np
import pytest

from experiments.ensemble_analysis import covariance_spectrum, cross_covariance_norms, effective_rank, spreads

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(("n_members", "n_columns"), [(20, 50), (50, 20)])
def test_the_spectrum_is_that_of_the_covariance(n_members, n_columns):
    sample = RNG.standard_normal((n_members, n_columns)) + 5.0
    expected = np.linalg.eigvalsh(np.cov(sample.T, bias=True))[::-1][: min(n_members, n_columns)]
    np.testing.assert_allclose(covariance_spectrum(sample), expected, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_an_ensemble_of_known_rank_has_as_many_eigenvalues_and_this_effective_rank_when_they_are_equal(rank):
    directions = np.linalg.qr(RNG.standard_normal((40, rank)))[0].T
    scores = np.linalg.qr(np.column_stack([np.ones(30), RNG.standard_normal((30, rank))]))[0][:, 1:]  # mean 0
    spectrum = covariance_spectrum(3.0 + scores @ directions)
    assert np.count_nonzero(spectrum > 1e-12) == rank
    np.testing.assert_allclose(spectrum[:rank], 1.0 / 30.0, rtol=1e-9)
    np.testing.assert_allclose(effective_rank(spectrum), rank, rtol=1e-9)


def test_unequal_eigenvalues_count_less():
    assert effective_rank(np.array([4.0, 2.0, 0.0])) == pytest.approx(36.0 / 20.0)
    assert effective_rank(np.zeros(3)) == 0.0


def test_norms_of_the_blocks_are_those_of_the_cross_covariance():
    genomes, responses = RNG.standard_normal((15, 9)), RNG.standard_normal((15, 6))
    genes = {"a": slice(0, 4), "b": slice(4, 9)}
    columns = {"x": np.array([0, 2, 4]), "y": np.array([1, 3, 5])}
    covariance = (genomes - genomes.mean(axis=0)).T @ (responses - responses.mean(axis=0)) / 15
    expected = [[np.square(covariance[g][:, c]).sum() for c in columns.values()] for g in genes.values()]
    np.testing.assert_allclose(cross_covariance_norms(genomes, responses, genes, columns), expected, rtol=1e-12)


def test_genes_that_move_their_own_responses_only_have_all_the_norm_on_the_diagonal():
    genomes = np.kron(np.eye(2), np.array([[1.0], [-1.0]]))  # members that differ in one gene each
    genomes = np.concatenate([genomes, -genomes])
    blocks = {"0": slice(0, 1), "1": slice(1, 2)}
    norms = cross_covariance_norms(genomes, 3.0 * genomes, blocks, blocks)
    np.testing.assert_allclose(np.trace(norms) / norms.sum(), 1.0)


def test_spreads_are_deviations_from_the_mean_of_each_gene():
    genomes = np.array([[0.0, 10.0, 1.0], [2.0, 14.0, 1.0]])
    np.testing.assert_allclose(spreads(genomes, {"a": slice(0, 2), "b": slice(2, 3)}), [np.sqrt(2.5), 0.0])
