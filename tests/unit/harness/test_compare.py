"""Comparing runs: which runs are matched, the coverage of paired intervals, and the page."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.compare.differences import Comparison, compare
from harness.compare.page import markdown, render, table, write_comparison
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Cluster, Run, Score
from harness.request import EvalRequest
from harness.run import evaluate

Values = Sequence[float | None]


def write(
    folder: Path,
    values: Mapping[str, Values] | Values,
    *,
    name: str = "bench",
    digest: str = "d1",
    variant: str = "internalized",
    limit: int | None = None,
    samples: int = 1,
    sampling: Mapping[str, object] | None = None,
    parts: Sequence[Mapping[str, float]] = (),
    values_of: Sequence[Mapping[str, float]] = (),
    pictures: int | None = None,
    sampled: bool = False,
) -> Path:
    """A run's folder with one value per instance, or with several samples by instance."""
    if not isinstance(values, Mapping):
        values = {f"q{i}": [value] for i, value in enumerate(values)}
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        f"/b/{name}",
        digest,
        "",
        "f",
        f"hf:{folder.name}",
        "test",
        (variant,),
        limit,
        samples,
        sampling or {},
        sampled=sampled,
    )
    scores = [
        Score(i, variant, k, value, None if value is not None else "request failed: busy")
        for i, sampled in values.items()
        for k, value in enumerate(sampled)
    ]
    if parts:
        scores = [replace(s, parts=dict(p)) for s, p in zip(scores, parts, strict=True)]
    if values_of:
        scores = [replace(s, values=dict(v)) for s, v in zip(scores, values_of, strict=True)]
    if pictures:
        scores = [replace(s, cluster=Cluster(f"{k % pictures}.png", "p")) for k, s in enumerate(scores)]
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    (folder / "scores.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(scores))
    return folder


def test_identical_runs_have_no_difference(tmp_path: Path) -> None:
    values = [float(i % 3 == 0) for i in range(50)]
    base, same = write(tmp_path / "base", values), write(tmp_path / "same", values)
    (one,) = compare(base, [same]).differences
    assert (one.difference, one.p, one.n) == (0, 1, 50)
    assert one.low == -one.high and 0.05 < one.high < 0.1
    assert (one.better, one.worse, one.mark) == (0, 0, "")


def test_a_shift_is_marked_both_ways(tmp_path: Path) -> None:
    low = write(tmp_path / "low", [float(i % 4 == 0) for i in range(80)])
    high = write(tmp_path / "high", [float(i % 4 != 1) for i in range(80)])
    (up,) = compare(low, [high]).differences
    (down,) = compare(high, [low]).differences
    assert (up.difference, up.mark, up.better, up.worse) == (0.5, "better", 40, 0)
    assert (down.difference, down.mark) == (-0.5, "worse")
    assert up.base_mean == 0.25 and up.tuned_mean == 0.75
    assert 0 < up.low < 0.5 < up.high < 1
    assert compare(low, [high]) == compare(low, [high]), "the interval is seeded"


def test_the_paired_interval_covers_the_true_difference(tmp_path: Path) -> None:
    """Most instances keep their score, so pairing makes the interval much narrower."""
    draws, trials, covered, width = random.Random(5), 300, 0, 0.0
    for trial in range(trials):
        before = [float(draws.random() < 0.5) for _ in range(150)]
        # P(right stays right) = 0.8, P(wrong becomes right) = 0.36, so the accuracy changes from 0.5 to 0.58.
        after = [float(draws.random() < (0.8 if value else 0.36)) for value in before]
        write(tmp_path / "base" / str(trial), before, digest=str(trial))
        write(tmp_path / "tuned" / str(trial), after, digest=str(trial))
    for one in compare(tmp_path / "base", [tmp_path / "tuned"]).differences:
        covered += one.low <= 0.08 <= one.high
        width += (one.high - one.low) / trials
    assert 0.915 <= covered / trials <= 0.98
    # Unpaired it would be 2 * 1.96 * sqrt(2 * 0.25 / 150) = 0.226.
    assert width < 0.18


def test_mcnemar_is_exact(tmp_path: Path) -> None:
    base = write(tmp_path / "base", [1.0] + [0.0] * 9 + [1.0] * 5)
    tuned = write(tmp_path / "tuned", [0.0] + [1.0] * 9 + [1.0] * 5)
    (one,) = compare(base, [tuned]).differences
    assert one.p == pytest.approx(2 * (1 + 10) / 2**10)


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (2, 0.5), (4, 0.125), (5, 0.0625), (6, 0.03125)])
def test_a_few_better_instances_are_never_a_point_nor_better_by_chance(
    tmp_path: Path, n: int, p: float
) -> None:
    base, tuned = write(tmp_path / "base", [0.0] * n), write(tmp_path / "tuned", [1.0] * n)
    for pair, mark in (((base, tuned), "better"), ((tuned, base), "worse")):
        (one,) = compare(pair[0], [pair[1]]).differences
        assert (abs(one.difference or 0), one.p) == (1, pytest.approx(p))
        assert one.low is not None and one.high is not None and one.high - one.low > 0.3
        assert one.mark == (mark if p <= 0.05 else "") and (one.low <= 0 <= one.high) == (p > 0.05)
        assert "+100.0 to +100.0" not in table(compare(pair[0], [pair[1]]))


