"""Chooses the samples that a report shows, and collects what the page shows of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from markupsafe import Markup

from harness import variants
from harness.drawing.instance import Drawings, Shown
from harness.drawing.svg import Drawing
from harness.records import Part
from harness.results import Result, Results, Scored
from harness.seeds import rng

# Samples per variant: enough to see a pattern, few enough for a file that can be mailed.
SHOWN = 48
# Width in pixels of the widest embedded image.
WIDTH = 320
OUTCOMES = ("right", "partly right", "wrong", "unparsed", "failed", "unscored")


@dataclass(frozen=True, slots=True)
class Sample:
    result: Result
    outcome: str
    gold: str
    policy: str
    target: str
    groups: Mapping[str, str]
    # The prompt as sent, as indices of embedded parts.
    prompt: Sequence[int]
    # The images of the query, and its texts with marks, as drawings.
    question: Sequence[Shown]
    # The policy with the correct path and that of the response; None if it has no tree.
    tree: Drawing | None

    @property
    def truncated(self) -> bool:
        return self.result.response.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Gallery:
    samples: Sequence[Sample]
    # Each distinct part of their prompts with its drawing, embedded once, however many samples show it.
    parts: Sequence[tuple[Part, Shown]]
    # Definitions of all images in the drawings.
    symbols: Sequence[Markup]


def outcome(one: Result | Scored) -> str:
    """One of OUTCOMES. A response of any outcome can also be truncated."""
    if one.failed:
        return "failed"
    if one.reason == "unparsed":
        return "unparsed"
    if one.value is None:
        return "unscored"
    return "right" if one.value == 1 else "partly right" if one.value > 0 else "wrong"


def make_gallery(results: Results) -> Gallery:
    """The chosen samples of every variant, with each distinct part of their prompts."""
    numbers: dict[Part, int] = {}
    drawings = Drawings(results, WIDTH)
    samples = [
        _sample(drawings, result, numbers)
        for result in results.full([s for _, members in results.by_variant() for s in choose(members)])
    ]
    parts = [(part, drawings.part(part)) for part in numbers]
    return Gallery(samples, parts, drawings.symbols())


def choose(members: Sequence[Scored]) -> list[Scored]:
    """A random choice in which every outcome has an equal share if possible, so that rare ones are shown.

    The random order of instances is the same for every variant, so that variants show the same instances
    where possible and an image is embedded once.
    """
    buckets: dict[tuple[str, bool], list[int]] = {}
    draws = [rng(0, "gallery", scored.instance, scored.sample).random() for scored in members]
    for place in sorted(range(len(members)), key=draws.__getitem__):
        scored = members[place]
        kind = outcome(scored), scored.truncated
        buckets.setdefault(kind, []).append(place)
    chosen = islice(_round_robin(list(buckets.values())), SHOWN)
    return [members[place] for place in sorted(chosen)]


def _round_robin(buckets: Sequence[Sequence[int]]) -> Iterator[int]:
    for turn in range(max(map(len, buckets), default=0)):
        yield from (bucket[turn] for bucket in buckets if turn < len(bucket))


def _sample(drawings: Drawings, result: Result, numbers: dict[Part, int]) -> Sample:
    instance, variant, results = result.instance, result.variant, drawings.results
    prompt = variants.prompt(instance, variant, results.benchmark.policies, result.score.sample)
    question = drawings.question(instance, variant)
    return Sample(
        result=result,
        outcome=outcome(result),
        gold=results.gold(result),
        policy=variants.policy_id(instance, variant) or "no policy",
        target=variants.target(instance, variant) or instance.target,
        groups=results.groups(result),
        prompt=[numbers.setdefault(part, len(numbers)) for part in (prompt.parts if prompt else ())],
        question=[
            drawing for part, drawing in question if part.kind == "image" or "<mark" in drawing.__html__()
        ],
        tree=drawings.tree(instance, variant, result),
    )
