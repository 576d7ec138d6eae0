"""Make a tiny run folder with the code of this checkout: see README.md beside this file."""

import sys
from pathlib import Path

from experiments import rollout
from experiments.ants import main
from experiments.config import load_config
from optim.tasks import Task

SETTINGS = [
    "--population", "2", "--episodes", "2", "--ga.reevaluate", "all", "--brain.engine", "numba",
    "--env.n_ticks", "5", "--env.n_ants", "2", "--brain.n_hidden", "2",
]  # fmt: skip


def make_run(path: Path) -> None:
    """Two generations, merged, and a third as a kill leaves it; an episode of colony 0 in generation 1 fails."""
    original = rollout.run_episode
    fails_with = rollout.task_seeds(load_config(None, {}), Task(1, 0, 1))

    def fragile(genome, config, env, seeds, **options):
        if seeds == fails_with:
            raise RuntimeError("the ant fell asleep")
        return original(genome, config, env, seeds, **options)

    rollout.run_episode = fragile
    assert main([*SETTINGS, "--runs", str(path.parent), "--name", path.name, "--generations", "2"]) == 0
    _forget_merging()
    assert main(["--resume", str(path), "--generations", "3"]) == 0
    for name in (".lock", "fitness.png"):
        (path / name).unlink(missing_ok=True)
    for folder in path.iterdir():
        if folder.is_dir() and not list(folder.iterdir()):
            (folder / ".gitkeep").touch()


def _forget_merging() -> None:
    try:
        from experiments.records import Records as Merging
    except ImportError:  # schema 1
        from experiments.run_folder import RunFolder as Merging
    Merging.merge = lambda self: 0


if __name__ == "__main__":
    make_run(Path(sys.argv[1]))
