"""Choose the best colony that a run has seen, on worlds that no run meets.

python experiments/champion.py runs/NAME                    # or: mpirun -n 16 python …, stigmergy champion runs/NAME
python experiments/champion.py runs/NAME --rounds 5 --worlds 8

The fitness on record is that of one generation's worlds, so the highest is the luckiest. Candidates are the best
individual of every generation, and the mean of the search where it has one. They run a race: in every round all that
are left meet the same new worlds, the best quarter stays, and the next round has four times as many worlds. The winner
is written with the score of its last round, whose worlds the rounds before have not seen; being the best of the last
few still flatters it a little, so its score for others to know is that of `experiments/ants.py --evaluate`, whose
worlds are others again.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.prepare_output()
    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.colony import FITNESS, FOOD
from experiments.command import Parser, checked_path
from experiments.config import AntsConfig, load_config
from experiments.console import say
from experiments.files import StorageError
from experiments.generation import GenerationFailedError
from experiments.npz import write_genomes
from experiments.process import EXIT_DONE, EXIT_STOPPED, is_stop_requested
from experiments.program import make_evaluator, run_program
from experiments.rollout import make_colony_task
from experiments.run_folder import RunFolder
from experiments.settings import config_to_dict
from optim.base import Array
from optim.evaluators import EvaluationStopped, Evaluator, MakeEvaluator

_FIRST_WORLD = 1_000_000  # of the held-out ones; `--evaluate` begins at 0
_KEPT = 4  # one in so many goes on to the next round, which has so many times as many worlds
_FEWEST = 4  # candidates that go on at least


class Candidate(NamedTuple):
    """A colony of a run."""

    generation: int
    kind: str  # "best": of the generation, "mean": of the search after it
    genome: Array


class Round(NamedTuple):
    """How the candidates that were left did in the worlds of a round."""

    candidates: NDArray[np.intp]  # (n,) which ones, best first
    fitness: Array  # (n, n_worlds)
    food: Array  # (n, n_worlds)


def read_candidates(run: RunFolder) -> list[Candidate]:
    """Every genome on record that may be the best of the run, each once.

    Raises
    ------
    StorageError : no generation is on record.
    experiments.files.DataError : the records are damaged.
    """
    tables = run.read_results(["best", "mean"])
    found: dict[bytes, Candidate] = {}
    for kind in ("best", "mean"):
        table = tables.get(kind) or {"generation": np.empty(0), "genome": np.empty((0, 0))}
        for generation, genome in zip(table["generation"].tolist(), table["genome"], strict=True):
            found.setdefault(genome.tobytes(), Candidate(generation, kind, genome))
    if not found:
        raise StorageError(f"{run.path} has no generation on record yet: there is nothing to choose from.")
    return list(found.values())


def race(genomes: Array, evaluator: Evaluator, n_rounds: int, n_worlds: int) -> list[Round]:
    """Let candidates meet more and more worlds, and the worse ones go.

    Parameters
    ----------
    genomes : (n, genome_size)
    n_rounds : at most; with few candidates the last round begins earlier, with as many worlds
    n_worlds : of the first round; each other has `_KEPT` times as many, all of them new

    Returns
    -------
    one per round; a candidate that failed in a world is behind all others

    Raises
    ------
    EvaluationStopped : a stop was requested.
    GenerationFailedError : no candidate got through all worlds of a round.
    """
    left, first_world, rounds = np.arange(len(genomes)), _FIRST_WORLD, []
    for number in range(n_rounds):
        n_now = n_worlds * _KEPT**number
        if len(left) <= _FEWEST and number + 1 < n_rounds:
            continue
        with tqdm(total=len(left) * n_now, desc=f"round {number}", leave=False, disable=None, unit="ep") as bar:
            results = evaluator.evaluate(
                0,
                genomes[left],
                n_now,
                first_episode=first_world,
                on_result=lambda _, bar=bar: bar.update(),  # type: ignore[misc]
                should_stop=is_stop_requested,
            )
        scores = np.array([[np.nan, np.nan] if r.values is None else r.values[[FITNESS, FOOD]] for r in results])
        fitness, food = scores.reshape(len(left), n_now, 2).transpose(2, 0, 1)
        if not np.isfinite(fitness).all(axis=1).any():
            error = next(result.error for result in results if result.error)
            raise GenerationFailedError(f"all {len(left)} candidates failed; the first:\n{error}")
        order = np.argsort(-np.nan_to_num(fitness, nan=-np.inf).mean(axis=1), kind="stable")
        rounds.append(Round(left[order], fitness[order], food[order]))
        left = left[order][: max(_FEWEST, -(-len(left) // _KEPT))]
        first_world += n_now
    return rounds


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    return run_program(lambda make, commit: _main(arguments, make), make_colony_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator) -> int:
    """What rank 0 does."""
    options = _parser().parse(arguments)
    run = RunFolder(options["run"])
    config = load_config(run.path / "config.toml", {})
    candidates = read_candidates(run)
    out = options["out"] or run.path / "champion.npz"
    say(f"{len(candidates)} candidates of {run.path}")
    evaluator = make_evaluator(config, {"config": config_to_dict(config), "is_held_out": True}, make)
    try:
        rounds = race(
            np.stack([candidate.genome for candidate in candidates]), evaluator, options["rounds"], options["worlds"]
        )
    except EvaluationStopped:
        say("stopped: no champion was written")
        return EXIT_STOPPED
    finally:
        evaluator.close()
    for each in rounds:
        say(_line(each, candidates, config))
    weights, delays = np.split(candidates[rounds[-1].candidates[0]].genome[None], 2, axis=1)
    write_genomes(out, weights, delays)
    say(f"champion {out}")
    return EXIT_DONE


def _line(each: Round, candidates: Sequence[Candidate], config: AntsConfig) -> str:
    best = candidates[each.candidates[0]]
    n_worlds = each.food.shape[1]
    return (
        f"{len(each.candidates):4d} candidates × {n_worlds:4d} worlds: {best.kind} of generation {best.generation}, "
        f"fitness {each.fitness[0].mean():.1f} ± {each.fitness[0].std(ddof=1):.1f}, "
        f"food {each.food[0].mean():.1f} ± {each.food[0].std(ddof=1):.1f} of {config.env.total_food}"
    )


def _parser() -> Parser:
    parser = Parser(prog="champion.py", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=checked_path, metavar="RUN", help="run folder of the ant study")
    parser.add_argument("--rounds", type=int, choices=range(1, 7), default=4, help="of the race (default 4)")
    parser.add_argument("--worlds", type=_n_worlds, default=4, help="of the first round, 2 to 1000 (default 4)")
    parser.add_argument("-o", "--out", type=checked_path, metavar="FILE", help="default: RUN/champion.npz")
    return parser


def _n_worlds(text: str) -> int:
    if not (text.isdecimal() and 2 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 2 to 1000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
