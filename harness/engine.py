"""Runs tasks in processes of this machine or of a Ray cluster, and yields their results as they are complete.

    command                                           processes
    submit two tasks per process -------------------> call the function
    yield a result, submit the next task <----------- return its value

A task is a call that may be repeated: what it writes does not depend on how often and where it is run. Tasks
are read from their iterable one by one, so there may be any number of them. Nothing else in the project uses
Ray.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from harness.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
# How often in a row processes may die before the command ends; with Ray, how often a task may be lost.
RETRIES = 2


@dataclass(frozen=True)
class EngineConfig:
    """Which processes work."""

    engine: Literal["local", "ray"] = "local"
    """local: processes of this machine. ray: one per core of a Ray cluster, whose machines share the
    folder."""
    address: str | None = None
    """With --engine ray: the address of the cluster, as HOST:PORT; by default that of this machine, or none:
    then Ray starts on this machine."""
    workers: int | None = None
    """With --engine local: the number of processes; by default one per core."""

    def __post_init__(self) -> None:
        if self.engine == "local" and self.address is not None:
            raise UserError(f"address: expected only with --engine ray, got {self.address}")
        if self.engine == "ray" and self.workers is not None:
            raise UserError(f"workers: expected only with --engine local, got {self.workers}")

    def open(self) -> Engine:
        if self.engine == "ray":
            return Ray(self.address)
        return Local(self.workers if self.workers is not None else os.cpu_count() or 1)


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


class Ray(Engine):
    """The cores of a Ray cluster. Ray runs a task again if its process or its machine dies."""

    def __init__(self, address: str | None) -> None:
        """Connects to the cluster. Raises UserError if it cannot be reached, or if its versions differ."""
        try:
            import ray
        except ImportError:
            raise UserError('engine: ray is not installed; run: pip install ".[ray]"') from None
        self._ray: Any = ray
        try:
            where = urlsplit(address if address and "://" in address else f"//{address or ''}")
            if where.hostname and where.port:
                # Ray itself would wait for minutes.
                socket.create_connection((where.hostname, where.port), timeout=10).close()
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        # OSError: nobody answers. ValueError: not an address. RuntimeError: other versions.
        except (OSError, ValueError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise UserError(
                f"address: cannot use a Ray cluster at {address or 'this machine'}: {first}; start one with "
                "`ray start --head`, with the same versions of Python and Ray"
            ) from error
        self.workers = max(1, int(ray.cluster_resources().get("CPU", 1)))

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        ray = self._ray
        remote = ray.remote(max_retries=RETRIES, scheduling_strategy="SPREAD")(function)
        waiting, running = iter(tasks), list[Any]()
        while True:
            # The cluster may grow.
            self.workers = max(self.workers, int(ray.cluster_resources().get("CPU", 1)))
            running += [remote.remote(task) for task in islice(waiting, 2 * self.workers - len(running))]
            if not running:
                return
            (done,), running = ray.wait(running)
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                first = str(error).strip().partition("\n")[0]
                raise UserError(
                    f"engine: a task was lost {RETRIES + 1} times ({first}); run the same command again"
                ) from error
            yield result


def _start_worker() -> None:
    """Ends the worker when the parent is killed. Ctrl-C is left to the parent, see `_submit`."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
