"""Faults in L2L (PyPI: L2LforHPC), through its public classes only; see `peer_faults.py`."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np
import peer_faults_tools as tools
from l2l.optimizees.optimizee import Optimizee
from l2l.optimizers.evolution import GeneticAlgorithmOptimizer, GeneticAlgorithmParameters
from l2l.utils.experiment import Experiment


class Toy(Optimizee):
    """Two numbers near 0, the sum of their squares; one individual of the generation misbehaves."""

    def __init__(self, trajectory, fault=""):
        super().__init__(trajectory)
        self.fault = fault
        self.rng = np.random.default_rng(tools.SEED)

    def create_individual(self):
        return {"x": self.rng.uniform(-1.0, 1.0, 2)}

    def simulate(self, trajectory):
        value = tools.sphere(trajectory.individual.x)
        if trajectory.individual.ind_idx == tools.BAD:
            if self.fault == "exception":
                raise ValueError("the ant fell off")
            if self.fault == "worker killed":
                tools.kill_worker()
            if self.fault == "program killed" and trajectory.individual.generation == 1:
                tools.kill_program()
            if self.fault == "hang":
                tools.hang()
            if self.fault in ("nan", "-inf"):
                return (float(self.fault),)
        return (value,)


def run(n_generations, fault="", folder="results", checkpoint=None, **settings):
    """The genetic algorithm, with default settings of the runner unless others are given; returns the optimizer."""
    experiment = Experiment(root_dir_path=folder)
    if checkpoint is not None:
        settings["checkpoint"] = experiment.load_trajectory(checkpoint)
    trajectory, _ = experiment.prepare_experiment(
        name="first" if checkpoint is None else "second", runner_params={"exec": sys.executable}, **settings
    )
    toy = Toy(trajectory, fault)
    parameters = GeneticAlgorithmParameters(
        seed=tools.SEED,
        pop_size=tools.N_INDIVIDUALS,
        cx_prob=0.7,
        mut_prob=0.7,
        n_iteration=n_generations,
        ind_prob=0.5,
        tourn_size=3,
        mate_par=0.5,
        mut_par=0.3,
    )
    optimizer = GeneticAlgorithmOptimizer(
        trajectory,
        optimizee_create_individual=toy.create_individual,
        optimizee_fitness_weights=(-1.0,),
        parameters=parameters,
    )
    experiment.run_experiment(optimizer=optimizer, optimizee=toy, optimizer_parameters=parameters)
    experiment.end_experiment(optimizer)
    return optimizer


def checkpoints():
    """Files that `load_trajectory` is meant for, oldest first."""
    return sorted(Path("results").glob("**/trajectory_*.bin"))


def load(path):
    """The public way to read a checkpoint."""
    return Experiment(root_dir_path="results").load_trajectory(path)


def exception():
    run(1, "exception")
    return "the run ended"


def exception_with_stop_run():
    run(1, "exception", folder="stop", stop_run=True)
    return "the run ended"


def worker_killed():
    run(1, "worker killed")
    return "the run ended"


def worker_killed_with_stop_run():
    run(1, "worker killed", folder="stop", stop_run=True)
    return "the run ended"


def program_killed():
    run(3, "program killed")
    return "the run ended"


def program_killed_then():
    found = {path.name: tools.attempt(lambda path=path: load(path)) or "loads" for path in checkpoints()}
    return f"in a fresh process: {found}"


def finite_best(fault):
    """Fitness that is not a number, in every generation; what the run calls its best."""
    random.seed(tools.SEED)
    optimizer = run(3, fault)
    fame = [float(entry.fitness.values[0]) for entry in optimizer.hall_of_fame]
    return f"hall of fame {[round(value, 3) for value in fame[:4]]} …; lowest finite value {tools.best_evaluated():.3f}"


def nan():
    return finite_best("nan")


def infinite():
    return finite_best("-inf")


def best_of(optimizer):
    """Fitness and coordinates of the best individual of a run."""
    entry = optimizer.hall_of_fame[0]
    return [float(entry.fitness.values[0]), *map(float, entry)]


def seed():
    tools.remember("seed", best_of(run(3)))
    return "three generations"


def seed_again():
    return (
        f"the same seed={tools.SEED} in a fresh process: best {tools.compare('seed', best_of(run(3, folder='again')))}"
    )


def seed_by_program():
    random.seed(tools.SEED)
    tools.remember("random.seed", best_of(run(3, folder="third")))
    return ""


def seed_by_program_again():
    random.seed(tools.SEED)
    best = tools.compare("random.seed", best_of(run(3, folder="fourth")))
    return f"with random.seed({tools.SEED}) by the program: best {best}"


def resume_whole():
    random.seed(tools.SEED)
    tools.remember("resume", best_of(run(4, folder="whole")))
    return "four generations"


def resume_first():
    random.seed(tools.SEED)
    run(2)
    return "two generations"


def resume_second():
    """The generation of the checkpoint is evaluated again, so three give as many as the uninterrupted run has."""
    random.seed(tools.SEED)
    best = tools.compare("resume", best_of(run(3, checkpoint=checkpoints()[-1])))
    return f"last checkpoint in a fresh process, two more generations: best {best}"


def torn():
    run(1)
    path = checkpoints()[-1]
    path.write_bytes(path.read_bytes()[:-20])
    return f"{path.name} without its last 20 bytes: {tools.attempt(lambda: load(path)) or 'loads'}"


def hostile():
    path = Path("trajectory_0.bin")
    path.write_bytes(tools.hostile_pickle())
    load(path)
    return f"load_trajectory of a prepared file: {tools.canary_text()}"


def hang():
    run(1, "hang")
    return "the run ended"


def overhead():
    start = time.perf_counter()
    run(1)
    one = time.perf_counter() - start
    start = time.perf_counter()
    run(4, folder="four")
    seconds = (time.perf_counter() - start - one) / 3
    return f"{1e3 * seconds:,.0f} ms per generation (the time of four minus that of one)"


def orphans():
    run(1)
    return "a run of one generation ended"


def braces():
    name = "x{open('canary','w').name}"
    error = tools.attempt(lambda: run(1, folder=name))
    return f"root_dir_path={name!r}: {tools.canary_text()}; {error or 'the run ended'}"


def random_state():
    before = tools.global_random_states()
    run(2)
    return f"{tools.changed_states(before)}; individuals are evaluated in other processes"


PROBES = {
    "exception": [exception, exception_with_stop_run],
    "worker killed": [worker_killed, worker_killed_with_stop_run],
    "program killed": [program_killed, program_killed_then],
    "nan": [nan],
    "infinite": [infinite],
    "seed": [seed, seed_again, seed_by_program, seed_by_program_again],
    "resume": [resume_whole, resume_first, resume_second],
    "torn": [torn],
    "hostile": [hostile],
    "hang": [hang],
    "overhead": [overhead],
    "orphans": [orphans],
    "braces": [braces],
    "random": [random_state],
}


def main():
    tools.main(PROBES, ["L2LforHPC"])
