"""Scores responses that are in memory."""

from collections.abc import Sequence

from harness.files.benchmark import Benchmark
from harness.records import Instance, Response
from harness.results import Results
from harness.run import score


def results_of(benchmark: Benchmark, instances: Sequence[Instance], responses: Sequence[Response]) -> Results:
    by_key = {response.key: response for response in responses}
    samples = 1 + max(response.sample for response in responses)
    results = Results(benchmark, instances, by_key.__getitem__, samples)
    assert len(list(score(results, responses))) == len(results.scored)
    return results