def test_twelve_ties_leave_a_difference_possible(tmp_path: Path) -> None:
    base, same = (write(tmp_path / name, [1.0, 0.0, 0.5] * 4) for name in ("base", "same"))
    (one,) = compare(base, [same]).differences
    assert (one.difference, one.p, one.mark) == (0, 1, "")
    assert one.low == -one.high and one.high == pytest.approx(0.27, abs=0.02)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=30), st.integers(0, 9))
def test_no_mark_stands_beside_a_large_p(changes: list[float], pictures: int) -> None:
    with TemporaryDirectory() as folder:
        base = write(Path(folder) / "base", [max(0.0, -change) for change in changes], pictures=pictures)
        tuned = write(Path(folder) / "tuned", [max(0.0, change) for change in changes], pictures=pictures)
        (one,) = compare(base, [tuned]).differences
    assert one.low is not None and one.high is not None and one.difference is not None and one.p is not None
    assert one.low <= one.difference <= one.high and one.high - one.low > 0.01
    assert not one.mark or (one.p <= 0.05 and not one.low <= 0 <= one.high)


def test_questions_that_share_a_picture_are_one_observation(tmp_path: Path) -> None:
    """On each of 12 pictures, all questions change alike: 9 pictures become better, and 3 become worse."""
    base = [float(k % 12 >= 9) for k in range(96)]
    tuned = [1.0 - value for value in base]
    apart, together = (
        compare(
            write(tmp_path / name / "base", base, pictures=pictures),
            [write(tmp_path / name / "tuned", tuned, pictures=pictures)],
        ).differences[0]
        for name, pictures in (("apart", None), ("together", 12))
    )
    assert apart.difference == together.difference == 0.5
    assert apart.mark == "better" and (together.mark, together.p) == ("", pytest.approx(598 / 4096))
    assert together.low is not None and apart.low is not None and together.low <= 0 < apart.low


def test_metrics_without_bounds_need_two_different_changes(tmp_path: Path) -> None:
    base = write(tmp_path / "base", [0.0] * 3, values_of=[{"seconds": 1.0}] * 3)
    tuned = write(tmp_path / "tuned", [0.0] * 3, values_of=[{"seconds": 2.0}] * 3)
    _, same = compare(base, [tuned]).differences
    assert (same.metric, same.difference, same.low, same.high, same.mark) == ("seconds", 1, None, None, "")
    comparison = compare(base, [tuned])
    assert "–" in table(comparison) and "<svg" in render(comparison)
    other = write(tmp_path / "other", [0.0] * 3, values_of=[{"seconds": 1.0 + k} for k in range(3)])
    _, wide = compare(base, [other]).differences
    assert wide.low == pytest.approx(1 - 4.303 / 3**0.5) and wide.low < 0 < 1 < wide.high  # type: ignore[operator]


