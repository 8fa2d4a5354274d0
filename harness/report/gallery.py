"""Which samples a report shows, and what it shows of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from harness import variants
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.results import Result, Results
from harness.seeds import rng

SHOWN = 48
"""Samples for each variant: enough to see a pattern, few enough for a file that can be mailed."""
WIDTH = 320
"""Pixels across the widest embedded picture."""
OUTCOMES = ("right", "partly right", "wrong", "unparsed", "failed", "unscored")


@dataclass(frozen=True, slots=True)
class Sample:
    result: Result
    outcome: str
    gold: str
    policy: str
    target: str
    groups: Mapping[str, str]
    prompt: Sequence[int]
    """The prompt as sent: numbers of embedded parts."""
    pictures: Sequence[int]
    """The query's own images, without the policy's."""

    @property
    def truncated(self) -> bool:
        return self.result.response.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A part of a prompt as the page carries it, once however many samples show it."""

    part: Part
    uri: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Gallery:
    samples: Sequence[Sample]
    parts: Sequence[Embedded]


def outcome(result: Result) -> str:
    """One of OUTCOMES; whether the response was also cut off is a matter apart."""
    if result.response.error is not None:
        return "failed"
    if result.score.reason == "unparsed":
        return "unparsed"
    if result.score.value is None:
        return "unscored"
    return "right" if result.score.value == 1 else "partly right" if result.score.value > 0 else "wrong"


def make_gallery(results: Results) -> Gallery:
    """The chosen samples of every variant, and each distinct part of their prompts."""
    numbers: dict[Part, int] = {}
    samples = [
        _sample(results.benchmark, result, numbers)
        for _, members in results.by_variant()
        for result in choose(members)
    ]
    return Gallery(samples, [_embed(results.benchmark, part) for part in numbers])


def choose(members: Sequence[Result]) -> list[Result]:
    """Every outcome gets an equal share as far as it goes, so that rare ones are there to be looked at.

    By lot, but the same lot for an instance under every variant: variants show the same instances where
    they can, and a picture is embedded once.
    """
    buckets: dict[tuple[str, bool], list[Result]] = {}
    for result in sorted(members, key=_lot):
        cut = result.response.finish_reason == "length"
        buckets.setdefault((outcome(result), cut), []).append(result)
    chosen = [result for _, result in zip(range(SHOWN), _in_turn(list(buckets.values())), strict=False)]
    places = {result.score.key: place for place, result in enumerate(members)}
    return sorted(chosen, key=lambda result: places[result.score.key])


def _lot(result: Result) -> float:
    return rng(0, "gallery", result.instance.id, result.score.sample).random()


def _in_turn(buckets: Sequence[Sequence[Result]]) -> Iterator[Result]:
    for turn in range(max(map(len, buckets), default=0)):
        yield from (bucket[turn] for bucket in buckets if turn < len(bucket))


def _sample(benchmark: Benchmark, result: Result, numbers: dict[Part, int]) -> Sample:
    instance, variant = result.instance, result.variant
    prompt = variants.prompt(instance, variant, benchmark.policies, result.score.sample)
    parts = prompt.parts if prompt else ()
    return Sample(
        result=result,
        outcome=outcome(result),
        gold=benchmark.family_of(instance).gold(instance, variant),
        policy=variants.policy_id(instance, variant) or "no policy",
        target=variants.target(instance, variant) or instance.target,
        groups=benchmark.family_of(instance).groups(instance, variant),
        prompt=[numbers.setdefault(part, len(numbers)) for part in parts],
        pictures=[numbers[part] for part in instance.query if part.kind == "image" and part in numbers],
    )


def _embed(benchmark: Benchmark, part: Part) -> Embedded:
    if part.kind == "text":
        return Embedded(part)
    picture = benchmark.image(part.value)
    width, height = picture.size
    if width > WIDTH:
        picture = picture.resize((WIDTH, max(1, round(height * WIDTH / width))), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Embedded(part, uri, width, height)
