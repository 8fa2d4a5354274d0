"""Engines: every task has a result, errors arrive, and dead processes are replaced."""

import multiprocessing
import os
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.engine import BlocksConfig, EngineConfig, Local
from harness.errors import UserError


def square(number: int) -> int:
    if number < 0:
        raise UserError(f"number: expected 0 or more, got {number}")
    return number * number


def die_once(flag: Path) -> str:
    """Ends its process without a trace, unless it did so before."""
    if not flag.exists():
        flag.touch()
        os._exit(1)
    return flag.name


def die(_task: int) -> None:
    os._exit(1)


def squares(numbers: list[int]):
    for number in numbers:
        yield number, square(number)


def die_after_one(flag: Path, numbers: list[int]):
    yield numbers[0]
    if not flag.exists():
        flag.touch()
        os._exit(1)
    yield from numbers[1:]


def environment(names: list[str]):
    time.sleep(0.3)  # so that the other processes get tasks too
    yield tuple(os.environ.get(name) for name in names)


def die_always(_tasks: list[int]):
    os._exit(1)
    yield


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("cannot be made again from this text")


def fail(_tasks: list[int]):
    raise Unpicklable(1, 2)
    yield


def test_each_task_has_a_result() -> None:
    with Local(2) as engine:
        assert sorted(engine.map(square, range(50))) == [n * n for n in range(50)]
        assert list(engine.map(square, [])) == []


def test_a_process_that_dies_while_a_result_is_used_is_replaced() -> None:
    with Local(1) as engine:
        results = engine.map(square, range(9))
        first = next(results)
        # multiprocessing joins processes that have ended.
        while alive := multiprocessing.active_children():
            alive[0].kill()
        time.sleep(0.5)  # until the pool has noticed
        assert sorted([first, *results]) == [n * n for n in range(9)]


def test_tasks_are_read_as_they_are_needed() -> None:
    read = []

    def tasks():
        for number in range(100):
            read.append(number)
            yield number

    with Local(1) as engine:
        results = engine.map(square, tasks())
        # The results of tasks that are complete at the same time have no order.
        assert next(results) in (0, 1)
        assert len(read) < 10


def test_an_error_of_a_task_arrives() -> None:
    with Local(2) as engine, pytest.raises(UserError, match="number: expected 0 or more, got -1"):
        list(engine.map(square, [1, -1, 2]))


def test_a_process_that_dies_costs_no_task(tmp_path: Path) -> None:
    flags = [tmp_path / name for name in "abc"]
    flags[0].touch()
    flags[2].touch()
    with Local(2) as engine:
        assert sorted(engine.map(die_once, flags)) == ["a", "b", "c"]


def test_processes_that_always_die_are_an_error() -> None:
    with Local(1) as engine, pytest.raises(UserError, match="run the same command again to resume"):
        list(engine.map(die, [1]))


def test_stream_yields_what_a_function_yields_for_each_task() -> None:
    tasks = [[1, 2, 3], [4], [], [5, 6]]
    with Local(2) as engine:
        for _ in range(2):  # the processes stay
            found = sorted(engine.stream(squares, tasks, lambda _: True))
            assert found == [(n, n * n) for n in range(1, 7)]
        with pytest.raises(UserError, match="number: expected 0 or more, got -1"):
            list(engine.stream(squares, [[1, -1], [2]], lambda _: True))
        assert list(engine.stream(squares, [[7]], lambda _: True)) == [(7, 49)]


def test_a_process_of_a_stream_that_dies_costs_only_missing_items(tmp_path: Path) -> None:
    missing = set(range(10))
    found = []
    with Local(2) as engine:
        tasks = [range(5), range(5, 10)]
        for number in engine.stream(partial(die_after_one, tmp_path / "x"), tasks, missing.__contains__):
            found.append(number)
            missing.discard(number)
    assert sorted(found) == list(range(10))


def test_a_stream_whose_processes_always_die_is_an_error() -> None:
    with Local(2) as engine, pytest.raises(UserError, match="run the same command again to resume"):
        list(engine.stream(die_always, [[1]], lambda _: True))


def test_an_exception_that_cannot_be_pickled_arrives_as_text() -> None:
    with Local(1) as engine, pytest.raises(RuntimeError, match="Unpicklable: cannot be made again"):
        list(engine.stream(fail, [[1]], lambda _: True))


def test_each_process_of_a_stream_has_a_gpu() -> None:
    names = ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]
    with Local(2, gpus=["3", "GPU-5", "7"]) as engine:
        found = set(engine.stream(environment, [names] * 4, lambda _: True))
    assert {gpu for gpu, _ in found} == {"3", "GPU-5"}
    assert all(threads for _, threads in found)
    with pytest.raises(UserError, match="replicas: expected at most 1, one per GPU, got 2"):
        Local(2, gpus=["0"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": 0}, "workers: expected 1 or more, got 0"),
        ({"address": "host:1"}, "address: expected only with --engine ray, got host:1"),
        ({"engine": "ray", "workers": 2}, "workers: expected only with --engine local, got 2"),
    ],
)
def test_settings_that_do_not_fit_are_refused(fields, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config = BlocksConfig(**fields)
        config.open(config.workers)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed here")
def test_ray_says_how_to_install_it() -> None:
    with pytest.raises(UserError, match=r"engine: ray is not installed; run: pip install"):
        EngineConfig("ray").open()
