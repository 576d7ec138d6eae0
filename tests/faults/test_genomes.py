"""F31: genomes of any memory layout mean the same everywhere, and those that cannot be meant are refused."""

import numpy as np
import pytest

from envs.config import ForagingConfig
from experiments.config import AntsConfig
from experiments.npz import read_arrays, write_genomes
from experiments.rollout import make_colony_task
from experiments.settings import config_to_dict
from optim import Evaluations
from optim.evaluators import SerialEvaluator
from optim.minimize import minimize
from snn import AntBrainConfig, decode, genome_size, load_published_genomes, random_genomes
from tests.contract.optimizer_cases import CASES, MIXED, SPACE, advance, evaluate

BRAIN = AntBrainConfig(n_hidden=4, engine="numba")
GENOMES = random_genomes(BRAIN, 3, np.random.default_rng(0))


def read_only(genomes):
    genomes = genomes.copy()
    genomes.setflags(write=False)
    return genomes


LAYOUTS = {
    "fortran": np.asfortranarray,
    "read-only": read_only,
    "every second gene": lambda genomes: np.repeat(genomes, 2, axis=-1)[..., ::2],
    "every second row": lambda genomes: np.repeat(genomes, 2, axis=0)[::2],
    "backwards": lambda genomes: genomes[..., ::-1].copy()[..., ::-1],
    "float32": lambda genomes: genomes.astype(np.float32),
    "other bytes": lambda genomes: genomes.astype(genomes.dtype.newbyteorder()),
    "not aligned": lambda genomes: np.frombuffer(b"x" + genomes.tobytes(), offset=1).reshape(genomes.shape),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def plain(array):
    """The same values as C-contiguous float64."""
    return np.array(array, dtype=np.float64, order="C")


@every_layout
def test_f31_a_genome_is_decoded_to_the_same_bits_in_any_layout(layout):
    for genome in (layout(GENOMES)[1], layout(GENOMES[1])):
        for ours, expected in zip(decode(genome, BRAIN), decode(plain(genome), BRAIN), strict=True):
            assert (ours.dtype, ours.tobytes()) == (expected.dtype, expected.tobytes())


@pytest.fixture(scope="module")
def colony():
    """Evaluator of a small colony for ten ticks."""
    config = AntsConfig(env=ForagingConfig(n_ticks=10), brain=BRAIN)
    return SerialEvaluator(make_colony_task({"config": config_to_dict(config), "is_held_out": False}))


@every_layout
def test_f31_a_colony_does_the_same_in_any_layout(colony, layout):
    genomes = layout(GENOMES)
    ours, expected = (colony.evaluate(0, rows, 1) for rows in (genomes, plain(genomes)))
    assert [result.error for result in ours] == 3 * [""]
    np.testing.assert_array_equal([r.values for r in ours], [r.values for r in expected])


def test_f31_a_colony_with_a_genome_of_the_wrong_length_fails_with_both_lengths(colony):
    for wrong in (GENOMES[:, :-1], np.repeat(GENOMES, 2, axis=1)):
        for result in colony.evaluate(0, wrong, 1):
            assert result.values is None
            assert f"shape ({wrong.shape[1]},), expected ({genome_size(BRAIN)},)" in result.error


@every_layout
def test_f31_a_task_gets_the_same_row_in_any_layout(layout):
    rows = []
    genomes = layout(GENOMES)
    SerialEvaluator(lambda task, genome: rows.append(genome) or np.zeros(1)).evaluate(0, genomes, 1)
    for row, expected in zip(rows, plain(genomes), strict=True):
        assert (row.dtype, row.tobytes(), row.flags.c_contiguous) == (np.float64, expected.tobytes(), True)


NO_TABLES = [GENOMES[0], GENOMES[None], GENOMES + 0j, GENOMES.astype(str), GENOMES.astype(object)]


@pytest.mark.parametrize("wrong", NO_TABLES, ids=["one", "nested", "complex", "text", "objects"])
def test_f31_what_is_no_table_of_numbers_is_refused_before_a_task_begins(wrong):
    def never(task, genome):
        raise AssertionError("a task began")

    with pytest.raises(ValueError, match=r"genomes have shape \(.*\) and type .*, but must be \(n, n_params\)"):
        SerialEvaluator(never).evaluate(0, wrong, 1)


@pytest.mark.parametrize("wrong", NO_TABLES[2:], ids=["complex", "text", "objects"])
def test_f31_a_genome_of_anything_but_real_numbers_is_refused_with_its_type(wrong):
    with pytest.raises(ValueError, match=f"genome has the type {wrong.dtype}"):
        decode(wrong[0], BRAIN)


@every_layout
def test_f31_scores_of_any_layout_are_the_same_scores(layout):
    rng = np.random.default_rng(0)
    given = {
        "fitness": layout(rng.random(4)),
        "responses": layout(rng.random((4, 3))),
        "targets": layout(rng.random(3)),
    }
    ours, expected = Evaluations(**given), Evaluations(**{name: plain(values) for name, values in given.items()})
    for name in given:
        np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))
        assert getattr(ours, name).dtype == np.float64


