"""Draw a colony at one tick of an episode.

python experiments/picture.py runs/NAME/best.npz --tick 300 --out colony.png
python experiments/picture.py ../shared/data/published_ants/fitness_full_genomes.npz --genome 60 --tick 700
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.foraging import AntForagingEnv
from envs.presets import PRESETS
from experiments.config import check_body
from experiments.evaluate import read_genomes
from optim.base import Array
from snn import AntBrainConfig, AntColonyBrain, decode
from snn.nest_kernel import NestUnavailableError


def colony_frame(
    genome: Array, brain_config: AntBrainConfig, *, preset: str, tick: int, seed: int
) -> NDArray[np.uint8]:
    """RGB frame (rows, columns, 3) of a colony after `tick` ticks, or at the end of a shorter episode."""
    env = AntForagingEnv(preset, render_mode="rgb_array")
    check_body(env.config)
    obs, info = env.reset(seed=seed)
    has_ended = False
    with AntColonyBrain(*decode(genome, brain_config), env.config.n_ants, brain_config) as brain:
        while info["ticks"] < tick and not has_ended:
            obs, _, terminated, truncated, info = env.step(brain.act(obs))
            has_ended = terminated or truncated
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genomes", type=Path, help="npz file with weights and delays, each (n, S)")
    parser.add_argument("--genome", type=int, default=0, help="row of the file (default 0)")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="published_test")
    parser.add_argument("--tick", type=int, default=500, help="ticks before the picture (default 500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the world (default 1)")
    parser.add_argument("--out", type=Path, default=Path("colony.png"))
    options = parser.parse_args(arguments)
    try:
        from matplotlib.image import imsave
    except ImportError:
        parser.error("pictures need matplotlib: pip install -e '.[plot]'")
    if options.tick < 0 or options.seed < 0:
        parser.error("--tick and --seed must be >= 0")
    if options.out.suffix != ".png" or not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: give a .png file in a folder that exists")
    try:
        genomes, n_hidden, _ = read_genomes(options.genomes, options.genome)
        frame = colony_frame(
            genomes[0], AntBrainConfig(n_hidden=n_hidden), preset=options.preset, tick=options.tick, seed=options.seed
        )
    except (ValueError, NestUnavailableError) as error:
        parser.error(str(error))
    imsave(options.out, frame)
    sys.stdout.write(f"picture {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
