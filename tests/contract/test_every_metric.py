"""The contract of every registered metric: an explanation, and figures within their bounds."""

import pytest
from family_fixtures import FAMILY_FIXTURES

from harness import registry
from harness.backends import Sampling
from harness.family import DialogFamily
from harness.files.benchmark import Benchmark
from harness.metrics.metric import NUMBER, Quantity, find, installed
from harness.records import ReportRow
from harness.request import EvalRequest
from harness.run import evaluate


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[ReportRow]:
    """The rows of the oracle and of a random model with three samples, on benchmarks of every family.

    If a family has dialogs, the oracle also plays them.
    """
    sampled = EvalRequest("random", samples=3, sampling=Sampling(temperature=1))
    found: list[ReportRow] = []
    for name in [name for names in FAMILY_FIXTURES.values() for name in names]:
        benchmark = Benchmark(request.getfixturevalue(name))
        dialogs = [EvalRequest("oracle", multi_turn=True)] * isinstance(benchmark.family, DialogFamily)
        for eval_request in (EvalRequest("oracle"), sampled, *dialogs):
            out = tmp_path_factory.mktemp("runs") / "run"
            found += evaluate(benchmark, eval_request, out).rows
    return found


def test_every_metric_is_registered_once_and_explains_itself() -> None:
    assert len(installed()) == len(registry.names(registry.METRICS)), "two metrics have the same name"
    for name, metric in installed().items():
        assert metric.name == name and metric.explanation.endswith(".")
        assert (metric.value is None) != (metric.aggregate is None), "a metric has one way to be computed"
        assert find(name) is metric and find(f"{name}: of something") is metric


def test_a_metric_that_is_not_installed_is_a_plain_number() -> None:
    plain_number = Quantity(name="words per response", explanation="", unit=NUMBER, direction="neither")
    assert find("words per response") == plain_number


def test_every_metric_has_figures_on_a_benchmark_of_some_family(rows: list[ReportRow]) -> None:
    silent = installed().keys() - {row.metric for row in rows}
    assert not silent, (
        f"{', '.join(silent)}: no row on any benchmark of tests/conftest.py; give a family there instances "
        "to which the metric applies"
    )


def test_figures_are_within_their_intervals_and_their_units_bounds(rows: list[ReportRow]) -> None:
    for row in rows:
        bounds = installed()[row.metric].unit.bounds
        if row.low is None or row.high is None:
            assert bounds is None, row  # equal values without bounds have a mean, but no interval
            continue
        assert row.low <= row.high and (row.mean is None or row.low <= row.mean <= row.high), row
        assert bounds is None or bounds[0] <= row.low <= row.high <= bounds[1], row
