"""Faults in pycma (PyPI: cma), with its own parallel evaluation; see `peer_faults.py`."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import cma
import peer_faults_tools as tools
from cma.optimization_tools import EvalParallel2

N_PROCESSES = 2


def strategy(**options):
    options = {"popsize": tools.N_INDIVIDUALS, "seed": tools.SEED, "verbose": -9, "verb_log": 0} | options
    return cma.CMAEvolutionStrategy([0.5, 0.5], 0.3, options)


def generations(es, n, evaluate=None):
    """Some rounds of ask and tell."""
    for _ in range(n):
        genomes = es.ask()
        es.tell(genomes, evaluate(genomes) if evaluate else [tools.sphere(x) for x in genomes])
    return es


def with_fault(act):
    """The fitness with something that happens in one evaluation of the third generation."""
    at = 2 * tools.N_INDIVIDUALS + tools.BAD

    def bad(x):
        value = tools.sphere(x)
        other = act() if tools.n_evaluated() == at + 1 else None
        return value if other is None else other

    return bad


def kill_worker_once(x):
    value = tools.sphere(x)
    if tools.n_evaluated() == tools.BAD:
        tools.kill_worker()
    return value


def kill_program_once(x):
    value = tools.sphere(x)
    if tools.n_evaluated() == tools.BAD:
        tools.kill_program()
        time.sleep(1)
    return value


def state_of(es):
    """What decides how it goes on: numbers exact to the last bit."""
    return [es.sigma, *map(float, es.mean), float(es.best.f), es.countevals]


def fail():
    raise ValueError("the ant fell off")


def exception():
    es = strategy()
    error = tools.attempt(lambda: es.optimize(with_fault(fail), iterations=5))
    return f"optimize ends with {error}; {tools.n_evaluated()} evaluated, {es.countevals} of them known to the strategy"


def worker_killed():
    with EvalParallel2(kill_worker_once, N_PROCESSES) as evaluate:
        generations(strategy(), 2, evaluate)
    return "two generations ended"


def worker_killed_with_timeout():
    Path("evaluated.txt").unlink()
    with EvalParallel2(kill_worker_once, N_PROCESSES) as evaluate:
        error = tools.attempt(lambda: generations(strategy(), 2, lambda genomes: evaluate(genomes, timeout=5)))
    return f"with EvalParallel2(…)(timeout=5): {error or 'ended'}"


def program_killed():
    with EvalParallel2(kill_program_once, N_PROCESSES) as evaluate:
        generations(strategy(), 2, evaluate)
    return "two generations ended"


def nan():
    es = strategy()
    es.optimize(with_fault(lambda: float("nan")), iterations=30)
    right = es.best.f == tools.best_evaluated()
    return f"best {'right' if right else 'wrong'} ({es.best.f:.1e} after {es.countiter} generations)"


def infinite():
    es = strategy()
    es.optimize(with_fault(lambda: float("-inf")), iterations=30)
    return f"best.f {es.best.f} after {es.countiter} of 30 generations; stop() says {es.stop()}"


def seed():
    tools.remember("seed", state_of(generations(strategy(), 30)))
    return "30 generations"


def seed_again():
    return f"seed={tools.SEED} in a fresh process: state {tools.compare('seed', state_of(generations(strategy(), 30)))}"


def resume_whole():
    tools.remember("resume", state_of(generations(strategy(), 40)))
    return "40 generations"


def resume_first():
    Path("es.pkl").write_bytes(generations(strategy(), 20).pickle_dumps())
    return "20 generations"


def resume_second():
    es = pickle.loads(Path("es.pkl").read_bytes())  # noqa: S301  (as its manual says)
    state = tools.compare("resume", state_of(generations(es, 20)))
    return f"pickle_dumps, 20 more in a fresh process: state {state.split(':')[0]}"


def torn():
    data = generations(strategy(), 20).pickle_dumps()
    return f"pickle_dumps: {tools.readable_cuts(data, pickle.loads)}"


def hostile():
    pickle.loads(tools.hostile_pickle())  # noqa: S301
    return f"pickle.loads of prepared bytes, as its manual restores: {tools.canary_text()}"


def hang():
    strategy(timeout=2).optimize(with_fault(tools.hang))
    return "optimize with the option timeout=2 ended"


def overhead():
    es = strategy()
    alone = tools.median_ms(lambda: generations(es, 1))
    with EvalParallel2(tools.sphere, N_PROCESSES) as evaluate:
        together = tools.median_ms(lambda: generations(es, 1, evaluate))
    return f"{alone:.1f} ms per generation, {together:.1f} ms with {N_PROCESSES} processes (median of 30), not stored"


def orphans():
    with EvalParallel2(tools.sphere, N_PROCESSES) as evaluate:
        generations(strategy(), 2, evaluate)
    return "two generations with EvalParallel2 ended"


def braces():
    folder = "x{open('canary','w').name}/"
    cma.fmin2(
        tools.sphere, [0.5, 0.5], 0.3, {"verb_filenameprefix": folder, "verbose": -9, "maxiter": 3, "verb_log": 1}
    )
    return (
        f"verb_filenameprefix={folder!r}: {tools.canary_text()}; folder {'' if Path(folder).is_dir() else 'not '}made"
    )


def draw_and_evaluate(x):
    tools.draw()
    return tools.sphere(x)


def random_state():
    before = tools.global_random_states()
    quiet = state_of(generations(strategy(), 5))
    seen = tools.changed_states(before)
    noisy = state_of(generations(strategy(), 5, lambda genomes: [draw_and_evaluate(x) for x in genomes]))
    return f"{seen}; a fitness that draws from it {'changes nothing' if quiet == noisy else 'changes the search'}"


PROBES = {
    "exception": [exception],
    "worker killed": [worker_killed, worker_killed_with_timeout],
    "program killed": [program_killed],
    "nan": [nan],
    "infinite": [infinite],
    "seed": [seed, seed_again],
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
    tools.main(PROBES, ["cma"])
