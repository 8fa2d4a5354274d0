"""The cost of responses: prices by kind of token, missing prices, and the user's own table."""

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
from harness.report.page import warnings
from harness.request import EvalRequest
from harness.run import evaluate

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

["openai:served"]
input = 1
output = 2
"""


def response(prompt: int | None, completion: int | None, **fields: Any) -> Response:
    return Response(
        "i", "internalized", 0, "text", prompt_tokens=prompt, completion_tokens=completion, **fields
    )


@pytest.fixture(autouse=True)
def user_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def test_a_missing_price_or_token_count_gives_no_cost() -> None:
    known, unknown = response(10, 10), response(None, 10)
    failed = Response("i", "internalized", 0, None, error="HTTP 500")
    assert prices.cost("hf:checkpoint", [known]) is None
    assert prices.cost("openai:plain", [known, unknown]) is None
    assert prices.cost("openai:plain", [known, failed]) == pytest.approx(30e-6)
    assert prices.cost("openai:plain", [replace(known, batched=True)]) == prices.cost("openai:plain", [known])


@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=4))
def test_reading_from_the_cache_costs_a_tenth(counts: list[int]) -> None:
    plain, cached, written, out = counts
    total = plain + cached + written
    with_cache = prices.cost("anthropic:m", [response(total, out, cached_tokens=cached)])
    without = prices.cost("anthropic:m", [response(total, out)])
    assert with_cache is not None and without is not None
    assert without - with_cache == pytest.approx(cached * 9e-6, abs=1e-9)


def test_the_packaged_table_is_valid_and_the_users_entries_replace_its_own(user_table: Path) -> None:
    ours = prices.table()
    assert len(ours) >= 4
    name = next(iter(ours))
    assert all(0 < p.input < p.output and 0 < p.batch <= 1 for p in ours.values())
    user_table.write_text(f'["{name}"]\ninput = 77\noutput = 78\n')
    assert prices.table()[name] == prices.Price(77, 78)
    assert prices.table().keys() < ours.keys()


@pytest.mark.parametrize("text", ["[", '["m"]\ninput = 1', '["m"]\ninput = "1"\noutput = 2', 'm = "1"'])
def test_an_invalid_or_missing_table_is_an_error(user_table: Path, text: str) -> None:
    user_table.write_text(text)
    with pytest.raises(UserError, match=r"HARNESS_PRICES: .*prices\.toml"):
        prices.table()
    user_table.unlink()
    with pytest.raises(UserError, match="HARNESS_PRICES"):
        prices.table()


def test_the_report_shows_the_cost_only_if_it_is_known(text_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    with serving(lambda _: completion("a")) as server:
        for model in ("openai:plain", "openai:other", "openai:served?endpoint=chat"):
            out = tmp_path / model.removeprefix("openai:")
            evaluate(Benchmark(text_folder), EvalRequest(model, endpoint=Endpoint(server.url)), out)
    assert read_json(tmp_path / "plain" / "report.json", Report).cost == pytest.approx(36 * 114e-6)
    assert read_json(tmp_path / "other" / "report.json", Report).cost is None
    assert "US dollars" in (tmp_path / "plain" / "report.html").read_text()
    assert "US dollars" not in (tmp_path / "other" / "report.html").read_text()
    # An option is no part of the model's name.
    with_option = read_json(tmp_path / "served?endpoint=chat" / "report.json", Report)
    assert with_option.cost == pytest.approx(36 * 114e-6)
    assert not any("was requested" in warning for warning in warnings(with_option))
