"""The tasks of this project for Inspect, one for each family, under the name of the project.

    inspect eval policy_internalization/clevrpolicy -T bench=path/to/bench -T variant=override --model MODEL

Inspect names a task after the module that defines it, so this module is not in a package.
"""

from inspect_ai import Task, task

from harness import registry
from harness.errors import UserError
from harness.export.tools.inspect.scoring import benchmark_task
from harness.general import published


def _register(family: str) -> None:
    @task(name=family)
    def questions(
        bench: str = "bench", variant: str = "internalized", split: str = "test", limit: int | None = None
    ) -> Task:
        benchmark = published.open(bench)
        if benchmark.manifest.family != family:
            raise UserError(
                f"bench: expected a benchmark of {family}, got one of {benchmark.manifest.family}"
            )
        return benchmark_task(benchmark, variant, split, limit)


for name in registry.names(registry.FAMILIES):
    _register(name)
