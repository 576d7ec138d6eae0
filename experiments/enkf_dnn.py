"""Train a deep network without gradients, on one process or under mpirun.

python experiments/enkf_dnn.py                                                 # the published network, 1,000 members
mpirun -n 16 python experiments/enkf_dnn.py --images fashion_mnist --network mlp --activation step
python experiments/enkf_dnn.py --population 200 --generations 20               # a minute
python experiments/enkf_dnn.py --resume runs/NAME

The ensemble Kalman filter is the default; --optimizer takes any other. Images: docs/data.md, --data FOLDER.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.prepare_output()
    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

from collections.abc import Sequence

from experiments.command import checked_path
from experiments.data_files import use_data_folder
from experiments.dnn_config import DnnConfig, load_config
from experiments.dnn_study import make_network_task, make_optimizer, make_study
from experiments.program import Program, make_parser, run_program, start_or_resume
from experiments.search_config import other_sections
from experiments.settings import config_to_dict, leaves
from optim.evaluators import MakeEvaluator

HELP = {
    "network": "cnn: the published one, or mlp",
    "n_hidden": "units of the hidden layers of the mlp",
    "activation": "of the hidden units: logistic, tanh, relu or step",
    "images": "mnist, fashion_mnist, letters (A to J), or letters_test",
    "batch": "images per generation",
    "repetitions": "generations that see the same batch",
    "adaptive_enkf.smallest": "fewest members the rule goes down to",
    "adaptive_enkf.largest": "most members the rule goes up to",
    "adaptive_enkf.factor": "by which the number of members changes at once",
    "adaptive_enkf.repetitions": "generations that see the first batch",
    "adaptive_enkf.max_repetitions": "most generations that see the same batch",
    "adaptive_enkf.every": "batches between two looks at the score",
    "adaptive_enkf.threshold": "change of the score between two looks that counts as large",
    "adaptive_enkf.errors": "a change of up to so many of its standard errors counts as none",
    "adaptive_enkf.begin": "score above which the rule acts",
    "gain": "hidden weights of the first mean network: standard deviation gain / sqrt(inputs)",
    "sigma": "if > 0: standard deviation of all weights of the first mean network instead",
    "hidden_spread": "standard deviation of the first members from the mean network, hidden weights",
    "output_spread": "… weights of the last layer",
    "temperature": "divides the logits in the loss",
    "test_every": "generations between tests on all test images",
    "block": "members whose responses are computed together",
}

PROGRAM = Program(
    load_config=load_config,
    make_optimizer=make_optimizer,
    make_study=make_study,
    task_settings=config_to_dict,
    n_params=lambda config: config.make_network().n_params,
    label=lambda config: f"{config.network}-{config.images}-{config.optimizer}-seed{config.seed}",
    headline=lambda config: (
        f"{config.optimizer} trains a {config.network} on {config.images}, {config.population} members, "
        f"{config.generations} generations of {config.batch} images"
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    use_data_folder(arguments)

    def body(make: MakeEvaluator, commit: str) -> int:
        parser, _ = make_parser("enkf_dnn.py", __doc__, DnnConfig(), HELP, other_sections(arguments))
        parser.add_argument("--data", type=checked_path, metavar="FOLDER", help="of the images, see docs/data.md")
        options = parser.parse(arguments)
        flags = {name: options[name] for name, _ in leaves(DnnConfig()) if name in options}
        return start_or_resume(PROGRAM, options, flags, make, commit)

    return run_program(body, make_network_task)


if __name__ == "__main__":
    sys.exit(main())
