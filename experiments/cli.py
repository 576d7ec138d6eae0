"""The command `stigmergy`: one word per study or tool; the rest of the line belongs to it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from experiments.process import EXIT_UNAVAILABLE, EXIT_USAGE, catch_stop_signals, missing_packages, prepare_output

COMMANDS = {
    "ants": ("experiments.ants", "evolve ant colonies, or evaluate genomes"),
    "nested": ("experiments.nested", "learn the settings of a filter that trains a network"),
    "digits": ("experiments.digits", "a liquid reads handwritten digits"),
    "doctor": ("experiments.doctor", "check this machine, container or job"),
    "play": ("envs.play", "watch a colony in a window or in the terminal"),
    "picture": ("experiments.picture", "draw a colony at one tick"),
    "video": ("experiments.video", "film a colony"),
    "show": ("experiments.show", "what a run is and how far it came"),
    "merge": ("experiments.merge", "bring the records of a run together in its results.h5"),
    "plot": ("experiments.plot", "draw the learning curve of a run"),
    "report": ("experiments.report", "a run as a web page: numbers, curves, settings"),
    "replay": ("experiments.replay", "a colony as a web page"),
    "champion": ("experiments.champion", "choose the best colony that a run has seen"),
    "analyse": ("experiments.analyse", "what a colony has learnt: ablations, other worlds, trails"),
    "validate": ("experiments.validate_published", "published colonies here, against the published data"),
    "fetch-data": ("experiments.fetch_data", "download a data set of images"),
}

_STUDIES = ("ants", "nested", "champion", "analyse", "validate")  # their runs stop in order, whenever a signal comes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands; returns its exit code, 64 for an unknown one."""
    prepare_output()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  {name:10s} {text}" for name, (_, text) in COMMANDS.items()]
        sys.stdout.write("\n".join(["usage: stigmergy COMMAND [--help] ...", "", *lines, ""]))
        return 0
    if words[0] not in COMMANDS:
        from envs.presets import nearest_name  # not for every `--help`

        sys.stderr.write(f"stigmergy: unknown command {words[0]!r}{nearest_name(words[0], COMMANDS)}\n")
        return EXIT_USAGE
    if words[0] in _STUDIES:
        catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    try:
        module = importlib.import_module(COMMANDS[words[0]][0])
    except ImportError:
        if line := missing_packages():
            sys.stderr.write(line)
            return EXIT_UNAVAILABLE
        raise
    return int(module.main(words[1:]))


if __name__ == "__main__":
    sys.exit(main())