def test_a_first_n_run_is_not_compared_with_a_random_sample(tmp_path: Path) -> None:
    values = [0.0, 1.0]
    base, tuned = (
        write(tmp_path / name, values, limit=2, sampled=sampled)
        for name, sampled in (("a", False), ("b", True))
    )
    with pytest.raises(UserError, match=r"limit 2 \(the first\), .* has 2 \(a random sample\)"):
        compare(base, [tuned])
    again = write(tmp_path / "c", values, limit=2, sampled=True)
    assert "bench, sample of 2" in table(compare(tuned, [again]))


def test_samples_are_averaged_for_each_instance_first(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"a": [1.0, 0.0], "b": [0.0, 0.0]}, samples=2)
    tuned = write(tmp_path / "tuned", {"a": [1.0] * 3 + [0.0], "b": [1.0, 0, 0, 0]}, samples=4)
    (one,) = compare(base, [tuned]).differences
    assert (one.base_mean, one.tuned_mean, one.n) == (0.25, 0.5, 2)
    assert (one.difference, one.p) == (0.25, 0.5)


def test_incomplete_instances_are_named_and_widen_the_interval(tmp_path: Path) -> None:
    right = [1.0] * 20
    base = write(tmp_path / "base", [0.0] * 20)
    (complete,) = compare(base, [write(tmp_path / "complete", right)]).differences
    assert 0.5 < complete.low < complete.high == 1
    failed = write(tmp_path / "failed", [None, None, *right[2:]])
    (one,) = compare(base, [failed]).differences
    assert (one.n, one.difference, one.incomplete) == (18, 1, ("q0", "q1"))
    assert one.low < complete.low and one.high == 1
    # Missing on the other side, and nothing known: the interval spans everything and is not marked.
    short, none = write(tmp_path / "short", right[:15]), write(tmp_path / "none", [None] * 20)
    (missing,) = compare(short, [base]).differences
    assert missing.incomplete == tuple(f"q{i}" for i in range(15, 20))
    assert missing.low == missing.difference == -1 < missing.high < 0
    (unknown,) = compare(base, [none]).differences
    assert (unknown.difference, unknown.high, unknown.mark) == (None, 1, "") and unknown.low < 0
    shown = table(compare(base, [failed]))
    assert "2 instances are missing, failed or unscored" in shown and "q0, q1" in shown
    many = compare(write(tmp_path / "first", right[:8]), [base])
    assert "q8, q9, q10, q11, q12 and 7 more" in table(many)
    assert "q19" in render(many) and "q19" in markdown(many)


def test_a_sample_that_failed_makes_its_instance_incomplete(tmp_path: Path) -> None:
    base = write(tmp_path / "base", {"a": [0.0, 0.0]}, samples=2)
    tuned = write(tmp_path / "tuned", {"a": [1.0, None]}, samples=2)
    (one,) = compare(base, [tuned]).differences
    assert (one.difference, one.high, one.incomplete) == (1, 1, ("a",)) and one.low < 0


def test_each_part_of_a_score_is_compared_as_a_metric(tmp_path: Path) -> None:
    base = write(tmp_path / "base", [0.5, 1.0, 0.0], parts=[{"tool": 1.0}, {"tool": 1.0}, {}])
    tuned = write(tmp_path / "tuned", [0.5, 1.0, 0.0], parts=[{"tool": 0.0}, {}, {}])
    accuracy, tool = compare(base, [tuned]).differences
    assert (accuracy.metric, accuracy.difference) == ("accuracy", 0)
    # The second was scored without the part, as unparsed responses are; the third has it on neither side.
    assert (tool.metric, tool.n, tool.difference, tool.incomplete) == ("part: tool", 2, -1, ())


