"""Cost: by the table of prices, none where it is not known, and the user's table before ours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import completion, serving

from harness.backends import Endpoint
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import read_json
from harness.records import Report, Response
from harness.report import prices
from harness.run import EvalRequest, evaluate

TABLE = """
["anthropic:m"]
input = 10
cached_input = 1
cache_write = 12.5
output = 50
batch = 0.5

["openai:plain"]
input = 1
output = 2
"""


def response(prompt: int | None, completion: int | None, **fields: Any) -> Response:
    return Response(
        "i", "internalized", 0, "text", prompt_tokens=prompt, completion_tokens=completion, **fields
    )


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "prices.toml"
    file.write_text(TABLE)
    monkeypatch.setenv("HARNESS_PRICES", str(file))
    return file


def test_each_kind_of_token_has_its_price() -> None:
    one = response(1_000_000, 100_000, cached_tokens=600_000, written_tokens=200_000)
    assert prices.cost("anthropic:m", [one]) == pytest.approx(2.0 + 0.6 + 2.5 + 5.0)
    batched = replace(one, batched=True)
    assert prices.cost("anthropic:m", [one, batched]) == pytest.approx(10.1 + 5.05)
    assert prices.cost("openai:plain", [one]) == pytest.approx(1.2)


def test_no_price_is_not_nothing() -> None:
    known, unknown = response(10, 10), response(None, 10)
    failed = Response("i", "internalized", 0, None, error="HTTP 500")
    assert prices.cost("hf:checkpoint", [known]) is None
    assert prices.cost("openai:plain", [known, unknown]) is None
    assert prices.cost("openai:plain", [known, failed]) == pytest.approx(30e-6)
    assert prices.cost("openai:plain", [replace(known, batched=True)]) == prices.cost("openai:plain", [known])


@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=4))
def test_a_cache_read_saves_and_every_token_costs(counts: list[int]) -> None:
    plain, cached, written, out = counts
    total = plain + cached + written
    with_cache = prices.cost("anthropic:m", [response(total, out, cached_tokens=cached)])
    without = prices.cost("anthropic:m", [response(total, out)])
    assert with_cache is not None and without is not None
    assert without - with_cache == pytest.approx(cached * 9e-6, abs=1e-9)


def test_every_entry_of_ours_can_be_read_and_is_replaced_by_name(own: Path) -> None:
    ours = prices.table()
    assert len(ours) >= 4
    name = next(iter(ours))
    assert all(0 < p.input < p.output and 0 < p.batch <= 1 for p in ours.values())
    own.write_text(f'["{name}"]\ninput = 77\noutput = 78\n')
    assert prices.table()[name] == prices.Price(77, 78)
    assert prices.table().keys() < ours.keys()


@pytest.mark.parametrize("text", ["[", '["m"]\ninput = 1', '["m"]\ninput = "1"\noutput = 2', 'm = "1"'])
def test_a_table_that_is_none_is_named(own: Path, text: str) -> None:
    own.write_text(text)
    with pytest.raises(UserError, match=r"HARNESS_PRICES: .*prices\.toml"):
        prices.table()
    own.unlink()
    with pytest.raises(UserError, match="HARNESS_PRICES"):
        prices.table()


def test_the_report_tells_the_cost_only_where_there_is_one(text_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with serving(lambda _: completion("a")) as server:
        for model in ("openai:plain", "openai:other"):
            out = tmp_path / model.removeprefix("openai:")
            evaluate(Benchmark(text_folder), EvalRequest(model, endpoint=Endpoint(server.url)), out)
    assert read_json(tmp_path / "plain" / "report.json", Report).cost == pytest.approx(36 * 114e-6)
    assert read_json(tmp_path / "other" / "report.json", Report).cost is None
    assert "US dollars" in (tmp_path / "plain" / "report.html").read_text()
    assert "US dollars" not in (tmp_path / "other" / "report.html").read_text()
