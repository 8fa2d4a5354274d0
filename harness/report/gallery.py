"""Chooses the samples that a report shows, and collects what the page shows of each."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.results import Result, Results
from harness.seeds import rng

# Samples per variant: enough to see a pattern, few enough for a file that can be mailed.
SHOWN = 48
# Width in pixels of the widest embedded image.
WIDTH = 320
# Height in pixels of the highest embedded image: JPEG has a limit.
MAX_HEIGHT = 10 * WIDTH
OUTCOMES = ("right", "partly right", "wrong", "unparsed", "failed", "unscored")


@dataclass(frozen=True, slots=True)
class Sample:
    result: Result
    outcome: str
    gold: str
    policy: str
    target: str
    groups: Mapping[str, str]
    # The prompt as sent, and the images of the query alone, as indices of embedded parts.
    prompt: Sequence[int]
    pictures: Sequence[int]

    @property
    def truncated(self) -> bool:
        return self.result.response.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A part of a prompt in the page. It is embedded once, however many samples show it."""

    part: Part
    uri: str = ""
    width: int = 0
    height: int = 0
    # Why an image cannot be shown.
    error: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    samples: Sequence[Sample]
    parts: Sequence[Embedded]


def outcome(result: Result) -> str:
    """One of OUTCOMES. A response of any outcome can also be truncated."""
    if result.response.error is not None:
        return "failed"
    if result.score.reason == "unparsed":
        return "unparsed"
    if result.score.value is None:
        return "unscored"
    return "right" if result.score.value == 1 else "partly right" if result.score.value > 0 else "wrong"


def make_gallery(results: Results) -> Gallery:
    """The chosen samples of every variant, with each distinct part of their prompts."""
    numbers: dict[Part, int] = {}
    samples = [
        _sample(results, result, numbers) for _, members in results.by_variant() for result in choose(members)
    ]
    return Gallery(samples, [_embed(results.benchmark, part) for part in numbers])


def choose(members: Sequence[Result]) -> list[Result]:
    """A random choice in which every outcome has an equal share if possible, so that rare ones are shown.

    The random order of instances is the same for every variant, so that variants show the same instances
    where possible and an image is embedded once.
    """
    buckets: dict[tuple[str, bool], list[Result]] = {}
    for result in sorted(members, key=_random_order):
        cut = result.response.finish_reason == "length"
        buckets.setdefault((outcome(result), cut), []).append(result)
    chosen = [result for _, result in zip(range(SHOWN), _round_robin(list(buckets.values())), strict=False)]
    places = {result.score.key: place for place, result in enumerate(members)}
    return sorted(chosen, key=lambda result: places[result.score.key])


def _random_order(result: Result) -> float:
    return rng(0, "gallery", result.instance.id, result.score.sample).random()


def _round_robin(buckets: Sequence[Sequence[Result]]) -> Iterator[Result]:
    for turn in range(max(map(len, buckets), default=0)):
        yield from (bucket[turn] for bucket in buckets if turn < len(bucket))


def _sample(results: Results, result: Result, numbers: dict[Part, int]) -> Sample:
    instance, variant = result.instance, result.variant
    prompt = variants.prompt(instance, variant, results.benchmark.policies, result.score.sample)
    parts = prompt.parts if prompt else ()
    return Sample(
        result=result,
        outcome=outcome(result),
        gold=results.gold(result),
        policy=variants.policy_id(instance, variant) or "no policy",
        target=variants.target(instance, variant) or instance.target,
        groups=results.groups(result),
        prompt=[numbers.setdefault(part, len(numbers)) for part in parts],
        pictures=[numbers[part] for part in instance.query if part.kind == "image" and part in numbers],
    )


def _embed(benchmark: Benchmark, part: Part) -> Embedded:
    if part.kind != "image":
        return Embedded(part)
    try:
        picture = benchmark.image(part.value)
    except UserError as error:
        # Without the folder, because the page may be published.
        return Embedded(part, error=str(error).replace(f"{benchmark.folder}/", ""))
    width, height = picture.size
    picture.thumbnail((WIDTH, MAX_HEIGHT), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return Embedded(part, uri, width, height)