def test_runs_are_found_matched_and_listed(tmp_path: Path) -> None:
    values = [0.0, 1.0] * 5
    for side in ("base", "tuned"):
        write(tmp_path / side / "target", values)
        write(tmp_path / side / "general" / "mmlu-pro", values, name="mmlu-pro-0123456789abcdef", digest="d2")
    write(tmp_path / "base" / "other", values, name="other", digest="d3")
    write(tmp_path / "tuned" / "other", values, name="other", digest="d4")
    write(tmp_path / "base" / "few", values, digest="d5", limit=10)
    write(tmp_path / "tuned" / "few", values, digest="d5", limit=5)
    write(tmp_path / "tuned" / "unfinished", values, digest="d6")
    (tmp_path / "tuned" / "unfinished" / "scores.jsonl").unlink()
    comparison = compare(tmp_path / "base", [tmp_path / "tuned"])
    assert [d.benchmark for d in comparison.differences] == ["mmlu-pro", "bench"]
    why = {Path(u.run).relative_to(tmp_path).as_posix(): u.reason for u in comparison.unmatched}
    assert why.keys() == {"base/other", "base/few", "tuned/unfinished"}
    assert "digest d3" in why["base/other"] and "d4" in why["base/other"]
    assert "limit 10" in why["base/few"] and "has 5" in why["base/few"]
    assert "unfinished" in why["tuned/unfinished"]
    assert all(u.run in table(comparison) and u.run in render(comparison) for u in comparison.unmatched)
    # A narrow table keeps what distinguishes its lines.
    head, *lines = (re.split(" {2,}", line) for line in table(comparison, width=70).splitlines()[:5])
    assert head[:3] == ["benchmark", "variant", "metric"] and "tuned run" not in head
    assert [line[0] for line in lines if line[0]] == ["mmlu-pro", "bench"]


def test_a_folder_with_other_content_is_refused(tmp_path: Path) -> None:
    comparison = compare(write(tmp_path / "base", [0.0, 1.0]), [write(tmp_path / "tuned", [1.0, 1.0])])
    for _ in range(2):
        write_comparison(comparison, tmp_path / "out")
    (notes := tmp_path / "mine" / "compare.md").parent.mkdir()
    notes.write_text("my notes")
    with pytest.raises(UserError, match="out: expected a new folder, or one of an earlier comparison"):
        write_comparison(comparison, notes.parent)
    assert notes.read_text() == "my notes"


def test_a_reason_is_given_once_for_all_variants_and_both_runs(tmp_path: Path) -> None:
    base, tuned = tmp_path / "base" / "all", tmp_path / "tuned" / "five"
    for run, limit in ((base, None), (tuned, 5)):
        scores = b""
        for variant in ("internalized", "in_context", "override"):
            write(run, [1.0], variant=variant, limit=limit)
            scores += (run / "scores.jsonl").read_bytes()
        (run / "scores.jsonl").write_bytes(scores)
    said = (
        f"{base}: internalized, in_context and override of bench have limit none, {tuned} has 5 (the first)"
    )
    with pytest.raises(UserError) as error:
        compare(base, [tuned])
    assert str(error.value).endswith(f"got none. {said}")
    # Another run, to which the same run is the most similar one, is named as well.
    ten = write(tmp_path / "base" / "ten", [1.0], limit=10)
    for side in ("base", "tuned"):
        write(tmp_path / side / "same", [1.0], digest="d2")
    unmatched = compare(tmp_path / "base", [tmp_path / "tuned"]).unmatched
    assert [u.run for u in unmatched] == [str(base), str(ten)]
    assert f"Not compared: {said}." in table(compare(tmp_path / "base", [tmp_path / "tuned"]))


