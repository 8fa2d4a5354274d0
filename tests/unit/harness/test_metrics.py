"""Intervals and metrics: hand-computed figures of small examples, and the figures of oracle and random."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.family import Family
from harness.files.benchmark import Benchmark
from harness.metrics import metric, referral
from harness.metrics.accuracy import ACCURACY
from harness.metrics.branching import BRANCHING
from harness.metrics.errors import FIRST_ERRORS
from harness.metrics.macro import MACRO_ACCURACY
from harness.metrics.metric import SHARE, Metric, Unit, collect, mean_row, measure
from harness.metrics.parts import PARTS
from harness.metrics.referral import NONEXISTENT_RULES, REFERRAL_PRECISION, REFERRAL_RECALL
from harness.metrics.samples import MAJORITY_VOTE, PASS_ALL, PASS_ANY
from harness.records import (
    CitedRule,
    Distribution,
    Grade,
    Instance,
    Report,
    ReportRow,
    Response,
    Score,
    Usage,
)
from harness.report import figures
from harness.report.savings import savings
from harness.request import EvalRequest
from harness.results import Result, Results
from harness.run import evaluate
from harness.stats.intervals import estimate, wilson
from harness.variants import INTERNALIZED, VARIANTS, Variant


def test_the_unit_of_an_interval_is_the_instance() -> None:
    assert estimate([[1.0], [0.0], [1.0]]) == (2 / 3, *wilson(2, 3))
    # Equal samples of an instance are no more evidence than one sample.
    assert estimate([[1.0] * 8, [0.0] * 8, [1.0] * 8]) == (2 / 3, *wilson(2, 3))
    assert estimate([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]) == estimate([[0.5], [1.0], [0.0]])


def test_missing_values_widen_the_interval_and_are_excluded_from_the_mean() -> None:
    assert estimate([[1.0], [None], [0.0]]) == (0.5, wilson(1, 3)[0], wilson(2, 3)[1])
    assert estimate([[None]]) == (None, wilson(0, 1)[0], wilson(1, 1)[1])
    assert estimate([]) == (None, 0.0, 1.0)


class Rules(Family):
    """A family of texts in which "+A" cites rule A correctly, "-A" wrongly, and "?A" a nonexistent rule."""

    scorer = "rules/1"
    form = r"\boxed{%s}"

    def __init__(self, paths: Mapping[str, Sequence[str]]) -> None:
        self.paths = paths

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        raise NotImplementedError

    def respond(self, answer: str) -> str:
        return self.form % answer

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"kind": "one"}

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return self.paths.get(instance.id, ())

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        found = [(word[0], word[1:]) for word in text.split() if word[0] in "+-?"]
        return [
            CitedRule(rule, sign != "?", {} if sign == "?" else {"test": sign == "+"}) for sign, rule in found
        ]

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        return "lost" if "lost" in text else "blind"


def results(
    *answers: tuple[str, str | None, float | None],
    paths: Mapping[str, Sequence[str]] | None = None,
    policy: str | None = "p",
) -> Results:
    """Results from tuples (instance, text, value). A text of None is a failed request."""
    family = Rules(paths or {})
    benchmark: Any = SimpleNamespace(family=family, family_of=lambda _: family)
    seen: dict[str, int] = {}
    found = []
    for name, text, value in answers:
        key = name, INTERNALIZED.name, seen.setdefault(name, 0)
        seen[name] += 1
        response = Response(*key, text, error="no" if text is None else None)
        instance = Instance(name, "test", (), {}, policy, "")
        found.append(Result(instance, INTERNALIZED, response, Score(*key, value, parts={})))
    return collected(benchmark, found)


def collected(benchmark: Benchmark, found: Sequence[Result]) -> Results:
    results = Results(benchmark, samples=1 + max(result.score.sample for result in found))
    assert len(list(collect(results, found))) == len(found)
    return results


def by_metric(rows: Sequence[ReportRow | Distribution]) -> dict[str, ReportRow]:
    return {row.label + row.member: row for row in rows if isinstance(row, ReportRow)}


def rows_of(results: Results, *metrics: Metric) -> list[ReportRow | Distribution]:
    return [row for metric in metrics for row in metric.rows(results)]


def test_rare_first_errors_share_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [("lost", "lost", 0.0)] * 3 + [(f"q{n}", f"name \ud800{n} {'x' * 99}", 0.0) for n in range(300)]
    monkeypatch.setattr(Rules, "first_error", lambda _self, _instance, _variant, text: text)
    found = results(*answers, ("right", "", 1.0), ("failed", None, None))
    rows = rows_of(found, FIRST_ERRORS)
    assert [(row.member, row.n, round(row.mean * 302)) for row in rows] == [
        ("lost", 304, 1),
        ("other", 304, 300),
    ]
    some = results(*answers[:20])
    labels = [row.member for row in rows_of(some, FIRST_ERRORS)]
    assert len(labels) == 18
    assert all(len(label) <= 60 and label.isprintable() for label in labels)


def test_pass_all_pass_any_and_the_majority_of_samples() -> None:
    a, b = r"\boxed{Case A}", r"\boxed{case  b}"
    rows = by_metric(
        rows_of(
            results(
                ("all", a, 1.0), ("all", a, 1.0), ("all", a, 1.0),
                ("most", b, 1.0), ("most", a, 0.0), ("most", r"so \boxed{Case B}", 1.0),
                ("few", a, 1.0), ("few", b, 0.0), ("few", b, 0.0),
                ("split", a, 1.0), ("split", "nothing", 0.0), ("split", b, 0.0),
                ("failed", a, 1.0), ("failed", None, None), ("failed", a, 1.0),
                ("wrong", b, 0.0), ("wrong", None, None), ("wrong", b, 0.0),
            ),
            *SAMPLES,
        )
    )  # fmt: skip
    assert rows.keys() == {"pass^k: k = 3", "pass@k: k = 3", "majority of k: k = 3"}
    every, some, majority = rows.values()
    assert (every.mean, every.n, every.errors) == (1 / 5, 5, 1)
    assert (every.low, every.high) == (wilson(1, 6)[0], wilson(2, 6)[1])
    assert (some.mean, some.n, some.errors) == (1.0, 5, 1)
    assert (majority.mean, majority.n) == (4 / 6, 6)
    assert rows_of(results(("all", a, 1.0)), *SAMPLES) == []


@pytest.mark.parametrize(
    ("texts", "mean"),
    [
        ("a", None), ("ab", None), ("aa", 1.0), ("aab", None), ("aaab", 1.0), ("abb", None), ("abbb", 0.0),
        ("?", None), ("??", None),
    ],
)  # fmt: skip
def test_a_failed_sample_could_decide_the_majority(texts: str, mean: float | None) -> None:
    given = [("x", "nothing" if text == "?" else rf"\boxed{{{text}}}", float(text == "a")) for text in texts]
    for answers in ([*given, ("x", None, None)], [("x", None, None), *given]):
        (row,) = rows_of(results(*answers), MAJORITY_VOTE)
        assert isinstance(row, ReportRow)
        assert (row.mean, row.n, row.errors) == (mean, *((0, 1) if mean is None else (1, 0)))


def test_votes_are_counted_only_if_the_benchmark_asks_for_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response may contain a box although its benchmark asks for another form of answer."""
    answers = ("x", r"\boxed{2}, so: B", 1.0), ("x", "B", 1.0)
    assert by_metric(rows_of(results(*answers), MAJORITY_VOTE))["majority of k: k = 2"].mean == 1.0
    monkeypatch.setattr(Rules, "form", "The answer is (%s)")
    assert rows_of(results(*answers), MAJORITY_VOTE) == []


