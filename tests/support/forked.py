"""Processes that are forked from one that has imported torch, transformers, TRL and matplotlib.

These imports take longer than what most commands of a test do.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["harness.backends.local.hf", "harness.run", "matplotlib.figure", "training.stages", "training.train"]
)
NOWHERE = Path(os.devnull)


def run_command(*words: object) -> CompletedProcess[str]:
    """Runs a command of the project, such as "harness", "list"."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = (Path(folder, name) for name in ("stdout", "stderr"))
        process = start_command(*words, stdout=stdout, stderr=stderr)
        process.join(300)
        process.kill()
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(words, process.exitcode, stdout.read_text(), stderr.read_text())


def start_command(*words: object, stdout: Path = NOWHERE, stderr: Path = NOWHERE) -> BaseProcess:
    """Starts a command in a session of its own."""
    return _start(_run_command, *map(str, words), stdout=stdout, stderr=stderr)


def run_two_processes(function: Callable[..., object], *args: object, output: Path) -> None:
    """Runs a function in the two processes of a group, with the variables that torchrun sets."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    group["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    processes = [
        _start(function, *args, stdout=output, stderr=output, **group, RANK=rank, LOCAL_RANK=rank)
        for rank in "01"
    ]
    for process in processes:
        process.join(300)
        process.kill()
    assert [process.exitcode for process in processes] == [0, 0], output.read_text()[-4000:]


def _start(
    function: Callable[..., object], *args: object, stdout: Path, stderr: Path, **variables: str
) -> BaseProcess:
    environment = {**os.environ, **variables}
    process = FORKS.Process(target=_run, args=(function, args, stdout, stderr, Path.cwd(), environment))
    process.start()
    return process


def _run(
    function: Callable[..., object],
    args: tuple[object, ...],
    stdout: Path,
    stderr: Path,
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in ((1, stdout), (2, stderr)):
        with path.open("ab") as file:
            os.dup2(file.fileno(), descriptor)
    function(*args)


def _run_command(program: str, *words: str) -> None:
    (command,) = entry_points(group="console_scripts", name=program)
    sys.argv = [program, *words]
    command.load()()