def test_metrics_with_the_same_incomplete_instances_share_a_note(tmp_path: Path) -> None:
    parts = [{"tool": 1.0, "arguments": 1.0}] * 3
    base = write(tmp_path / "base", [1.0] * 3, parts=parts)
    tuned = write(tmp_path / "tuned", [1.0, 1.0, None], parts=[*parts[:2], {}])
    comparison = compare(base, [tuned])
    assert len(comparison.differences) == 3 and all(d.incomplete == ("q2",) for d in comparison.differences)
    note = "bench, internalized, accuracy, part: arguments and part: tool"
    for shown in (table(comparison), render(comparison), markdown(comparison)):
        assert note in shown and shown.count("1 instance is missing, failed or unscored") == 1


def test_different_sampling_settings_are_a_warning(tmp_path: Path) -> None:
    """With a lower token limit, a model seems to have forgotten something."""
    write(tmp_path / "base", [1.0, 1.0], sampling={"max_new_tokens": 1024, "batch_size": 8})
    write(tmp_path / "tuned", [0.0, 0.0], sampling={"max_new_tokens": 32, "batch_size": 16})
    comparison = compare(tmp_path / "base", [tmp_path / "tuned"])
    [warning] = comparison.warnings
    assert "max_new_tokens 1024" in warning and "has 32" in warning
    assert warning in table(comparison) and warning in render(comparison)


def test_there_is_no_headline_if_a_setting_has_two_runs(tmp_path: Path) -> None:
    for side in ("base", "tuned"):
        for prompt, score in (("cot", 1.0), ("direct", 0.0)):
            write(tmp_path / side / f"s-{prompt}", [score], name="mmmu-pro-standard10", digest=f"s-{prompt}")
            write(tmp_path / side / f"v-{prompt}", [score], name="mmmu-pro-vision", digest=f"v-{prompt}")
    found = compare(tmp_path / "base", [tmp_path / "tuned"]).differences
    assert len(found) == 4 and not any("headline" in d.benchmark for d in found)


def test_the_headline_of_mmmu_pro_is_the_mean_of_two_settings(tmp_path: Path) -> None:
    key = "0123456789abcdef"
    for side, standard, vision in (
        ("base", [1.0, 1.0, 0.0, 0.0], [1.0, 0, 0, 0]),
        ("tuned", [1.0] * 4, [0.0] * 4),
    ):
        write(tmp_path / side / "s", standard, name=f"mmmu-pro-standard10-{key}", digest="d1")
        write(tmp_path / side / "v", vision, name=f"mmmu-pro-vision-{key}", digest="d2")
    *_, headline = compare(tmp_path / "base", [tmp_path / "tuned"]).differences
    assert headline.benchmark == "mmmu-pro (headline)"
    assert (headline.base_mean, headline.tuned_mean, headline.n) == (0.375, 0.5, 4)
    assert headline.incomplete == ()
    write(tmp_path / "tuned" / "v", [0.0] * 3, name=f"mmmu-pro-vision-{key}", digest="d2")
    *_, short = compare(tmp_path / "base", [tmp_path / "tuned"]).differences
    assert short.incomplete == ("q3",) and short.n == 4
    alone = compare(tmp_path / "base" / "s", [tmp_path / "tuned" / "s"])
    assert [d.benchmark for d in alone.differences] == ["mmmu-pro-standard10"]


@pytest.mark.parametrize("case", ["empty", "digest", "twice", "none"])
def test_runs_that_cannot_be_compared_are_an_error(tmp_path: Path, case: str) -> None:
    values = [0.0, 1.0]
    base = write(tmp_path / "base", values)
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    if case == "digest":
        write(tuned / "run", values, digest="d2")
    if case == "twice":
        write(tuned / "one", values)
        write(tuned / "two", values)
    messages = {
        "empty": "expected the folder of a run, or a folder that contains runs",
        "digest": "digest d1, .*run has d2: different questions",
        "twice": "one and .*two both contain internalized of bench; give the one",
        "none": "expected at least one run to compare with",
    }
    with pytest.raises(UserError, match=messages[case]):
        compare(base, [] if case == "none" else [tuned])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"values": [5.0]}, r"scores.jsonl, line 1: value: expected a number of at most 1"),
        ({"values": [1e308]}, r"scores.jsonl, line 1: value: expected a number of at most 1"),
        ({"values": [1.0], "parts": [{"tool": -2.0}]}, r"line 1: parts.*: expected a number of at least 0"),
        ({"values": [1.0], "values_of": [{"referral recall": 5.0}]},
         r"scores.jsonl: referral recall: expected values from 0 to 1, got 5; run the same `harness eval`"),
    ],
)  # fmt: skip
def test_scores_that_no_metric_has_are_an_error(tmp_path: Path, bad: Any, message: str) -> None:
    base, tuned = write(tmp_path / "base", [0.5]), write(tmp_path / "tuned", **bad)
    with pytest.raises(UserError, match=message):
        compare(base, [tuned])


