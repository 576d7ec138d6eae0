"""Faults in Optuna; see `peer_faults.py`. Its workers are processes that share one storage."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import optuna
import peer_faults_tools as tools
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage, RDBStorage, RetryFailedTrialCallback
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    return tools.sphere([trial.suggest_float(f"x{i}", -1.0, 1.0) for i in range(2)])


def with_fault(act):
    """The objective with something that happens in one trial, after its evaluation."""

    def bad(trial):
        value = objective(trial)
        other = act() if trial.number == tools.BAD else None
        return value if other is None else other

    return bad


def journal(path="journal.log"):
    return JournalStorage(JournalFileBackend(path))


def open_study(storage=None, sampler=None):
    return optuna.create_study(
        storage=storage, study_name="probe", load_if_exists=True, sampler=sampler or TPESampler(seed=tools.SEED)
    )


def states(study):
    """How many trials are in which state."""
    names = [trial.state.name for trial in study.get_trials(deepcopy=False)]
    return {name: names.count(name) for name in sorted(set(names))}


def best_of(study):
    return [study.best_value, *study.best_params.values()]


def fail():
    raise ValueError("the ant fell off")


def exception():
    study = open_study(journal())
    error = tools.attempt(lambda: study.optimize(with_fault(fail), tools.N_INDIVIDUALS))
    caught = optuna.create_study()
    caught.optimize(with_fault(fail), tools.N_INDIVIDUALS, catch=(ValueError,))
    return f"default: optimize ends with {error}, journal holds {states(study)}; with catch=: {states(caught)}"


def worker_killed():
    open_study(journal()).optimize(with_fault(tools.kill_worker), tools.N_INDIVIDUALS)
    return "optimize ended"


def worker_killed_then():
    study = open_study(journal())
    before = states(study)
    study.optimize(objective, 4)
    return f"journal, fresh process: {before}; after 4 more trials {states(study)}"


def heartbeat_storage():
    callback = RetryFailedTrialCallback(max_retry=1)
    return RDBStorage(
        "sqlite:///study.db", heartbeat_interval=1, grace_period=2, heartbeat_stale_trial_callback=callback
    )


def heartbeat_killed():
    open_study(heartbeat_storage()).optimize(with_fault(tools.kill_worker), tools.N_INDIVIDUALS)
    return "optimize ended"


def heartbeat_killed_then():
    time.sleep(3)
    study = open_study(heartbeat_storage())
    study.optimize(objective, 4)
    return f"SQLite with heartbeat, fresh process: after 4 more trials {states(study)}"


def nan():
    study = open_study()
    study.optimize(with_fault(lambda: float("nan")), tools.N_INDIVIDUALS)
    right = study.best_value == min(t.value for t in study.trials if t.value is not None)
    return f"{states(study)}, best value {'right' if right else 'wrong'}"


def infinite():
    study = open_study()
    study.optimize(with_fault(lambda: float("-inf")), tools.N_INDIVIDUALS)
    return f"{states(study)}, best value {study.best_value}"


def seed():
    study = open_study()
    study.optimize(objective, 30)
    tools.remember("seed", best_of(study))
    return "30 trials"


def seed_again():
    study = open_study()
    study.optimize(objective, 30)
    return f"TPESampler(seed={tools.SEED}) in a fresh process: best {tools.compare('seed', best_of(study))}"


def values(study):
    return [trial.value for trial in study.get_trials(deepcopy=False)]


def resume_whole():
    study = open_study(journal("whole.log"))
    study.optimize(objective, 40)
    tools.remember("resume", values(study))
    return "40 trials"


def resume_first():
    for name in ("plain", "pickled"):
        study = open_study(journal(f"{name}.log"))
        study.optimize(objective, 20)
    Path("sampler.pkl").write_bytes(pickle.dumps(study.sampler))
    return "20 trials"


def same_values(study):
    study.optimize(objective, 20)
    return tools.compare("resume", values(study)).split(":")[0]


def resume_second():
    plain = same_values(open_study(journal("plain.log")))
    sampler = pickle.loads(Path("sampler.pkl").read_bytes())  # noqa: S301  (its manual advises this)
    pickled = same_values(open_study(journal("pickled.log"), sampler))
    return f"20 more in a fresh process: values {plain}; with the sampler pickled by the program: {pickled}"


def load_study(path="journal.log"):
    return optuna.load_study(storage=journal(path), study_name="probe", sampler=RandomSampler(seed=tools.SEED))


def torn():
    open_study(journal()).optimize(objective, 5)
    path = Path("journal.log")
    Path("whole.log").write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-20])
    return "journal of 5 trials without its last 20 bytes"


def torn_then():
    error = tools.attempt(load_study)
    if error:
        return f"fresh process: load_study: {error}"
    return f"fresh process: load_study works, optimize: {tools.attempt(lambda: load_study().optimize(objective, 2))}"


def torn_everywhere():
    data = Path("whole.log").read_bytes()
    start = data.rstrip().rindex(b"\n") + 1
    n_usable = 0
    for end in range(start + 1, len(data)):
        path = f"cut{end}.log"
        Path(path).write_bytes(data[:end])
        tools.attempt(lambda path=path: load_study(path).optimize(objective, 1))
        n_usable += not tools.attempt(lambda path=path: load_study(path).optimize(objective, 1))
    return f"{n_usable} of {len(data) - start - 1} cuts within the last record leave a study that can go on twice"


def hostile():
    Path("journal.log").write_bytes(tools.hostile_pickle())
    error = tools.attempt(lambda: open_study(journal()))
    return f"journal that is a prepared pickle: {tools.canary_text()}; {error or 'opens'}"


def hang():
    open_study().optimize(with_fault(tools.hang), tools.N_INDIVIDUALS, timeout=2)
    return "optimize(timeout=2) ended"


def overhead():
    n, times = tools.N_INDIVIDUALS, []
    for storage in (None, journal()):
        study = open_study(storage)
        times.append(tools.median_ms(lambda study=study: study.optimize(objective, n), 10))
    return f"{times[0]:.0f} ms per {n} trials of TPE in memory, {times[1]:.0f} ms with a journal (median of 10)"


def orphans():
    open_study().optimize(objective, tools.N_INDIVIDUALS, n_jobs=2)
    return "optimize(n_jobs=2) ended; these are threads"


def braces():
    folder = Path("x{open('canary','w').name}")
    folder.mkdir()
    open_study(journal(str(folder / "journal.log"))).optimize(objective, 2)
    return f"journal in {str(folder)!r}: {tools.canary_text()}"


def draw_and_evaluate(trial):
    tools.draw()
    return objective(trial)


def random_state():
    before = tools.global_random_states()
    quiet, noisy = open_study(), open_study()
    quiet.optimize(objective, 20)
    seen = tools.changed_states(before)
    noisy.optimize(draw_and_evaluate, 20)
    same = values(quiet) == values(noisy)
    return f"{seen}; a fitness that draws from them {'changes nothing' if same else 'changes the search'}"


PROBES = {
    "exception": [exception],
    "worker killed": [worker_killed, worker_killed_then, heartbeat_killed, heartbeat_killed_then],
    "program killed": "its workers are whole programs: see the row before",
    "nan": [nan],
    "infinite": [infinite],
    "seed": [seed, seed_again],
    "resume": [resume_whole, resume_first, resume_second],
    "torn": [torn, torn_then, torn_then, torn_then, torn_everywhere],
    "hostile": [hostile],
    "hang": [hang],
    "overhead": [overhead],
    "orphans": [orphans],
    "braces": [braces],
    "random": [random_state],
}


def main():
    tools.main(PROBES, ["optuna"])
