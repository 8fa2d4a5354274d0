"""What fails for one response, metric, plot or picture costs that alone, and the report says why."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from family_fixtures import FAMILY_FIXTURES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoring import results_of

from harness import show
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.metrics import metric
from harness.metrics.metric import Metric
from harness.records import Distribution, Grade, Part, Report, ReportRow, Response
from harness.report import page
from harness.request import EvalRequest
from harness.run import evaluate


def install(monkeypatch: pytest.MonkeyPatch, *added: Metric) -> None:
    everything = metric.installed() | {one.name: one for one in added}
    monkeypatch.setattr(metric, "installed", lambda: everything)
    monkeypatch.setattr(page, "installed", lambda: everything)


def reported(folder: Path, out: Path) -> tuple[Report, str]:
    """The report of the oracle, as read from the disk, and its page."""
    evaluate(Benchmark(folder), EvalRequest("oracle"), out)
    return store.read_json(out / "report.json", Report), (out / "report.html").read_text()


def raises(*_: object) -> None:
    raise LookupError("\x1b[31mno\ud800 such\x00 thing")


WRONG_VALUES = [raises, lambda *_: float("nan"), lambda *_: "high", lambda *_: 7.0, lambda *_: [1]]


@pytest.mark.parametrize("value", WRONG_VALUES)
def test_a_metric_that_fails_on_some_responses(text_folder, tmp_path, monkeypatch, value) -> None:
    def sometimes(results, result):
        return value(results, result) if result.instance.id.endswith("3") else 0.5

    install(monkeypatch, Metric(name="m", explanation="A test.", value=sometimes))
    report, html = reported(text_folder, tmp_path / "run")
    assert len(report.failures) == 1
    assert report.failures[0].startswith("metric m failed on 6 responses: ")
    assert report.failures[0].isprintable()
    assert "metric m failed on 6 responses" in html
    row = next(r for r in report.rows if r.metric == "m")
    assert (row.mean, row.n) == (0.5, 10)
    assert row.low < 0.5 < row.high, "the interval covers every value that the others could have had"


def row(**values) -> ReportRow:
    return replace(ReportRow("internalized", "m", 0.5, 0.4, 0.6, 1), **values)


@pytest.mark.parametrize(
    "aggregate",
    [
        raises,
        lambda *_: 3,
        lambda *_: [row(mean=float("inf"))],
        lambda *_: [row(variant="nowhere")],
        lambda *_: [row(n="many")],
        lambda *_: [row(detail=3)],
        lambda *_: ["row"],
    ],
)
def test_a_metric_that_fails_as_a_whole(text_folder, tmp_path, monkeypatch, aggregate) -> None:
    install(monkeypatch, Metric(name="m", explanation="A test.", aggregate=aggregate))
    report, html = reported(text_folder, tmp_path / "run")
    assert [text.partition(":")[0] for text in report.failures] == ["metric m failed"]
    assert "metric m failed" in html
    assert {r.variant for r in report.rows if r.metric == "accuracy"} == set(report.run.variants)


LABELS = ["$x_$", "\ud800", "\x1b[31m", "a\nb", "\x00", "<b>", "\\frac{", "x" * 5000, "\u202e", ""]


def test_labels_from_data_are_drawn_and_written(text_folder, tmp_path, monkeypatch) -> None:
    rows = [row(group=label or "g", member=label, detail=label) for label in LABELS]
    counted = Distribution("internalized", tuple(LABELS), (1,) * len(LABELS), (2,) * len(LABELS), 1.0)
    install(monkeypatch, Metric(name="m", explanation="A test.", aggregate=lambda *_: [*rows, counted]))
    report, html = reported(text_folder, tmp_path / "run")
    assert not report.failures
    assert html.count('class="plot"') > len(LABELS)
    assert not any(sign in html for sign in ("\x1b", "\x00", "<b>"))


@pytest.mark.parametrize(
    "method",
    ["groups", "cited_rules", "gold_rules", "first_error", "answers", "gold", "grade", "tree", "gold_path"],
)
@pytest.mark.parametrize("fixture", [names[0] for names in FAMILY_FIXTURES.values()])
def test_a_family_whose_method_fails(request, tmp_path, monkeypatch, fixture: str, method: str) -> None:
    folder = request.getfixturevalue(fixture)
    bench = Benchmark(folder)
    monkeypatch.setattr(type(bench.family), method, raises)
    request_ = EvalRequest("oracle" if method != "gold" else "random", limit=3)
    evaluate(bench, request_, tmp_path / "run")
    report = store.read_json(tmp_path / "run" / "report.json", Report)
    accuracy = next(r for r in report.rows if r.metric == "accuracy")
    assert (accuracy.mean is None) == (method == "grade")
    page_text = (tmp_path / "run" / "report.html").read_text()
    called = method not in ("cited_rules", "gold_rules", "first_error", "grade")
    called = called and (method != "tree" or bool(bench.policies))
    assert ("LookupError" in page_text) or not called


def test_a_response_without_determined_rules_has_no_value(text_folder, tmp_path, monkeypatch) -> None:
    bench = Benchmark(text_folder)
    monkeypatch.setattr(type(bench.family), "cited_rules", raises)
    report = evaluate(bench, EvalRequest("oracle"), tmp_path / "run")
    assert not [r for r in report.rows if r.metric.startswith("referral")]
    assert any(
        text.startswith("`cited_rules` of ClevrPolicy failed on 36 responses") for text in report.failures
    )


@pytest.mark.parametrize("value", [2.0, -1.0, float("nan"), "1"])
def test_a_grade_that_is_no_share_is_no_score(text_folder, tmp_path, monkeypatch, value) -> None:
    bench = Benchmark(text_folder)
    monkeypatch.setattr(type(bench.family), "grade", lambda *_: Grade(value, parts={"\ud800": 1.0}))
    report = evaluate(bench, EvalRequest("oracle"), tmp_path / "run")
    assert [r.mean for r in report.rows if r.metric == "accuracy" and not r.group] == [None] * 3
    assert store.Log(tmp_path / "run/scores.jsonl", dict).read()[0]["reason"].startswith("grading failed: ")


def test_a_plot_that_cannot_be_drawn_is_left_out(text_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "group_plot", raises)
    _, html = reported(text_folder, tmp_path / "run")
    assert "drawing a plot failed: LookupError" in html
    assert '<h2 id="samples">' in html and '<h2 id="branching">' in html


def test_rare_errors_share_a_row(text_folder, monkeypatch) -> None:
    bench = Benchmark(text_folder)
    numbers = iter(range(10_000))

    def first_error(*_: object) -> str:
        number = next(numbers)
        return f"frequent {number % 20}" if number % 2 else f"unknown argument: \ud800{number}"

    monkeypatch.setattr(type(bench.family), "grade", lambda *_: Grade(0.0))
    monkeypatch.setattr(type(bench.family), "first_error", first_error)
    instances = bench.instances("test")
    responses = [Response(i.id, "internalized", sample, "x") for i in instances for sample in range(30)]
    results = results_of(bench, instances, responses)
    rows = [r for r in metric.measure(results) if isinstance(r, ReportRow) and r.metric == "first errors"]
    assert len(rows) == 11
    other = next(r for r in rows if r.member == "other")
    assert other.mean == pytest.approx(0.5, abs=0.01)


def test_the_terminal_shows_no_control_characters_of_a_benchmark(text_folder) -> None:
    bench = Benchmark(text_folder)
    instance = bench.instances("test")[0]
    hostile = replace(instance, query=(Part("text", "red \x1b[31m\ttext"),), policy_id=None)
    shown = show.terminal(bench, hostile, colors=False)
    assert "red" in shown and "\x1b" not in shown


TEXTS = st.one_of(
    st.text(),
    st.from_regex(
        r"(<think>|</think>|\\boxed\{|\{|\}|\[|Case [0-9]|[A-J]|\"name\": |\$|\\text\{){1,20}", fullmatch=True
    ),
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: r"\boxed{" + json.dumps(value) + "}"),
    st.integers(1, 3000).map(lambda n: r"\boxed{" + '{"name": "x", "arguments": ' + "[" * n),
    st.integers(1, 6000).map(lambda n: r"\boxed{" + '{"name": "x", "arguments": {"a": ' + "9" * n + "}}"),
)


@pytest.mark.parametrize("fixture", [names[0] for names in FAMILY_FIXTURES.values()])
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_text_has_figures_that_can_be_stored(request, fixture: str, data: st.DataObject) -> None:
    bench = Benchmark(request.getfixturevalue(fixture))
    instances = bench.instances("test")[:1]
    texts = data.draw(st.lists(TEXTS, min_size=4, max_size=8))
    responses = [Response(instances[0].id, "internalized", n, text) for n, text in enumerate(texts)]
    results = results_of(bench, instances, responses)
    assert all(scored.value is None or 0 <= scored.value <= 1 for scored in results.scored)
    for figure in metric.measure(results):
        assert figure.variant == "internalized"
    msgspec.json.encode([result.score for result in results.full(results.scored)])
