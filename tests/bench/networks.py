"""Speed and memory of the engines: ``python tests/bench/networks.py [--only PART …] [--brian2 PYTHON]``.

About three minutes. Every time is CPU time of the one thread that works; all that a ratio compares took turns in this
run; every number is a median over the repetitions, unless its row says otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import timing  # noqa: F401  (first: it finds the packages)

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
from breakdown import bench_image_parts, bench_tick_parts
from colony import bench_builds, bench_episodes, bench_ticks, describe_case
from liquids import bench_liquid, bench_published
from memory import bench_memory
from peer import bench_brian2
from replay import bench_replay
from throughput import bench_limits, bench_throughput


def bench_colony() -> None:
    describe_case()
    for resolution_ms in (1.0, 0.1):
        bench_ticks(resolution_ms)
    bench_tick_parts()
    bench_builds()


def bench_generations() -> None:
    bench_episodes(1.0, n_compared=6, n_compiled=64)
    bench_episodes(0.1, n_compared=2, n_compiled=8)


def bench_brains() -> None:
    limits = bench_limits()
    for resolution_ms in (1.0, 0.1):
        bench_throughput(resolution_ms, limits)


def bench_liquids() -> None:
    for resolution_ms in (1.0, 0.1):
        bench_liquid(resolution_ms)
        bench_image_parts(resolution_ms)
    for resolution_ms in (1.0, 0.1):
        bench_published(resolution_ms)


def main() -> None:
    """Run all parts, or those that are asked for."""
    parts: dict[str, Callable[[], None]] = {
        "colony": bench_colony,
        "generation": bench_generations,
        "brains": bench_brains,
        "liquids": bench_liquids,
        "replay": bench_replay,
        "memory": bench_memory,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*parts, "brian2"], default=[*parts, "brian2"], metavar="PART")
    parser.add_argument("--brian2", metavar="PYTHON", help="of an environment with brian2 2.9 and numpy < 2")
    arguments = parser.parse_args()
    parts["brian2"] = lambda: bench_brian2(arguments.brian2)
    for name in arguments.only:
        parts[name]()


if __name__ == "__main__":
    main()