@pytest.mark.parametrize("name", ["fitness", "responses", "targets"])
def test_f31_complex_scores_are_refused_and_lose_no_half_in_silence(name):
    scores = {"fitness": np.zeros(2), "responses": np.zeros((2, 3)), "targets": np.zeros(3)}
    with pytest.raises(ValueError, match=f"Evaluations.{name} are complex"):
        Evaluations(**scores | {name: scores[name] + 1j})


@every_layout
@pytest.mark.parametrize("space", [SPACE, MIXED], ids=["floats", "mixed"])
def test_f31_a_space_maps_genomes_of_any_layout_alike(space, layout):
    inner = space.from_unit(0.9 * np.random.default_rng(0).uniform(-1, 1, (4, space.n_params)))  # float32 stays inside
    genomes = layout(inner)
    space.check(genomes)
    for change in (space.clip, space.scale, space.unscale, space.to_unit, space.from_unit):
        np.testing.assert_array_equal(change(genomes), change(plain(genomes)), err_msg=change.__name__)
    ours, expected = space.named(genomes[1]), space.named(plain(genomes)[1])
    for name in space.names:
        np.testing.assert_array_equal(ours[name], expected[name])


def test_f31_a_space_refuses_genomes_of_the_wrong_length_with_both_lengths():
    for wrong in (np.ones((3, 5)), np.ones((3, 7)), np.ones((3, 1)), np.ones(6)):
        with pytest.raises(ValueError, match=rf"shape \({wrong.shape[0]},.*must be \(n, 6\)"):
            SPACE.check(wrong)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_f31_a_search_is_the_same_whatever_the_layout_of_its_first_genomes(case):
    for name, layout in LAYOUTS.items():
        initial = layout(case.initial())
        ours, expected = (advance(case.make(rows, 1), 3) for rows in (initial, plain(initial)))
        for genomes, others in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(genomes, others, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_f31_results_teach_the_same_in_any_layout_and_rounded_genomes_are_refused(case):
    def told(layout):
        """The genomes after two generations that were told in this layout."""
        optimizer = case.make(case.initial(), 1)
        for _ in range(2):
            scores = evaluate(optimizer.ask())
            optimizer.tell(layout(optimizer.ask()), Evaluations(layout(scores.fitness), layout(scores.responses)))
        return optimizer.ask()

    expected = told(plain)
    for name, layout in LAYOUTS.items():
        if name == "float32" and case.method != "grid":  # the genes of a grid are round numbers
            with pytest.raises(ValueError, match=r"not those of ask\(\)"):
                told(layout)
        else:
            np.testing.assert_array_equal(told(layout), expected, err_msg=name)


@every_layout
def test_f31_a_function_is_minimised_from_a_start_of_any_layout(layout):
    x0 = layout(np.array([[0.3, -1.7, 2.1]]))[0]
    ours, expected = (minimize(lambda x: float(x @ x), x, "es", max_generations=2) for x in (x0, plain(x0)))
    assert (ours.fun, ours.x.tolist()) == (expected.fun, expected.x.tolist())


@every_layout
def test_f31_published_genomes_read_back_the_same_from_files_of_any_layout(tmp_path, layout):
    rng = np.random.default_rng(0)
    given = layout(random_genomes(AntBrainConfig(n_hidden=10), 3, rng))
    write_genomes(tmp_path / "a.npz", given[:, :250], given[:, 250:])
    np.testing.assert_array_equal(load_published_genomes(tmp_path / "a.npz")[0], plain(given))
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.npz")["delays"], plain(given)[:, 250:])
