"""Processes of a Ray cluster. Nothing else in the project knows Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.engine.base import RETRIES, Engine, Process, ProcessDied, R, Result, T
from harness.errors import UserError


class Ray(Engine):
    """Processes of a Ray cluster. Ray itself runs a task of `map` again if its process or machine dies."""

    def __init__(self, address: str | None, workers: int | None = None, gpus: bool = False) -> None:
        """Connects to the cluster. Raises UserError if it cannot be reached, or if its versions differ.

        workers: by default as many as the cluster has cores; with `gpus`, as many as it has GPUs, if any.
        """
        super().__init__()
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
        self._fixed_workers = workers
        self._gpus = 1 if gpus and ray.cluster_resources().get("GPU") else 0
        self.workers = self._capacity()

    def _capacity(self) -> int:
        """The number of tasks that run at the same time now. The cluster may grow."""
        resources = self._ray.cluster_resources()
        return self._fixed_workers or max(1, int(resources.get("GPU" if self._gpus else "CPU", 1)))

    def __exit__(self, *error: object) -> None:
        self._ray.shutdown()

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        ray = self._ray
        remote = ray.remote(max_retries=RETRIES, scheduling_strategy="SPREAD")(function)
        waiting, running = iter(tasks), list[Any]()
        while True:
            self.workers = max(self.workers, self._capacity())
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

    def _start(self) -> Process:
        self.workers = max(self.workers, self._capacity())
        return _Actor(self._ray, self._gpus)

    def _wait(self, processes: Sequence[Any]) -> Sequence[Process]:
        results = {process.results: process for process in processes}
        (ready,), _ = self._ray.wait(list(results))
        return [results[ready]]


class _Actor(Process):
    """A process of the cluster. It starts as soon as a machine has a free core, and a GPU if it needs one."""

    def __init__(self, ray: Any, gpus: int) -> None:
        self._ray = ray
        remote = ray.remote(num_cpus=1, num_gpus=gpus, scheduling_strategy="SPREAD")(_Server)
        self._actor = remote.remote(str(Path.cwd()))
        self.call(iter, ())

    def call(self, function: Callable[[Any], Iterable[Any]], task: Sequence[Any]) -> None:
        self.results = self._actor.run.options(num_returns="streaming").remote(function, task)

    def receive(self) -> Result | None:
        exceptions = self._ray.exceptions
        try:
            return Result(self._ray.get(next(self.results)))
        except StopIteration:
            return None
        except exceptions.RayTaskError as error:
            raise error.cause from None
        except exceptions.RayError as error:
            raise ProcessDied(str(error).strip().rpartition("\n")[2].strip()) from None

    def kill(self) -> None:
        self._ray.kill(self._actor)


class _Server:
    """What runs in a process of the cluster."""

    def __init__(self, folder: str) -> None:
        # Relative paths mean the same as for the command, if this machine has the folder.
        with suppress(OSError):
            os.chdir(folder)

    def run(self, function: Callable[[Any], Iterable[Any]], task: Sequence[Any]) -> Iterator[Any]:
        # Not `yield from`, because Ray sends a value to the generator.
        for result in function(task):  # noqa: UP028
            yield result
