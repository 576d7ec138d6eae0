"""Who works on what next: the longest expected task first, several short ones at once. Pure."""

import heapq
import math
from collections.abc import Iterable, Mapping

from optim.base import Array
from optim.tasks import Task, TaskResult

# Tasks handed out together take about this long: much longer than a message, much shorter than an episode. It is also
# what the last worker may be late by.
_CHUNK_SECONDS = 0.02
_SHARES = 4  # a chunk is at most this part of what is left, or each worker's part if there are fewer


class Schedule:
    """The tasks of a generation that still wait, longest first.

    How long the episodes of an individual take is known from those that are done, and expected before from the
    individual in the same row of the last generation, or else to be the longest of all. If nothing is known, one
    episode of each individual goes first.

    Parameters
    ----------
    tasks : (task, genome) pairs
    expected : seconds of an episode by individual, as far as known

    Source: longest processing time first, Graham 1969, doi:10.1137/0117039.
    """

    def __init__(self, tasks: Iterable[tuple[Task, Array]], expected: Mapping[int, float]) -> None:
        self._genomes = dict(tasks)
        self._expected = dict(expected)
        self._longest = max(expected.values(), default=math.inf)
        self._totals: dict[int, tuple[float, int]] = {}  # seconds and number of episodes done in this generation
        self._heap = [self._entry(task) for task in self._genomes]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def expected(self) -> dict[int, float]:
        """Seconds of an episode by individual, as far as known."""
        return dict(self._expected)

    def take(self, n_workers: int) -> list[tuple[Task, Array]]:
        """The next tasks for one of so many workers; empty if none are left.

        Should they take much longer than expected, the others still have something to do.
        """
        chunk: list[tuple[Task, Array]] = []
        largest, seconds = math.ceil(len(self._heap) / min(n_workers, _SHARES)), 0.0
        while self._heap and seconds < _CHUNK_SECONDS and len(chunk) < largest:
            entry = heapq.heappop(self._heap)
            task = entry[-1]
            current = self._entry(task)
            if current[0] > entry[0]:  # it has become shorter since it was put here
                heapq.heappush(self._heap, current)
                continue
            chunk.append((task, self._genomes[task]))
            seconds -= entry[0]
        return chunk

    def put_back(self, task: Task) -> None:
        """Let a task that was taken wait again."""
        heapq.heappush(self._heap, self._entry(task))

    def learn(self, result: TaskResult) -> None:
        """Take the time of a finished task as what its individual needs."""
        individual = result.task.individual
        seconds, n_done = self._totals.get(individual, (0.0, 0))
        self._totals[individual] = (seconds + result.seconds, n_done + 1)
        self._expected[individual] = (seconds + result.seconds) / (n_done + 1)

    def _entry(self, task: Task) -> tuple[float, int, int, Task]:
        expected = self._expected.get(task.individual, self._longest)
        return -expected, task.episode, task.individual, task