def test_samples_of_an_instance_are_one_observation_in_the_macro_mean() -> None:
    """With a single category the macro mean is the mean, and so is its interval."""
    found = results(*((f"i{n}", "A", float(n < 3)) for n in range(6) for _ in range(20)), policy=None)
    (macro_row,) = by_metric(rows_of(found, MACRO_ACCURACY)).values()
    mean = mean_row(ACCURACY, INTERNALIZED, found.scored, lambda scored: scored.value)
    assert (macro_row.mean, macro_row.low, macro_row.high) == pytest.approx((mean.mean, mean.low, mean.high))


SAMPLES = PASS_ALL, PASS_ANY, MAJORITY_VOTE
REFERRAL = REFERRAL_PRECISION, REFERRAL_RECALL, NONEXISTENT_RULES


CLAIMS = [
    CitedRule("A", True, {"test": True, "leads to": False}),
    CitedRule("B", True, {"test": True}),
    CitedRule("C", True),
    CitedRule("Z", False),
]


def test_each_part_of_a_rule_is_a_claim_and_a_name_alone_is_none() -> None:
    assert referral.precision(CLAIMS) == 2 / 4
    assert referral.recall(CLAIMS, ["A", "B", "C", "D"]) == 1 / 4
    assert referral.nonexistent(CLAIMS) == 1 / 4
    assert referral.precision([CitedRule("C", True)]) is None
    assert referral.precision([]) is referral.nonexistent([]) is None
    assert referral.recall([], ["A"]) == 0


