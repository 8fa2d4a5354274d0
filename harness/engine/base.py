"""What engines have in common: `stream`, and the processes that it uses.

    command                                               a process
    wait until it has started  <------------------------  end of its first, empty call
    send it a task             ------------------------>  call the function
    yield a result             <------------------------  a result        | any number of times
    send it the next task      <------------------------  end of the call

If a process dies, the command gives those items of its task to another one that have no result yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

from harness.errors import UserError
from harness.progress import note

T = TypeVar("T")
R = TypeVar("R")
# How often in a row processes may die before the command ends; with Ray, how often a task may be lost.
RETRIES = 2
DIED = (
    "worker processes died again and again, perhaps because memory ran out; run the same command again to "
    "resume, with fewer processes if it happens again"
)


class Result(NamedTuple):
    """What the function yielded."""

    value: Any


class ProcessDied(Exception):
    """The process, or the machine that it was on, is gone."""


class Process(ABC):
    """A process that answers one call at a time. Its first call, which has no result, ends when it is up."""

    @abstractmethod
    def call(self, function: Callable[[Any], Iterable[Any]], task: Sequence[Any]) -> None:
        """Begins a call."""

    @abstractmethod
    def receive(self) -> Result | None:
        """The next result; None at the end of the call. Raises the function's exception, or ProcessDied."""

    @abstractmethod
    def kill(self) -> None:
        """Ends the process, if it has not ended."""


class Engine(AbstractContextManager["Engine"]):
    """Some processes, which end with the context."""

    # The number of tasks that run at the same time.
    workers: int

    def __init__(self) -> None:
        # The processes of `stream` that have no task.
        self._idle: list[Process] = []
        # The tasks of the others, and how often in a row each task ended its process. A process that is
        # starting has an empty task.
        self._tasks: dict[Process, tuple[list[Any], int]] = {}

    @abstractmethod
    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The result of each task, in the order in which they are complete.

        Tasks are read from their iterable one by one, so there may be any number of them. The function is one
        of a module, and tasks and results can be pickled. An exception of the function is raised here.
        """

    def stream(
        self,
        function: Callable[[Sequence[T]], Iterable[R]],
        tasks: Iterable[Sequence[T]],
        is_missing: Callable[[T], bool],
    ) -> Iterator[R]:
        """The results that the function yields for each task, as they arrive.

        A process has one task at a time. If it dies, those items of its task of which `is_missing` is true
        are a new task, the last one. Function, tasks, results and exceptions are as in `map`. Raises
        UserError if processes die again and again.
        """
        waiting = deque((list(task), 0) for task in tasks if task)
        try:
            while waiting or any(items for items, _ in self._tasks.values()):
                self._assign(function, waiting)
                for process in self._wait(list(self._tasks)):
                    try:
                        result = process.receive()
                    except ProcessDied as died:
                        self._replace(process, died, is_missing, waiting)
                        continue
                    if result is not None:
                        yield result.value
                    else:
                        del self._tasks[process]
                        self._idle.append(process)
        finally:
            # After an error, or if the caller needs no more results.
            for process in [process for process, (items, _) in self._tasks.items() if items]:
                del self._tasks[process]
                process.kill()

    def _assign(
        self, function: Callable[[Any], Iterable[Any]], waiting: deque[tuple[list[Any], int]]
    ) -> None:
        """Gives tasks to idle processes, and starts processes for the other tasks."""
        while waiting and self._idle:
            process = self._idle.pop()
            self._tasks[process] = waiting.popleft()
            process.call(function, self._tasks[process][0])
        starting = sum(not items for items, _ in self._tasks.values())
        for _ in range(min(self.workers - len(self._tasks), len(waiting) - starting)):
            self._tasks[self._start()] = [], 0

    def _replace(
        self,
        process: Process,
        died: ProcessDied,
        is_missing: Callable[[Any], bool],
        waiting: deque[tuple[list[Any], int]],
    ) -> None:
        """Lets another process do what a dead one has left."""
        process.kill()
        items, deaths = self._tasks.pop(process)
        left = list(filter(is_missing, items))
        deaths = deaths + 1 if len(left) == len(items) else 0
        if deaths > RETRIES:
            raise UserError(f"{DIED} ({died})" if str(died) else DIED)
        note("a process died and is replaced; what it has left is repeated")
        if left:
            waiting.append((left, deaths))
        elif not items:
            self._tasks[self._start()] = [], deaths

    @abstractmethod
    def _start(self) -> Process:
        """Starts a process. It need not be up yet."""

    @abstractmethod
    def _wait(self, processes: Sequence[Process]) -> Sequence[Process]:
        """Waits until some of the processes have a message or died, and returns these."""
