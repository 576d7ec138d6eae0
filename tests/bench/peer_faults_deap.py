"""Faults in DEAP, used as its tutorials show; see `peer_faults.py`. Its tutorial pickles the state."""

from __future__ import annotations

import multiprocessing
import pickle
import random
import time
from pathlib import Path

import peer_faults_tools as tools
from deap import algorithms, base, creator
from deap import tools as deap_tools

N_PROCESSES = 2
creator.create("FitnessMin", base.Fitness, weights=(-1.0,))
creator.create("Individual", list, fitness=creator.FitnessMin)


def toolbox(evaluate, mapper=map):
    """A real-valued genetic algorithm from the parts of the library."""
    box = base.Toolbox()
    box.register("gene", random.uniform, -1.0, 1.0)
    box.register("individual", deap_tools.initRepeat, creator.Individual, box.gene, 2)
    box.register("population", deap_tools.initRepeat, list, box.individual)
    box.register("evaluate", evaluate)
    box.register("mate", deap_tools.cxBlend, alpha=0.5)
    box.register("mutate", deap_tools.mutGaussian, mu=0.0, sigma=0.3, indpb=0.5)
    box.register("select", deap_tools.selTournament, tournsize=3)
    box.register("map", mapper)
    return box


def evaluate(individual):
    return (tools.sphere(individual),)


def evolve(box, population, n_generations, fame=None):
    """`eaSimple`: an initial evaluation and then so many generations."""
    population, _ = algorithms.eaSimple(population, box, 0.7, 0.7, n_generations, halloffame=fame, verbose=False)
    return population


def run(n_generations, function=evaluate, mapper=map):
    """A seeded run; returns its hall of fame and its population."""
    random.seed(tools.SEED)
    box, fame = toolbox(function, mapper), deap_tools.HallOfFame(5)
    return fame, evolve(box, box.population(n=tools.N_INDIVIDUALS), n_generations, fame)


def with_fault(act):
    """The fitness with something that happens once, in the first generation."""

    def bad(individual):
        value = evaluate(individual)
        other = act() if tools.n_evaluated() == tools.BAD else None
        return value if other is None else (other,)

    return bad


def kill_worker_once(individual):
    value = evaluate(individual)
    if tools.n_evaluated() == tools.BAD:
        tools.kill_worker()
    return value


def kill_program_once(individual):
    value = evaluate(individual)
    if tools.n_evaluated() == tools.BAD:
        tools.kill_program()
        time.sleep(1)
    return value


def best_of(fame):
    return [*fame[0].fitness.values, *fame[0]]


def fail():
    raise ValueError("the ant fell off")


def exception():
    error = tools.attempt(lambda: run(3, with_fault(fail)))
    return f"eaSimple ends with {error} after {tools.n_evaluated()} evaluations; nothing is returned"


def worker_killed():
    with multiprocessing.Pool(N_PROCESSES) as pool:
        run(3, kill_worker_once, pool.map)
    return "three generations ended"


def program_killed():
    with multiprocessing.Pool(N_PROCESSES) as pool:
        run(3, kill_program_once, pool.map)
    return "three generations ended"


def nan():
    """Hall of fame and selection of five generations of eight, a tenth of them not a number, 1000 times."""
    rng, n_wrong_fame, n_wrong_selection = random.Random(tools.SEED), 0, 0
    for _ in range(1000):
        fame, everyone = deap_tools.HallOfFame(5), []
        for _ in range(5):
            generation = [creator.Individual([rng.random(), rng.random()]) for _ in range(tools.N_INDIVIDUALS)]
            for individual in generation:
                individual.fitness.values = (float("nan") if rng.random() < 0.1 else rng.random(),)
            fame.update(generation)
            everyone += generation
        best = min(i.fitness.values[0] for i in everyone if i.fitness.values[0] == i.fitness.values[0])
        n_wrong_fame += fame[0].fitness.values[0] != best
        n_wrong_selection += deap_tools.selBest(everyone, 1)[0].fitness.values[0] != best
    return f"HallOfFame[0] is not the best in {n_wrong_fame} of 1000 runs, selBest in {n_wrong_selection}"


def infinite():
    fame, _ = run(3, with_fault(lambda: float("-inf")))
    return f"hall of fame starts with {fame[0].fitness.values[0]}"


def seed():
    tools.remember("seed", best_of(run(10)[0]))
    return "ten generations"


def seed_again():
    best = tools.compare("seed", best_of(run(10)[0]))
    return f"random.seed({tools.SEED}) by the program, in a fresh process: best {best}"


def resume_whole():
    fame, _ = run(20)
    box = toolbox(evaluate)
    _, population = run(10)
    tools.remember("resume", [list(i) for i in evolve(box, population, 10)])
    return f"20 generations, best {fame[0].fitness.values[0]:.1e}"


def resume_first():
    _, population = run(10)
    state = {"population": population, "random": random.getstate()}
    Path("checkpoint.pkl").write_bytes(pickle.dumps(state))
    return "10 generations"


def resume_second():
    state = pickle.loads(Path("checkpoint.pkl").read_bytes())  # noqa: S301  (as its tutorial does)
    random.setstate(state["random"])
    population = [list(i) for i in evolve(toolbox(evaluate), state["population"], 10)]
    same = tools.compare("resume", population).split(":")[0]
    return f"population and random state pickled by the program: 10 more in a fresh process {same}"


def torn():
    _, population = run(5)
    data = pickle.dumps({"population": population, "random": random.getstate()})
    return f"pickled state: {tools.readable_cuts(data, pickle.loads)}"


def hostile():
    pickle.loads(tools.hostile_pickle())  # noqa: S301
    return f"pickle.loads of prepared bytes, as its tutorial restores: {tools.canary_text()}"


def hang():
    run(3, with_fault(tools.hang))
    return "three generations ended"


def overhead():
    times = []
    with multiprocessing.Pool(N_PROCESSES) as pool:
        for mapper in (map, pool.map):
            box = toolbox(evaluate, mapper)
            population = box.population(n=tools.N_INDIVIDUALS)
            times.append(tools.median_ms(lambda box=box, population=population: evolve(box, population, 1)))
    alone, together = times
    return f"{alone:.1f} ms per generation, {together:.1f} ms with {N_PROCESSES} processes (median of 30), not stored"


def orphans():
    with multiprocessing.Pool(N_PROCESSES) as pool:
        run(2, mapper=pool.map)
    return "two generations with multiprocessing.Pool ended"


def draw_and_evaluate(individual):
    tools.draw()
    return evaluate(individual)


def random_state():
    before = tools.global_random_states()
    quiet = best_of(run(5)[0])
    seen = tools.changed_states(before)
    noisy = best_of(run(5, draw_and_evaluate)[0])
    return f"{seen}; a fitness that draws from it {'changes nothing' if quiet == noisy else 'changes the search'}"


PROBES = {
    "exception": [exception],
    "worker killed": [worker_killed],
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
    "braces": "it writes no files",
    "random": [random_state],
}


def main():
    tools.main(PROBES, ["deap"])
