"""Runs tasks in other processes, and gives their results to the command as they are complete.

    command                                           processes
    submit two tasks per process -------------------> call the function
    yield a result, submit the next task <----------- return its value

A task is a call that may be repeated: what it writes does not depend on how often and where it is run. Tasks
are read from their iterable one by one, so there may be any number of them.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from itertools import chain, islice
from typing import TypeVar

from harness.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
# How often in a row processes may die before the command ends.
RETRIES = 2


class Engine(AbstractContextManager["Engine"]):
    """Some processes, which end with the context."""

    # The number of tasks that run at the same time.
    workers: int

    @abstractmethod
    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """The result of each task, in the order in which they are complete.

        The function is one of a module, and tasks and results can be pickled. An exception of the function is
        raised here.
        """


class Local(Engine):
    """Processes of this machine. If one of them dies, its task is run again."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise UserError(f"workers: expected 1 or more, got {workers}")
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        waiting, deaths = iter(tasks), 0
        running: dict[Future[R], T] = {}
        while True:
            for task in islice(waiting, 2 * self.workers - len(running)):
                running[self._submit(function, task)] = task
            if not running:
                return
            lost: list[T] = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(task)
                else:
                    deaths = 0
                    yield result
            if lost:
                deaths += 1
                if deaths > RETRIES:
                    raise UserError(
                        "worker processes died again and again, perhaps because memory ran out; run the same "
                        "command again to resume, with fewer --workers if it happens again"
                    )
                # All processes of a pool die together, so all of its tasks are run again.
                waiting = chain(lost, list(running.values()), waiting)
                running.clear()
                self.__exit__()

    def _submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        if self._pool is None:
            # Spawned, because an OpenGL context does not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, context, _start_worker)
        # A process that starts here inherits the blocked signal. A pool whose process is interrupted while it
        # starts may wait for it forever.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(function, task)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _start_worker() -> None:
    """Ends the worker when the parent is killed. Ctrl-C is left to the parent, see `_submit`."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