def test_referral_excludes_responses_without_claims_or_rules() -> None:
    path = {"cited": ["A", "B"], "mute": ["A"], "failed": ["A"]}
    rows = by_metric(
        rows_of(
            results(("cited", "+A -B ?Z", 0.0), ("mute", "", 0.0), ("failed", None, None), paths=path),
            *REFERRAL,
        )
    )
    assert (rows["referral precision"].mean, rows["referral precision"].n) == (1 / 3, 1)
    assert (rows["referral recall"].mean, rows["referral recall"].n) == (1 / 4, 2)
    assert (rows["nonexistent rules"].mean, rows["nonexistent rules"].n) == (1 / 3, 1)
    assert all(row.errors == 1 for row in rows.values())
    assert rows_of(results(("ruleless", "+A", 1.0)), *REFERRAL) == []


def test_branching_counts_responses_per_rule() -> None:
    path = {"one": ["R1", "R2"], "two": ["R1", "R10"], "failed": ["R1"]}
    row, distribution = BRANCHING.rows(
        results(("one", "?R11", 1.0), ("two", "", 0.0), ("failed", None, None), paths=path)
    )
    assert isinstance(distribution, Distribution) and isinstance(row, ReportRow)
    assert distribution.rules == ("R1", "R2", "R10", "R11")
    assert distribution.gold == (2, 1, 1, 0)
    assert distribution.cited == (0, 0, 0, 1)
    assert distribution.difference == 5 / 4
    assert (row.mean, row.n, row.errors) == (1.0, 2, 1)
    same, equal = BRANCHING.rows(results(("one", "+A +B +A", 1.0), paths={"one": ["A", "B"]}))
    assert isinstance(equal, Distribution) and isinstance(same, ReportRow)
    assert (equal.difference, same.mean, same.low) == (0, 0, 0)
    assert same.high == pytest.approx(wilson(0, 1)[1])
    responses = [("one", "+R1", 1.0), ("ruleless", "+R1", 1.0), ("ruleless, failed", None, None)]
    mixed, _ = BRANCHING.rows(results(*responses, paths=path))
    assert isinstance(mixed, ReportRow) and (mixed.n, mixed.errors) == (1, 0)
    silent, _ = BRANCHING.rows(results(("one", "", 0.0), paths=path))
    assert isinstance(silent, ReportRow) and (silent.mean, silent.low, silent.high) == (None, 0, 1)
    half, _ = BRANCHING.rows(results(("one", "+A ?X ?Y ?Z", 0.0), paths={"one": ["A"]}))
    assert isinstance(half, ReportRow) and half.mean == 3 / 4
    assert rows_of(results(("one", "+A", 1.0)), BRANCHING) == []


def test_first_errors_are_shares_of_all_responses() -> None:
    rows = rows_of(
        results(
            ("a", "lost", 0.0), ("b", "lost", 1.0), ("c", "blind", 0.0), ("d", "lost", 0.5), ("e", None, None)
        ),
        FIRST_ERRORS,
    )
    assert [(row.member, row.mean, row.n, row.errors) for row in rows if isinstance(row, ReportRow)] == [
        ("lost", 2 / 4, 4, 1),
        ("blind", 1 / 4, 4, 1),
    ]
    assert {(row.metric, row.group) for row in rows if isinstance(row, ReportRow)} == {
        ("first errors", "kind")
    }
    assert rows_of(results(("b", "lost", 1.0)), FIRST_ERRORS) == []


def test_each_field_of_a_recalled_rule_is_a_part_of_the_score(text_folder: Path) -> None:
    benchmark = Benchmark(text_folder)
    instances = benchmark.instances("recall")[:4]
    recited = [i.target for i in instances]
    attribute, _, rest = recited[1].partition("; ")
    recited[1] = f"{attribute}; nothing; {rest.partition('; ')[2]}"
    texts = [rf"\boxed{{{text}}}" for text in recited[:3]] + ["I do not remember."]
    found = []
    for instance, text in zip(instances, texts, strict=True):
        grade = benchmark.family_of(instance).grade(instance, instance.target, text)
        response = Response(instance.id, INTERNALIZED.name, 0, text)
        score = Score(*response.key, grade.value, grade.reason, grade.parts)
        found.append(Result(instance, INTERNALIZED, response, score))
    rows = by_metric(PARTS.rows(collected(benchmark, found)))
    assert {name: (row.mean, row.n) for name, row in rows.items()} == {
        "part: attribute": (3 / 4, 4),
        "part: value": (2 / 4, 4),
        "part: if it holds": (3 / 4, 4),
        "part: if it does not": (3 / 4, 4),
    }


