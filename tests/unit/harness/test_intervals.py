"""Intervals and the sign-flip test: published figures, simulated coverage, and properties."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.records import Cluster, Instance, Part
from harness.stats import significance
from harness.stats.clusters import MIN_POLICIES, cluster, clusters
from harness.stats.intervals import Clusters, estimate, interval, wilson
from harness.stats.significance import LEVEL, sign_flip

HALVES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40)


def by_fours(n: int) -> Clusters:
    return [[index // 4 for index in range(n)]]


def width(values: Sequence[float], shared: Clusters = ()) -> float:
    low, high = interval(values, clusters=shared)
    return high - low


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_independent_answers_have_wilsons_interval(values: list[float]) -> None:
    assert interval(values) == wilson(sum(values), len(values))


@given(HALVES, st.sampled_from([(0.0, 1.0), (0.0, 10.0), (-1.0, 1.0)]), st.data())
def test_an_interval_is_never_a_point_and_contains_the_mean(values, bounds, data) -> None:  # type: ignore[no-untyped-def]
    low, high = bounds
    scaled = [low + (high - low) * value for value in values]
    labels = data.draw(st.lists(st.integers(0, 6), min_size=len(values), max_size=len(values)))
    other = data.draw(st.lists(st.integers(0, 6), min_size=len(values), max_size=len(values)))
    mean = sum(scaled) / len(scaled)
    for shared in ([], [labels], [labels, other]):
        left, right = interval(scaled, bounds, shared)
        assert low <= left <= mean + 1e-9 and mean - 1e-9 <= right <= high and right - left > 1e-3


def test_equal_values_have_a_width_that_depends_on_their_number() -> None:
    ten, hundred = width([0.5] * 10), width([0.5] * 100)
    assert 0.2 < ten < 0.4 and 0.02 < hundred < ten / 5
    assert width([0.5]) > 0.8


@pytest.mark.parametrize("sizes", [[3] * 14, [2] * 7 + [20] * 7, [200, 10, 10]])
@pytest.mark.parametrize("share", [0.33, 0.9])
def test_weights_of_groups_cover_their_mean(sizes: list[int], share: float) -> None:
    """As a macro accuracy weights them, also if a sample has few questions of each category."""
    draws = random.Random(5)
    weights = [sum(sizes) / len(sizes) / size for size in sizes for _ in range(size)]
    drawn = ([float(draws.random() < share) for _ in weights] for _ in range(400))
    covered = [low <= share <= high for low, high in (interval(v, weights=weights) for v in drawn)]
    assert sum(covered) > 0.92 * len(covered)


def test_the_unit_is_the_picture() -> None:
    """160 questions on 40 pictures, 117 right. Wilson's interval is 65.8 to 79.4."""
    per_picture = [4] * 16 + [3] * 12 + [2] * 6 + [1] * 5 + [0]
    values = [float(k < right) for right in per_picture for k in range(4)]
    assert sum(values) == 117 and interval(values) == pytest.approx((0.658, 0.794), abs=0.001)
    low, high = interval(values, clusters=by_fours(160))
    assert (low, high) == pytest.approx((0.637, 0.819), abs=0.02)
    assert 1.25 < (high - low) / width(values) < 1.5
    # If all questions on a picture are answered alike, each picture is one observation.
    assert interval([1.0] * 160, clusters=by_fours(160)) == pytest.approx(wilson(40, 40))


def test_clusters_of_one_instance_change_nothing() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    assert interval(values, clusters=[range(4), range(4)]) == pytest.approx(interval(values))


def test_sharing_a_picture_and_a_policy_counts_once() -> None:
    values = [float(k % 3 > 0) for k in range(160)]
    once, twice = width(values, by_fours(160)), width(values, by_fours(160) * 2)
    assert twice == pytest.approx(once)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20, 50])
def test_intervals_cover_the_mean(n: int) -> None:
    """For answers, halves and fractions; averaged over the true mean."""
    draws, trials, covered = random.Random(n), 1500, {"answers": 0, "halves": 0, "fractions": 0}
    for _ in range(trials):
        p = draws.random()
        answers = [float(draws.random() < p) for _ in range(n)]
        other = [float(draws.random() < p) for _ in range(n)]
        halves = [(a + b) / 2 for a, b in zip(answers, other, strict=True)]
        fractions = [draws.betavariate(0.1 + 3 * p, 3.1 - 3 * p) for _ in range(n)]
        for name, values, mean in (
            ("answers", answers, p),
            ("halves", halves, p),
            ("fractions", fractions, (0.1 + 3 * p) / 3.2),
        ):
            low, high = interval(values)
            covered[name] += low <= mean <= high
    assert min(covered.values()) / trials >= 0.93, covered


@pytest.mark.parametrize(
    ("pictures", "questions", "spread"), [(10, 4, 2.0), (40, 4, 2.0), (40, 4, 50.0), (60, 10, 8.0)]
)
def test_intervals_of_clusters_cover_the_mean(pictures: int, questions: int, spread: float) -> None:
    """The lower the spread of the Beta distribution, the more alike are the questions on one picture."""
    draws, trials, covered, independent = random.Random(1), 600, 0, 0
    labels = [picture for picture in range(pictures) for _ in range(questions)]
    for _ in range(trials):
        shares = [draws.betavariate(0.7 * spread, 0.3 * spread) for _ in range(pictures)]
        values = [float(draws.random() < shares[picture]) for picture in labels]
        for shared in ([labels], []):
            low, high = interval(values, clusters=shared)
            if shared:
                covered += low <= 0.7 <= high
            else:
                independent += low <= 0.7 <= high
    assert covered / trials >= 0.93
    assert spread > 5 or independent / trials < 0.9, "otherwise clusters would not matter here"


