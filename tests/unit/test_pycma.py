import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace, PyCMA, PyCMAConfig
from optim.problems import rosenbrock

cma = pytest.importorskip("cma")

SPACE = ParameterSpace((Block("x", 5, -10.0, 10.0),))
X0 = np.full(5, -1.0)


def make(seed=1, space=SPACE, x0=X0, population_size=8, **settings):
    return PyCMA(space, PyCMAConfig(**settings), x0=x0, population_size=population_size, seed=seed)


def advance(search, n, fitness=rosenbrock):
    trace = []
    for _ in range(n):
        trace.append(search.ask())
        search.tell(trace[-1], Evaluations(fitness(trace[-1])))
    return trace


@pytest.mark.parametrize(("field", "value"), [("sigma", 0.0), ("sigma", np.nan), ("sigma", 2.0), ("covariance", "c")])
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"PyCMAConfig\.{field}="):
        PyCMAConfig(**{field: value})


def test_a_missing_package_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr("optim.pycma.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install cma"):
        make()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"population_size": 1}, "population_size is 1"),
        ({"space": ParameterSpace((Block("x", 1, -1.0, 1.0),)), "x0": np.zeros(1)}, "number of genes is 1"),
    ],
)
def test_what_the_library_cannot_do_is_refused(arguments, what):
    with pytest.raises(ValueError, match=what):
        make(**arguments)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_the_candidates_are_those_of_the_library_used_by_hand(covariance):
    rng = np.random.default_rng(4)
    options = {"popsize": 8, "bounds": [-1, 1], "seed": np.nan, "verbose": -9, "CMA_diagonal": covariance == "diagonal"}
    by_hand = cma.CMAEvolutionStrategy(X0 / 10.0, 0.3, options | {"randn": lambda *n: rng.standard_normal(n)})
    for genomes in advance(make(seed=4, covariance=covariance), 30):
        asked = by_hand.ask()
        np.testing.assert_allclose(genomes, 10.0 * np.array(asked), rtol=0, atol=1e-12)
        by_hand.tell(asked, list(-rosenbrock(genomes)))


def test_numpys_global_generator_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    advance(make(), 5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_state_of_another_version_is_refused_with_the_version_to_install():
    search = make()
    advance(search, 2)
    with pytest.raises(ValueError, match=r"pip install cma==3\.0"):
        make().load_state_dict(search.state_dict() | {"version": "3.0"})
    np.testing.assert_array_equal(make().ask(), make().ask())


def test_failed_candidates_rank_below_the_worst_and_all_failed_keeps_the_distribution():
    def failing(value):
        def fitness(genomes):
            scores = rosenbrock(genomes)
            scores[:3] = value
            return scores

        return fitness

    lost, bad = make(seed=2), make(seed=2)
    np.testing.assert_array_equal(
        advance(lost, 6, failing(np.nan))[-1], advance(bad, 6, failing(-1e300))[-1], err_msg="ranks only"
    )
    search = make()
    advance(search, 3)
    sigma = search.diagnostics()["sigma"]
    advance(search, 1, lambda genomes: np.full(len(genomes), np.nan))
    assert search.diagnostics()["sigma"] == sigma
    assert len(np.unique(search.ask(), axis=0)) == 8


def test_the_librarys_own_conditions_end_the_search():
    search = make()
    while not search.stop():
        advance(search, 1, lambda genomes: -(genomes**2).sum(axis=1))
        assert search.generation < 500
    assert set(search.stop()) & {"tolfun", "tolx", "tolfunhist"}