HOSTILE = "<script>alert(1)</script>\x1b[31m|`[x](http://x.example)$a_b$&"


def test_hostile_names_are_escaped_everywhere(tmp_path: Path) -> None:
    bad = HOSTILE.replace("/", "")
    values: dict[str, Values] = {f"{HOSTILE}{i}": [float(i % 2)] for i in range(4)}
    base = write(tmp_path / bad / "base", values, name=bad, parts=[{HOSTILE: 1.0}] * 4)
    tuned = write(tmp_path / bad / "tuned", {**values, f"{HOSTILE}9": [None]}, name=bad)
    write(tmp_path / bad / "more" / "a", values, name=bad)
    write(tmp_path / bad / "more" / "b", values, name=bad, digest=HOSTILE)
    comparison = compare(base, [tuned, tmp_path / bad / "more"])
    page, text, shown = render(comparison), markdown(comparison), table(comparison)
    assert comparison.unmatched
    assert {d.metric for d in comparison.differences} == {"accuracy", f"part: {HOSTILE}"}
    assert "<script" not in page.lower() and "&lt;script&gt;" in page
    assert "<script" not in text.replace("\\<", "") and "\\`\\[x\\](http" in text
    assert not any("\x1b" in output for output in (page, text, shown))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {13}


def test_the_command_prints_a_table_and_writes_three_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = write(tmp_path / "base", [float(i % 2) for i in range(60)])
    tuned = write(tmp_path / "tuned", [float(i % 5 != 0) for i in range(60)])
    cli.compare(base, (tuned,), out=tmp_path / "out")
    printed = capsys.readouterr().out
    assert store.read_json(tmp_path / "out" / "compare.json", Comparison) == compare(base, [tuned])
    assert "+30.0" in printed and "better" in printed
    page = (tmp_path / "out" / "compare.html").read_text()
    # A plot is as wide as the screen and has little detail, so that a phone shows all of it legibly.
    assert "min-width: 36rem" not in page
    assert all(float(width) < 480 for width in re.findall(r'viewBox="0 0 ([\d.]+) [\d.]+"', page))
    assert "+30.0" in page and page.count("<svg") > 1 and 'http-equiv="Content-Security-Policy"' in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert "+30.0" in (tmp_path / "out" / "compare.md").read_text()


def test_scores_of_two_scorers_are_not_compared(text_folder: Path, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("base", "tuned")]
    for run in runs:
        evaluate(Benchmark(text_folder), EvalRequest("oracle", limit=4), run)
    comparison = compare(runs[0], [runs[1]])
    assert comparison.differences and not comparison.warnings
    for run in runs:
        old = (run / "scores.jsonl").read_text()
        (run / "scores.jsonl").write_text(re.sub(r',"cluster":\[[^]]*\]', "", old))
        assert (run / "scores.jsonl").read_text() != old
    [warning] = compare(runs[0], [runs[1]]).warnings
    assert "old version" in warning and "harness eval" in warning
    report = runs[1] / "report.json"
    report.write_text(report.read_text().replace('"exact-match/', '"another-match/'))
    with pytest.raises(UserError, match="scorer 'exact-match/"):
        compare(runs[0], [runs[1]])