def test_values_without_bounds_have_students_interval() -> None:
    mean, low, high = estimate([[1.0], [2.0], [3.0], [None]], None, by_fours(4))
    assert (mean, low, high) == pytest.approx((2, 2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5)) or (low, high) != (
        2,
        2,
    )
    independent = estimate([[1.0], [2.0], [3.0], [None]], None)
    assert independent == pytest.approx((2, 2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5))
    assert estimate([[5.0]], None) == estimate([[5.0], [5.0]], None) == (5, None, None)
    assert estimate([], None) == (None, None, None)


def test_missing_values_are_covered_within_clusters_too() -> None:
    values: list[list[float | None]] = [[1.0]] * 8 + [[None]] * 4
    mean, low, high = estimate(values, clusters=by_fours(12))
    assert mean == 1.0 and low == interval([1.0] * 8 + [0.0] * 4, clusters=by_fours(12))[0] and high == 1.0


def test_what_instances_share() -> None:
    query = (Part("image", "a.png"), Part("text", "?"), Part("image", "b.png"))
    assert cluster(Instance("i", "test", query, {}, "p", "A")) == Cluster("a.png\nb.png", "p")
    assert cluster(Instance("i", "test", (), {}, None, "A")) == Cluster()
    in_words = (Part("text", "The objects in the scene: ..."), Part("text", "?"))
    assert cluster(Instance("i", "test", in_words, {"scene": "s1"}, "p", "A")) == Cluster("s1", "p")
    few = [Cluster("x", str(k % (MIN_POLICIES - 1))) for k in range(20)]
    assert clusters(few) == [["x"] * 20], "fewer policies are a fixed condition"
    many = [Cluster("", str(k % MIN_POLICIES)) for k in range(20)]
    by_image, by_policy = clusters(many)
    assert len(set(by_image)) == 20 and len(set(by_policy)) == MIN_POLICIES


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    [(1, 0, 1), (2, 0, 1 / 2), (4, 0, 1 / 8), (5, 0, 1 / 16), (6, 0, 1 / 32), (9, 1, 22 / 1024)],
)
def test_the_sign_flip_test_of_answers_is_mcnemars(better: int, worse: int, p: float) -> None:
    changes = [1.0] * better + [-1.0] * worse + [0.0] * 7
    assert sign_flip(changes) == pytest.approx(p)
    assert sign_flip([change / 3 for change in changes]) == pytest.approx(p)


@pytest.mark.parametrize(("better", "worse"), [(50, 50), (70, 40), (400, 500), (0, 900)])
def test_mcnemars_test_in_closed_form_equals_the_distribution_of_totals(better: int, worse: int) -> None:
    changes = [1] * better + [-1] * worse
    assert sign_flip(changes) == pytest.approx(significance._exact(changes), rel=1e-9)


def test_the_time_of_the_exact_test_is_not_quadratic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "MAX_STEPS", 1000)
    exact, sampled = sign_flip([2.0, -1.0] * 15), sign_flip([2.0, -1.0] * 20)
    monkeypatch.delattr(significance, "_exact")
    assert sampled == sign_flip([2.0, -1.0] * 20) != exact
    # The normal distribution with a correction for continuity.
    answers = [1.0] * 50_600 + [-1.0] * 49_400
    assert sign_flip(answers) == pytest.approx(math.erfc((1200 - 1) / math.sqrt(2 * 100_000)), rel=0.01)


def test_the_sign_flip_test_needs_changes_and_counts_clusters() -> None:
    assert sign_flip([]) is None and sign_flip([0.0] * 12) == 1
    # Twelve better answers on three pictures are three observations; the larger of two p counts.
    assert sign_flip([1.0] * 12, by_fours(12)) == 1 / 4
    assert sign_flip([1.0] * 12, [range(12), *by_fours(12)]) == 1 / 4


def test_random_signs_agree_with_all_signs() -> None:
    draws = random.Random(2)
    changes = [round(draws.gauss(0.3, 1), 3) for _ in range(40)]
    sampled, exact = sign_flip(changes), sign_flip([1000 * change for change in changes])
    assert sampled == sign_flip(changes) and sampled == pytest.approx(exact, abs=0.02)
    assert sign_flip([1.5 + k / 100 for k in range(40)]) == 1 / 10_001


def test_chance_alone_is_rarely_significant() -> None:
    draws, trials = random.Random(3), 400
    found = 0
    for _ in range(trials):
        moods = [draws.choice([-1, 0, 1]) for _ in range(20)]
        changes = [float(mood * (draws.random() < 0.8)) for mood in moods for _ in range(4)]
        p = sign_flip(changes, by_fours(80))
        found += p is not None and p <= LEVEL
    assert found / trials <= 0.07
