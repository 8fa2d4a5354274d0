"""What is measured on scored responses: one file a metric, registered under the group harness.metrics."""

from __future__ import annotations

from typing import Protocol

from harness import plugins
from harness.records import Row
from harness.results import Results


class Metric(Protocol):
    def __call__(self, results: Results) -> list[Row]: ...


def measure(results: Results) -> list[Row]:
    """The rows of every metric that is installed."""
    metrics: list[Metric] = [plugins.load(plugins.METRICS, name) for name in plugins.names(plugins.METRICS)]
    return [row for metric in metrics for row in metric(results)]
