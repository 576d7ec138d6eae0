"""Film a colony.

python experiments/video.py runs/NAME/best.npz --out colony.mp4
python experiments/video.py ../shared/data/published_ants/fitness_full_genomes.npz --genome 60 --ticks 1000 --every 2
python experiments/video.py --policy rule --preset maze --out maze.mp4
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from

import argparse
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray
from tqdm import tqdm

from envs.foraging import AntForagingEnv
from envs.policies import POLICIES, make_policy, policy_settings
from envs.presets import PRESETS
from experiments.config import check_body
from experiments.evaluate import read_genomes
from optim.base import Array
from snn import AntBrainConfig, AntColonyBrain, decode

Frame = NDArray[np.uint8]  # (height, width, 3)
# H.264 of good quality in the pixels that were given; such a film plays in a browser while it loads.
_FORMAT: dict[str, Any] = {
    "format": "FFMPEG",
    "codec": "libx264",
    "quality": 8,
    "macro_block_size": 2,
    "output_params": ["-movflags", "+faststart"],
}


def record_video(frames: Iterable[Frame], path: Path, fps: float) -> int:
    """Write frames as an mp4 film (H.264), one at a time; an existing film is replaced when the new one is complete.

    Parameters
    ----------
    frames : each (height, width, 3) uint8, all of one size, height and width even
    fps : frames per second, > 0

    Returns
    -------
    int, frames written

    Raises
    ------
    gymnasium.error.DependencyNotInstalled : imageio or imageio-ffmpeg is missing.
    ValueError : another ending than .mp4, no frames, frames of different or odd size, or `fps` not > 0.
    OSError : the film cannot be written.
    """
    if path.suffix != ".mp4":
        raise ValueError(f"{path}: give a file that ends with .mp4.")
    if not 0.0 < fps < float("inf"):
        raise ValueError(f"fps={fps} is not allowed: it must be > 0.")
    imageio = _imageio()
    partial = path.with_name(f".{path.stem}.partial.mp4")
    writer, n_frames = None, 0
    try:
        for frame in frames:
            if writer is None:
                shape = frame.shape
                if frame.shape[0] % 2 or frame.shape[1] % 2:
                    raise ValueError(f"frames of {shape[1]} × {shape[0]} pixels cannot be filmed: both must be even.")
                writer = imageio.get_writer(partial, fps=fps, **_FORMAT)
            if frame.shape != shape:
                raise ValueError(f"frame {n_frames} is {frame.shape}, but the film is {shape}.")
            writer.append_data(frame)
            n_frames += 1
        if writer is None:
            raise ValueError("there are no frames to film.")
        writer.close()
        partial.replace(path)
    finally:
        if writer is not None:
            writer.close()
        partial.unlink(missing_ok=True)
    return n_frames


def film(env: AntForagingEnv, act: Callable[[Any], Any], obs: Any, every: int = 1) -> Iterator[Frame]:
    """Frames of an episode that was just reset: the start, each `every`-th tick, and the end.

    Parameters
    ----------
    env : with render_mode="rgb_array"
    act : observation -> actions
    """
    yield _frame(env)
    while not env.has_ended:
        obs = env.step(act(obs))[0]
        if env.measures()["ticks"] % every == 0 or env.has_ended:
            yield _frame(env)


def film_genome(
    genome: Array, brain_config: AntBrainConfig, env: AntForagingEnv, seed: int, every: int
) -> Iterator[Frame]:
    """Frames of an episode of a spiking colony, see `film`."""
    obs, _ = env.reset(seed=seed)
    with AntColonyBrain(*decode(genome, brain_config), env.config.n_ants, brain_config) as brain:
        yield from film(env, brain.act, obs, every)


def film_policy(name: str, env: AntForagingEnv, seed: int, every: int) -> Iterator[Frame]:
    """Frames of an episode of a colony without brains, see `film`."""
    obs, _ = env.reset(seed=seed)
    yield from film(env, make_policy(name, env, seed).act, obs, every)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if (options.genomes is None) == (options.policy is None):
        parser.error("give either a file of genomes or --policy")
    if options.every < 1 or options.seed < 0:
        parser.error("--every must be >= 1 and --seed >= 0")
    if options.out.suffix != ".mp4" or not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: give an .mp4 file in a folder that exists")
    length = {} if options.ticks is None else {"n_ticks": options.ticks}
    try:
        _imageio()  # before any work
        if options.policy is None:
            genomes, n_hidden, _ = read_genomes(options.genomes, options.genome)
            env = AntForagingEnv(options.preset, "rgb_array", **length)
            check_body(env.config)
            brain = AntBrainConfig(n_hidden=n_hidden, engine="numba")
            frames = film_genome(genomes[0], brain, env, options.seed, options.every)
        else:
            settings = policy_settings(options.policy)
            env = AntForagingEnv(options.preset, "rgb_array", **(settings | length))
            frames = film_policy(options.policy, env, options.seed, options.every)
        with tqdm(frames, total=1 + -(-env.config.n_ticks // options.every), disable=None, unit="frame") as bar:
            n_frames = record_video(bar, options.out, options.fps)
    except (ValueError, OSError, DependencyNotInstalled) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("stopped: no film was written\n")
        return 130
    info = env.measures()
    sys.stdout.write(
        f"film {options.out}: {n_frames} frames, {info['ticks']} ticks, {info['food']} food units, "
        f"fitness {info['fitness']:.1f}\n"
    )
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="video", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("genomes", type=Path, nargs="?", help="npz file with weights and delays, each (n, S)")
    parser.add_argument("--genome", type=int, default=0, metavar="ROW", help="row of the file (default 0)")
    parser.add_argument("--policy", choices=POLICIES, help="ants without brains instead of genomes")
    parser.add_argument("--preset", choices=PRESETS, default="published_test", metavar="NAME", help=", ".join(PRESETS))
    parser.add_argument("--ticks", type=int, metavar="N", help="length of the episode (default: that of the preset)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="ticks per frame (default 1)")
    parser.add_argument("--fps", type=float, default=20.0, help="frames per second (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the world (default 1)")
    parser.add_argument("--out", type=Path, default=Path("colony.mp4"), metavar="FILE", help="default colony.mp4")
    return parser


def _imageio() -> Any:
    try:
        importlib.import_module("imageio_ffmpeg")
        return importlib.import_module("imageio.v2")
    except ImportError:
        raise DependencyNotInstalled("films need imageio and imageio-ffmpeg: pip install -e '.[video]'") from None


def _frame(env: AntForagingEnv) -> Frame:
    frame = env.render()
    assert isinstance(frame, np.ndarray)
    return frame


if __name__ == "__main__":
    sys.exit(main())
