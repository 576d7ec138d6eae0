"""A journal of generation 7, results for it, and the end of its process."""

import os

import numpy as np

from experiments.journal import Header
from optim.tasks import Task, TaskResult

HEADER = Header(7, "genomes", "config")
VALUES = np.array([0.1 + 0.2, -0.0, 1e-320, -1.7976931348623157e308, 3.0])


def task(individual, episode=0):
    return Task(7, individual, episode)


def done(individual):
    return TaskResult(task(individual), VALUES / (individual + 1), 0.25, attempts=2)


def failed(individual, reason="exception"):
    return TaskResult(task(individual), None, 1.5, "Traceback …\nValueError: ü", reason, 2)


def die(journal):
    """Leave a journal as `kill -9` does: nothing more is written."""
    os.close(journal._descriptor)
