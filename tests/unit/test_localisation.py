import numpy as np
import pytest

from optim import Block, ParameterSpace
from optim.kalman import update
from optim.localisation import make_groups, solve_selected, update_corrected

SPACE = ParameterSpace((Block("a", 3, -1.0, 1.0), Block("b", 2, -1.0, 1.0), Block("c", 1, -1.0, 1.0)))


def sparse_problem(seed, n_members=100, n_params=400, n_responses=40):
    """Whitened deviations and residuals where every response depends on ten genes of its own, and the exact answer."""
    rng = np.random.default_rng(seed)
    forward = np.zeros((n_responses, n_params))
    for i, genes in enumerate(np.split(np.arange(n_params), n_responses)):
        forward[i, genes] = rng.standard_normal(len(genes))
    targets = forward @ rng.standard_normal(n_params)
    posterior = forward.T @ np.linalg.solve(forward @ forward.T + 0.01 * np.eye(n_responses), targets)
    ensemble = rng.standard_normal((n_members, n_params))
    responses = ensemble @ forward.T
    return ensemble, (responses - responses.mean(axis=0)) / 0.1, (targets - responses) / 0.1, posterior


def moved(ensemble, s, e, function=update_corrected, **options):
    result = ensemble.copy()
    function(result, s, e, **options)
    return result


def test_groups_by_name_or_by_indices_are_the_same_and_share_equal_columns():
    named = make_groups({"a": [0, 2], "c": 1, "b": [2, 0]}, SPACE, 3)
    listed = make_groups([(slice(0, 5), [0, 2]), (np.array([5]), [1])], SPACE, 3)
    for groups in (named, listed):
        assert len(groups) == 2
        assert groups[0].genes == slice(0, 5)
        np.testing.assert_array_equal(groups[0].columns, [0, 2])
        assert groups[1].genes == slice(5, 6)
    scattered = make_groups([([0, 2, 4], [0]), ([1, 3, 5], [1])], SPACE, 2)
    np.testing.assert_array_equal(scattered[0].genes, [0, 2, 4])


@pytest.mark.parametrize(
    ("localisation", "n_columns", "message"),
    [
        ({"a": [0], "b": [0], "x": [0]}, 1, r"names \['x'\], but the blocks are \['a', 'b', 'c'\]"),
        ({"a": [0], "b": [0]}, 1, r"gene 5 0 times \(1 genes"),
        ([(slice(0, 6), [0]), ([2], [1])], 2, "gene 2 2 times"),
        ({"a": [0], "b": [0], "c": [2]}, 2, r"columns \(2,\), but must have one or more of 0 … 1"),
        ({"a": [0], "b": [0], "c": []}, 2, r"columns \(\)"),
        ({"a": [0], "b": [0], "c": [-1]}, 2, r"columns \(-1,\)"),
        ([], 2, "gene 0 0 times"),
        ({"a": [0]}, 0, "needs the number of responses"),
    ],
)
def test_groups_that_are_no_partition_of_the_genes_are_refused(localisation, n_columns, message):
    with pytest.raises(ValueError, match=message):
        make_groups(localisation, SPACE, n_columns)


@pytest.mark.parametrize("form", ["joint", "denkf"])
@pytest.mark.parametrize("n_responses", [3, 12])
def test_without_a_threshold_and_shrinkage_the_corrected_update_is_the_joint_one(form, n_responses):
    rng = np.random.default_rng(1)
    ensemble, s, e = (rng.standard_normal((8, n)) for n in (20, n_responses, n_responses))
    s -= s.mean(axis=0)
    corrected = moved(ensemble, s, e, significance=0.0, shrinkage=0.0, form=form)
    np.testing.assert_allclose(corrected, moved(ensemble, s, e, update, form=form), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("significance", "shrinkage"), [(1.5, 0.0), (0.0, 2.0), (1.0, 1.0)])
