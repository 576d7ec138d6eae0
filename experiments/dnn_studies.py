"""Compare trainings of deep networks: one table and one figure per study, from run folders that can be resumed.

python experiments/dnn_studies.py activations           # or: adaptive, initialisation, sizes, images, networks
mpirun -n 16 python experiments/dnn_studies.py sizes --population 1000 --generations 234
python experiments/dnn_studies.py images --runs RUNS    # goes on where it was stopped, or shows what is there

Flags are those of experiments/enkf_dnn.py and hold for every run of a study. Gradient descent needs torch:
pip install -e '.[torch]'.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.prepare_output()
    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.command import checked_path
from experiments.comparison import parse_comparison, run_comparison, show_comparison, start_or_continue
from experiments.console import say
from experiments.data_files import use_data_folder
from experiments.dnn_baseline import BASELINES, check_baseline, train_baseline
from experiments.dnn_config import DnnConfig, load_config
from experiments.dnn_figures import Training, draw, read_baseline, read_run, table
from experiments.dnn_study import make_network_task
from experiments.enkf_dnn import HELP, PROGRAM
from experiments.process import EXIT_DONE
from experiments.program import make_parser
from experiments.run_folder import RunFolder
from experiments.search_config import other_sections
from experiments.settings import leaves
from optim.evaluators import MakeEvaluator

# What all runs of the studies share: small enough for an evening on two cores.
_COMMON: dict[str, Any] = {"population": 400, "generations": 78, "test_every": 13}


class Variant(NamedTuple):
    """One training of a study."""

    label: str
    settings: dict[str, Any]  # beside _COMMON
    baseline: str = ""  # gradient descent in place of the filter, one of `experiments.dnn_baseline.BASELINES`


def _with_baselines(label: str, settings: dict[str, Any]) -> list[Variant]:
    """A training by the filter, and those by gradient descent that begin at the same network."""
    return [Variant(label, settings), *(Variant(f"{label}, {name}", settings, name) for name in BASELINES)]


def _bad_starts(sigma: float) -> list[Variant]:
    """All weights as large as in the published program; logits are then about 16 sigma, so the loss divides them.

    There every member is drawn from N(0, sigma^2), and so is the one network of gradient descent; "around one": so is
    the network around which the members lie.
    """
    label, temperature = f"sigma {sigma:g}", 25.0 * sigma
    drawn: dict[str, Any] = {"gain": 0.0, "hidden_spread": sigma, "output_spread": sigma, "temperature": temperature}
    drawn |= {"enkf.renewal_sd": 0.1}  # members differ by whole networks at first, and need not for ever
    around_one = {"sigma": sigma, "temperature": temperature, "output_spread": 5.0 * sigma}
    filters = [Variant(label, drawn), Variant(f"{label}, around one", around_one)]
    return filters + [Variant(f"{label}, {name}", around_one, name) for name in BASELINES]


STUDIES: dict[str, list[Variant]] = {
    "initialisation": [
        *_with_baselines("gain 4", {}),
        *(each for sigma in (1.0, 2.0, 3.0) for each in _bad_starts(sigma)),
    ],
    "activations": [Variant(name, {"activation": name}) for name in ("logistic", "tanh", "relu", "step")],
    "sizes": [Variant(f"{n} members", {"population": n}) for n in (50, 100, 200, 400)],
    "images": [
        each for name in ("mnist", "fashion_mnist", "letters_test") for each in _with_baselines(name, {"images": name})
    ],
    "networks": [
        Variant("cnn", {}),
        *_with_baselines("mlp", {"network": "mlp"}),
        Variant("mlp, step", {"network": "mlp", "activation": "step"}),
    ],
    "adaptive": [
        Variant("fixed", {}),
        Variant("adaptive", {"optimizer": "adaptive_enkf", "adaptive_enkf.largest": 800}),
    ],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    use_data_folder(arguments)
    return run_comparison(lambda make, commit: _main(arguments, make, commit), make_network_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator, commit: str) -> int:
    """What rank 0 does."""
    parser, _ = make_parser("dnn_studies.py", __doc__, DnnConfig(), HELP, other_sections(arguments))
    parser.add_argument("study", choices=STUDIES, help="what is compared")
    parser.add_argument("--data", type=checked_path, metavar="FOLDER", help="of the images, see docs/data.md")
    options = parse_comparison(parser, arguments)
    flags = {name: options[name] for name, _ in leaves(DnnConfig()) if name in options}
    study: str = options["study"]
    trainings = []
    for variant in STUDIES[study]:
        say(f"{study}: {variant.label}")
        code, training = _train(study, variant, options, _COMMON | variant.settings | flags, make, commit)
        if code != EXIT_DONE:
            return code
        trainings += [] if training is None else [training]
    out = options["runs"] / f"{study}.md"
    show_comparison(table(trainings), out, functools.partial(draw, trainings, study), out.with_suffix(".png"))
    return EXIT_DONE


def _train(
    study: str, variant: Variant, options: Mapping[str, Any], flags: Mapping[str, Any], make: MakeEvaluator, commit: str
) -> tuple[int, Training | None]:
    """Exit code, and how the training went; None if it cannot be done here."""
    name = f"{study}-{variant.label.replace(', ', '-').replace(' ', '-')}"
    path: Path = options["runs"] / name
    config = load_config(options["config"], flags)
    if variant.baseline:
        path = path.with_name(f"{path.name}.h5")
        try:
            if path.exists():
                check_baseline(config, path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                train_baseline(config, variant.baseline, path)
        except ModuleNotFoundError as error:
            say(f"left out: {error}")
            return EXIT_DONE, None
        return EXIT_DONE, read_baseline(variant.label, path)
    code = start_or_continue(PROGRAM, path, options["config"], flags, make, commit)
    return code, read_run(variant.label, RunFolder(path), config) if code == EXIT_DONE else None


if __name__ == "__main__":
    sys.exit(main())
