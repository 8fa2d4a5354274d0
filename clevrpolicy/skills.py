"""clevr-skills: what a model can see in a scene without any policy, to measure what training made it forget.

Three questions a scene: list its objects, is there such an object, how many are there. Answers are balanced,
and independent of the question's words, so that nothing but the picture tells them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clevrpolicy.dataset import workers as produce
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.dataset.quotas import TRIES, Content
from clevrpolicy.dataset.workers import SceneJob
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from clevrpolicy.scene.placement import split_of
from clevrpolicy.scene.render import VERSION
from harness.errors import UserError
from harness.family import Family
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.parsing import FORMAT, boxed, plain, unwrapped
from harness.records import Grade, Instance, Part
from harness.seeds import rng
from harness.variants import Variant

FAMILY = "clevr-skills"
COUNTS = ("0", "1", "2", "3", "4")
ANSWERS: dict[str, tuple[str, ...]] = {"list": (), "exists": ("no", "yes"), "count": COUNTS}
"""By skill; lists cannot be listed."""
SEPARATOR = "; "
LIST = (
    "List every object in this scene, each as size color material shape (such as small red metal cube), "
    "separated by semicolons."
)


@dataclass(frozen=True)
class SkillsConfig:
    """How many scenes, and how they look."""

    scenes: int = 200
    """Of the test split; each is asked about three times."""
    train: int = 50
    """Scenes of the training split, which tells the most frequent answers."""
    min_objects: int = 3
    max_objects: int = 10
    width: int = 480
    """Of the pictures, in pixels."""
    height: int = 320
    seed: int = 0
    """Another seed shares nothing with this one."""

    def __post_init__(self) -> None:
        most = len(COUNTS) - 1
        for name, least, greatest in (
            ("scenes", 1, 10**6),
            ("train", 0, 10**6),
            ("min_objects", 1, 10),
            ("max_objects", max(most, self.min_objects), 10),
            ("width", 64, 4096),
            ("height", 64, self.width),
        ):
            if not least <= getattr(self, name) <= greatest:
                raise UserError(f"{name}: expected {least}..{greatest}, got {getattr(self, name)}")


def generate(out: Path, config: SkillsConfig, workers: int) -> Manifest:
    """Makes the benchmark in out, or goes on with an interrupted one of the same configuration."""
    begun = BenchmarkSpec(FAMILY, msgspec.to_builtins(config), {"renderer": VERSION})
    finished = benchmark.begin(out, begun)
    if finished is not None:
        return finished
    asked = {split: list(_asked(config, split)) for split in ("train", "test")}
    jobs = [
        SceneJob(a.image, config.seed, a.scene_id, index, split, a.kinds, config.width, config.height)
        for split, scenes in asked.items()
        for index, a in enumerate(scenes)
    ]
    done = produce.produce(out, jobs, workers)
    store.write_lines(out / benchmark.POLICIES, ())
    store.write_lines(out / SCENES, (d.scene for d in done.values()))
    for split, scenes in asked.items():
        instances = (instance for a in scenes for instance in a.instances(split))
        store.write_lines(out / benchmark.instances_file(split), instances)
    return benchmark.seal(out, begun)


@dataclass(frozen=True, slots=True)
class Asked:
    """A scene by its content, and what is asked about it."""

    scene_id: str
    kinds: Content
    sought: str
    """Such as "small cyan cube"."""
    exists: str
    counted: str
    """Such as "red objects"."""
    count: int

    @property
    def image(self) -> str:
        return f"images/{self.scene_id}.png"

    def instances(self, split: str) -> Iterator[Instance]:
        questions = {
            "list": (LIST, SEPARATOR.join(map(str, sorted(self.kinds)))),
            "exists": (f"Is there a {self.sought} in this scene? Answer yes or no.", self.exists),
            "count": (f"How many {self.counted} are in this scene? Answer with a number.", str(self.count)),
        }
        for skill, (question, target) in questions.items():
            yield Instance(
                id=f"{self.scene_id}-{skill}",
                split=split,
                query=(Part("image", self.image), Part("text", f"{question} {FORMAT}")),
                facts={"scene": self.scene_id, "skill": skill},
                policy_id=None,
                target=target,
            )


def _asked(config: SkillsConfig, split: str) -> Iterator[Asked]:
    draw = rng(config.seed, FAMILY, split)
    used: set[Content] = set()
    for index in range(config.scenes if split == "test" else config.train):
        count, exists = index % len(COUNTS), index % 2 == 1
        for _ in range(TRIES):
            wanted, kinds = _content(draw, count, config)
            if split_of(kinds) == split and tuple(sorted(kinds)) not in used:
                break
        else:
            raise UserError(
                f"{split}: expected more different scenes than exist with {config.min_objects}.."
                f"{config.max_objects} objects; ask for fewer, allow more objects, or take another --seed"
            )
        used.add(tuple(sorted(kinds)))
        sought = _sought(draw, kinds, exists)
        yield Asked(f"{split}-{index:06d}", kinds, sought, "yes" if exists else "no", _plural(wanted), count)


def _content(draw: random.Random, count: int, config: SkillsConfig) -> tuple[dict[str, str], Content]:
    """A description by one or two attributes, and a scene with just so many objects that meet it."""
    names = draw.sample(sorted(ATTRIBUTES), draw.randint(1, 2))
    wanted = {name: draw.choice(ATTRIBUTES[name]) for name in ATTRIBUTES if name in names}
    meeting = [kind for kind in KINDS if all(getattr(kind, name) == wanted[name] for name in wanted)]
    others = [kind for kind in KINDS if kind not in meeting]
    total = draw.randint(max(config.min_objects, count), config.max_objects)
    kinds = draw.choices(meeting, k=count) + draw.choices(others, k=total - count)
    draw.shuffle(kinds)
    return wanted, tuple(kinds)


def _sought(draw: random.Random, kinds: Content, exists: bool) -> str:
    """Size, color and shape of an object that is there; or one attribute away from one, and not there."""
    seen = {_short(kind) for kind in kinds}
    if exists:
        return _short(draw.choice(kinds))
    near = [
        _short(other)
        for kind in kinds
        for name in ("size", "color", "shape")
        for value in ATTRIBUTES[name]
        if _short(other := kind._replace(**{name: value})) not in seen
    ]
    return draw.choice(near)


def _short(kind: Kind) -> str:
    return f"{kind.size} {kind.color} {kind.shape}"


def _plural(wanted: Mapping[str, str]) -> str:
    noun = f"{wanted['shape']}s" if "shape" in wanted else "objects"
    return " ".join([*(value for name, value in wanted.items() if name != "shape"), noun])


class ClevrSkills(Family):
    """The family of clevr-skills: questions about scenes, without policies."""

    scorer = "clevr-skills/2"

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Exact match of the last boxed answer; for a list, the F1 of its objects as a multiset."""
        answer = boxed(text)
        if answer is None:
            return Grade(0.0, "unparsed")
        if instance.facts["skill"] != "list":
            return Grade(float(plain(answer) == target))
        given, correct = _objects(answer), _objects(target)
        common = (given & correct).total()
        return Grade(2 * common / (given.total() + correct.total()))

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return ANSWERS[instance.facts["skill"]]

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"skill": instance.facts["skill"]}


def _objects(text: str) -> Counter[tuple[str, ...]]:
    """The words of each object in any order: "red small metal cube" is as good as "small red metal cube"."""
    lines = unwrapped(text).replace("\n", ";").split(";")
    return Counter(tuple(sorted(words)) for line in lines if (words := plain(line).split()))