def scored(model: str, folder: Path, out: Path) -> Report:
    return evaluate(Benchmark(folder), EvalRequest(model), out / model)


def test_the_oracle_cites_correctly_and_makes_no_error(benchmark_folder: Path, tmp_path: Path) -> None:
    report = scored("oracle", benchmark_folder, tmp_path)
    means = {(row.variant, row.metric): row.mean for row in report.rows if not row.group}
    for variant in VARIANTS:
        assert means[variant, "referral precision"] == means[variant, "referral recall"] == 1
        assert means[variant, "nonexistent rules"] == means[variant, "branching"] == 0
    assert not any(row.metric == "first errors" for row in report.rows)
    assert {d.variant: (d.difference, d.cited == d.gold) for d in report.distributions} == dict.fromkeys(
        VARIANTS, (0, True)
    )


def test_answers_without_reasoning_cite_nothing(text_folder: Path, tmp_path: Path) -> None:
    report = scored("random", text_folder, tmp_path)
    rows = {(row.variant, row.metric + row.member): row for row in report.rows if row.group in ("", "kind")}
    for variant in VARIANTS:
        assert (variant, "referral precision") not in rows
        assert rows[variant, "referral recall"].mean == 0
        assert rows[variant, "branching"].mean is None
        wrong = 1 - (rows[variant, "accuracy"].mean or 0)
        assert rows[variant, "first errorsno condition cited"].mean == pytest.approx(wrong)
    assert sum(row.metric == "first errors" for row in report.rows) == len(VARIANTS)
    assert "branching" not in figures.table({"a": report}), "a line without a value says nothing"


def test_the_terminal_shows_scores_first_and_then_the_other_metrics(
    text_folder: Path, tmp_path: Path
) -> None:
    report = scored("oracle", text_folder, tmp_path)
    first, second = figures.table({"x": report}).split("\n\n")
    assert [line.split()[2:4] for line in first.splitlines()[1:]] == [["accuracy", "(%)"]] * 3
    assert "accuracy" not in second
    head, *lines = (re.split(r"\s{2,}", line) for line in second.splitlines())
    assert head == ["run", "metric", *VARIANTS]
    means = {(row.metric, row.variant): row.mean for row in report.rows if not row.group}
    for _, heading, *shown in lines:
        metric = heading.removesuffix(" (%)")
        assert shown == [SHARE.format(means[metric, variant]) for variant in VARIANTS]
    *tables, note = figures.table({"x": report}, width=60).split("\n\n")
    assert len(tables) == 2 and max(len(line) for text in tables for line in text.splitlines()) <= 60
    assert "do not fit into this terminal (chance, majority, " in note


def usage(variant: str, tokens: float | None, prefill: float | None) -> Usage:
    return Usage(variant, 1, tokens, None, None, prefill, None)


def test_savings_of_a_prompt_without_the_policy() -> None:
    both = savings([usage("internalized", 100, 0.1), usage("in_context", 2000, 0.4), usage("override", 1, 1)])
    assert [(s.what, round(s.share, 3)) for s in both] == [("prompt tokens", 0.95), ("prefill seconds", 0.75)]
    assert str(both[0]) == "prompt tokens: 2000 with the policy, 100 without, a reduction of 95.0 %"
    untimed = [usage("internalized", 100, None), usage("in_context", 2000, None)]
    assert [s.what for s in savings(untimed)] == ["prompt tokens"]
    assert savings(untimed[:1]) == []


def test_no_results_give_no_rows(text_folder: Path) -> None:
    assert list(measure(Results(Benchmark(text_folder)))) == []


def test_units_write_values_with_their_own_scale() -> None:
    assert (SHARE.format(0.613), SHARE.change(-0.0), SHARE.change(0.05)) == ("61.3", "0.0", "+5.0")
    assert Unit("words").format(1234.56) == "1\u202f234.6"
    assert Unit().format(None) == "–" and SHARE.interval(None, None) == "–"


def test_a_metric_without_bounds_ignores_failed_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Metric(name="words", explanation=".", unit=Unit("words"), value=lambda _results, _result: 7.0)
    monkeypatch.setattr(metric, "installed", lambda: {"words": words})
    (row,) = rows_of(results(("a", "one", 1.0), ("b", None, None)), words)
    assert isinstance(row, ReportRow)
    assert (row.mean, row.low, row.high, row.n, row.errors) == (7, None, None, 1, 1)
