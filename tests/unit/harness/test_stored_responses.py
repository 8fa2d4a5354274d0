"""Responses stay on the disk: what is found of them again, and how much memory a scored one needs."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.responses import StoredResponses
from harness.files.store import Log
from harness.records import Response, Session
from harness.results import Key, Results
from harness.run import score

RESPONSES = st.builds(
    Response,
    st.sampled_from(["a", "b", "ü\n"]),
    st.sampled_from(["internalized", "override"]),
    st.integers(0, 2),
    st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)


@given(st.lists(RESPONSES), st.integers(0, 30))
def test_the_last_successful_response_to_each_prompt_is_found(
    tmp_path_factory, responses: list[Response], early: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "responses.jsonl"
    failed = [
        Response(*r.key, text=None, error=f"failure {n}") if r.text is None else r
        for n, r in enumerate(responses)
    ]
    expected: dict[Key, Response] = {}
    for response in failed:
        if response.error is None or expected.get(response.key, response).error is not None:
            expected[response.key] = response
    StoredResponses(path).append(failed[:early])
    stored = StoredResponses(path)
    stored.append(failed[early:])
    for key in [
        (i, v, s) for i in ("a", "b", "c") for v in ("internalized", "x", "override") for s in range(4)
    ]:
        assert stored.get(key) == expected.get(key)
        assert stored.answered(key) == (key in expected and expected[key].error is None)
    assert list(stored) == failed
    assert stored.prompts == len(expected)
    assert stored.successes == sum(r.error is None for r in failed)


@pytest.mark.parametrize(
    ("type_", "wrong", "message"),
    [
        (Response, {"batch": 0}, "batch: expected a whole number of at least 1"),
        (Response, {"prompt_tokens": 10**400}, "prompt_tokens: expected a whole number of at most"),
        (Response, {"completion_tokens": -1}, "completion_tokens: expected a whole number of at least 0"),
        (Response, {"seconds": 1e308}, "seconds: expected a number of at most"),
        (Session, {"seconds": -1.0}, "seconds: expected a number of at least 0"),
        (Session, {"requests": 10**400}, "requests: expected a whole number of at most"),
    ],
)
def test_numbers_that_cannot_be_right_are_an_error(
    tmp_path: Path, type_: type, wrong: dict[str, float], message: str
) -> None:
    right = {
        "instance": "a",
        "variant": "internalized",
        "sample": 0,
        "text": "",
        "requests": 1,
        "seconds": 1.0,
    }
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (right, right | wrong)))
    with pytest.raises(UserError, match=f"lines.jsonl, line 2: {message}.*; correct or delete this line$"):
        Log(path, type_).read()


def test_no_text_of_a_scored_response_stays_in_memory(text_folder: Path, tmp_path: Path) -> None:
    bench, length, count = Benchmark(text_folder), 20_000, 400
    instance = bench.instances("test")[0]
    stored = StoredResponses(tmp_path / "responses.jsonl")
    stored.append(
        Response(instance.id, "internalized", n, rf"{n} {'x' * length} \boxed{{Case 0}}")
        for n in range(count)
    )
    results = Results(bench, [instance], stored.__getitem__, count)
    list(score(results, map(stored.__getitem__, [(instance.id, "internalized", 0)])))
    tracemalloc.start()
    for _ in score(results, (stored[instance.id, "internalized", n] for n in range(1, count))):
        pass
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(results.scored) == count
    # A few texts can be in caches.
    assert kept < count * length / 10
