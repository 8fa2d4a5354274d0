"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any

from harness.engine.base import DIED, RETRIES, Engine, Process, ProcessDied, R, Result, T
from harness.errors import UserError

# Processes are spawned, because neither an OpenGL context nor that of a GPU survives a fork.
SPAWN = multiprocessing.get_context("spawn")
# The variable that says which GPUs a process sees.
GPUS = "CUDA_VISIBLE_DEVICES"


class Local(Engine):
    """Processes of this machine. Those of `map` are a pool; each of `stream` has one of the GPUs, if any."""

    def __init__(self, workers: int, gpus: Sequence[str] = ()) -> None:
        """gpus: the GPUs, as CUDA_VISIBLE_DEVICES names them."""
        if workers < 1:
            raise UserError(f"workers: expected 1 or more, got {workers}")
        if gpus and workers > len(gpus):
            raise UserError(f"replicas: expected at most {len(gpus)}, one per GPU, got {workers}")
        super().__init__()
        self.workers = workers
        self._gpus = gpus
        self._processes: list[_LocalProcess] = []
        self._pool: ProcessPoolExecutor | None = None

    def __exit__(self, *error: object) -> None:
        self._end_pool()
        for process in self._processes:
            process.kill()

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        # Two tasks per process, so that none waits while a result is being used.
        waiting, deaths = iter(tasks), 0
        running: dict[Future[R], T] = {}
        while True:
            lost: list[T] = []
            for task in islice(waiting, 2 * self.workers - len(running)):
                try:
                    running[self._submit(function, task)] = task
                except BrokenProcessPool:  # a process has died since the last result
                    lost.append(task)
            if not running and not lost:
                return
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
                    raise UserError(DIED)
                # All processes of a pool die together, so all of its tasks are run again.
                waiting = chain(lost, list(running.values()), waiting)
                running.clear()
                self._end_pool()

    def _submit(self, function: Callable[[T], R], task: T) -> Future[R]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self.workers, SPAWN, _end_with_parent)
        with _interrupts_blocked():
            return self._pool.submit(function, task)

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _start(self) -> Process:
        self._processes = [process for process in self._processes if process.is_alive]
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        environment = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
        if self._gpus:
            used = [process.environment[GPUS] for process in self._processes]
            environment[GPUS] = next(gpu for gpu in self._gpus if gpu not in used)
        self._processes.append(_LocalProcess(environment))
        return self._processes[-1]

    def _wait(self, processes: Sequence[Any]) -> Sequence[Process]:
        connections = {process.connection: process for process in processes}
        return [connections[ready] for ready in multiprocessing.connection.wait(connections)]


class _LocalProcess(Process):
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.connection, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(theirs, environment))
        with _interrupts_blocked():
            self._process.start()
        # The process now has the only copy of its end, so the connection breaks when it dies.
        theirs.close()
        self.call(iter, ())

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def call(self, function: Callable[[Any], Iterable[Any]], task: Sequence[Any]) -> None:
        # If the process is dead, `receive` says so.
        with suppress(OSError):
            self.connection.send((function, task))

    def receive(self) -> Result | None:
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            raise ProcessDied from None
        if isinstance(message, Exception):
            raise message
        return message  # type: ignore[no-any-return]

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(connection: multiprocessing.connection.Connection, environment: Mapping[str, str]) -> None:
    """Answers calls until the process is killed."""
    os.environ.update(environment)
    _end_with_parent()
    while True:
        try:
            function, task = connection.recv()
            for result in function(task):
                connection.send(Result(result))
        # Whatever happens in a call belongs to the command.
        except Exception as error:
            connection.send(_sendable(error))
        else:
            connection.send(None)


def _sendable(error: Exception) -> Exception:
    """The exception with its traceback as a note, or one that says the same if it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    # Any class may be unable to be pickled, in its own way.
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def visible_gpus() -> list[str]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get(GPUS)
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Within the context, processes start that leave Ctrl-C to this one.

    A process inherits the blocked signal. A pool whose process is interrupted while it starts may wait for it
    forever.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_parent() -> None:
    """Ends this process when its parent is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
