"""A Ray cluster of several nodes on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without cores of its own, to which a test adds nodes."""
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield started
    ray.shutdown()
    started.shutdown()