def test_the_corrected_update_equals_the_formula_written_out_gene_by_gene(significance, shrinkage):
    rng = np.random.default_rng(2)
    ensemble, s, e = (rng.standard_normal((15, n)) for n in (6, 4, 4))
    ensemble[:, 0] += 2.0 * s[:, 1]
    ensemble[:, 5] = 0.3  # no deviations, no correlations
    s -= s.mean(axis=0)
    r_gg = np.corrcoef(s.T)
    gram = np.cov(s.T, bias=True) * np.abs(r_gg) ** shrinkage + np.eye(4)
    expected = ensemble.copy()
    for i in range(5):
        c = (ensemble[:, i] - ensemble[:, i].mean()) @ s / 15
        r = np.array([np.corrcoef(ensemble[:, i], s[:, k])[0, 1] for k in range(4)])
        n = np.flatnonzero(np.abs(r) > significance / np.sqrt(15))
        gain = (c * np.abs(r) ** shrinkage)[n] @ np.linalg.inv(gram[np.ix_(n, n)])
        expected[:, i] += e[:, n] @ gain
    corrected = moved(ensemble, s, e, significance=significance, shrinkage=shrinkage)
    np.testing.assert_allclose(corrected, expected, rtol=1e-9)


def test_genes_that_select_nothing_get_no_gain():
    selected = np.array([[True, False], [False, False], [True, True]])
    gain = solve_selected(np.diag([2.0, 4.0]), np.ones((3, 2)), selected)
    np.testing.assert_allclose(gain, [[0.5, 0.0], [0.0, 0.0], [0.5, 0.25]])


@pytest.mark.parametrize(
    "correction", [{"significance": 3.0, "shrinkage": 0.0}, {"significance": 0.0, "shrinkage": 2.0}]
)
def test_with_few_members_a_correction_keeps_spurious_correlations_from_spoiling_the_genes(correction):
    joint, corrected = [], []
    for seed in range(5):
        ensemble, s, e, posterior = sparse_problem(seed)
        joint.append(np.linalg.norm(moved(ensemble, s, e, update).mean(axis=0) - posterior))
        corrected.append(np.linalg.norm(moved(ensemble, s, e, **correction).mean(axis=0) - posterior))
        corrected[-1] /= np.linalg.norm(posterior)
        joint[-1] /= np.linalg.norm(posterior)
    assert np.median(joint) > 2.0  # farther from the answer than no update at all
    assert np.median(corrected) < 0.9


def test_a_shrunk_covariance_that_is_not_positive_definite_is_refused_with_the_ensemble_unchanged():
    angles = np.linspace(0.0, 2.0 * np.pi, 11, endpoint=False)  # correlations are the cosines of their differences
    s = (
        1e3
        * np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])
        @ np.array([np.cos(angles), np.sin(angles)])
    )
    ensemble = np.arange(6.0).reshape(3, 2)
    before = ensemble.copy()
    with pytest.raises(RuntimeError, match=r"shrinkage=1\.0, is not positive definite"):
        update_corrected(ensemble, s, s, significance=0.0, shrinkage=1.0)
    np.testing.assert_array_equal(ensemble, before)
    update_corrected(ensemble, s, s, significance=0.0, shrinkage=2.0)


def test_the_threshold_gives_the_ensemble_of_another_program():
    smoother = pytest.importorskip("iterative_ensemble_smoother", reason="the peer, of the extra `test`")
    from iterative_ensemble_smoother.esmda_adaptive import AdaptiveESMDA

    assert smoother
    n_members = 60
    ensemble, s, e, _ = sparse_problem(1, n_members, n_params=60, n_responses=12)
    targets = np.zeros(12)
    peer = AdaptiveESMDA(covariance=np.full(12, n_members / (n_members - 1)), observations=targets, alpha=1)
    noise = np.zeros((12, n_members))
    peer.prepare_assimilation(Y=-e.T.copy(), truncation=1.0, observation_perturbations=noise)
    expected = peer.assimilate_batch(X=ensemble.T, n_jobs=1).T
    assert not np.allclose(expected, ensemble)
    np.testing.assert_allclose(moved(ensemble, s, e, significance=3.0, shrinkage=0.0), expected, rtol=1e-8)
