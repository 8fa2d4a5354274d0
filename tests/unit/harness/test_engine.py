"""Engines: every task has a result, errors arrive, and dead processes are replaced."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.engine import EngineConfig, Local
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


def test_each_task_has_a_result() -> None:
    with Local(2) as engine:
        assert sorted(engine.map(square, range(50))) == [n * n for n in range(50)]
        assert list(engine.map(square, [])) == []


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
        EngineConfig(**fields).open()


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed here")
def test_ray_says_how_to_install_it() -> None:
    with pytest.raises(UserError, match=r"engine: ray is not installed; run: pip install"):
        EngineConfig("ray").open()
