"""What engines have in common: `stream`, and the processes that it uses.

    command                                               a process
    wait until it has started  <------------------------  end of its first, empty call
    send it a task             ------------------------>  call the function
    yield a result             <------------------------  a result        | any number of times
    send it the next task      <------------------------  end of the call

The tasks of a process that dies are not lost: the command knows which of their items have no result yet.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

from harness.errors import UserError

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
        # Processes of `stream` without a task, and those that have not started yet.
        self.idle: list[Process] = []
        self.starting: set[Process] = set()

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
        waiting = deque((list(task), 0) for task in tasks)
        running: dict[Process, tuple[list[T], int]] = {}
        failed_starts = 0
        try:
            while waiting or running:
                while waiting and self.idle:
                    process = self.idle.pop()
                    running[process] = waiting.popleft()
                    process.call(function, running[process][0])
                needed = min(len(waiting), self.workers - len(running)) - len(self.starting)
                self.starting.update(self._start() for _ in range(needed))
                for process in self._wait([*running, *self.starting]):
                    try:
                        message = process.receive()
                    except ProcessDied:
                        process.kill()
                        if process in self.starting:
                            self.starting.remove(process)
                            deaths = failed_starts = failed_starts + 1
                        else:
                            items, deaths = running.pop(process)
                            missing = list(filter(is_missing, items))
                            deaths = deaths + 1 if len(missing) == len(items) else 0
                            waiting.extend([(missing, deaths)] if missing else [])
                        if deaths > RETRIES:
                            raise UserError(DIED) from None
                        tqdm.write("a process died and is replaced; its task is run again", file=sys.stderr)
                        continue
                    if message is not None:
                        yield message.value
                        continue
                    running.pop(process, None)
                    self.starting.discard(process)
                    self.idle.append(process)
        finally:
            # After an error, or if the caller needs no more results.
            for process in running:
                process.kill()

    @abstractmethod
    def _start(self) -> Process:
        """Starts a process. It need not be up yet."""

    @abstractmethod
    def _wait(self, processes: Sequence[Process]) -> Sequence[Process]:
        """Waits until some of the processes have a message or died, and returns these."""
