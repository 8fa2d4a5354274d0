"""clevr-skills: questions about scenes without a policy, to measure what a model forgets during training.

Each scene has three questions: list all objects, does a described object exist, how many objects meet a
description? Answers are balanced and independent of the wording, so that only the picture reveals them.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from clevrpolicy.dataset.config import MAX_COUNT, SkillsConfig
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.dataset.quotas import TRIES, Content, SceneSpec
from clevrpolicy.dataset.workers import SceneJob
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from clevrpolicy.scene.placement import split_of
from clevrpolicy.scene.render import VERSION
from harness.engine import Local
from harness.errors import UserError
from harness.family import Family
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.generation.jobs import run_jobs
from harness.parsing import FORMAT, boxed, plain, without_markup
from harness.records import Grade, Instance, Part
from harness.seeds import rng
from harness.variants import Variant

FAMILY = "clevr-skills"
COUNTS = tuple(map(str, range(MAX_COUNT + 1)))
# All possible answers by skill; empty for lists, which have too many.
ANSWERS: dict[str, tuple[str, ...]] = {"list": (), "exists": ("no", "yes"), "count": COUNTS}
SEPARATOR = "; "
LIST = (
    "List every object in this scene, each as size color material shape (such as small red metal cube), "
    "separated by semicolons."
)


def generate(out: Path, config: SkillsConfig, workers: int) -> Manifest:
    """Generates the benchmark in out, or resumes an interrupted one with the same configuration."""
    spec = BenchmarkSpec(FAMILY, msgspec.to_builtins(config), {"renderer": VERSION})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        splits = {
            "train": _sample(config, "train", config.train),
            "test": _sample(config, "test", config.scenes),
        }
        jobs = [
            SceneJob(scene, index, config.seed, config.width, config.height)
            for scenes in splits.values()
            for index, (scene, _) in enumerate(scenes)
        ]
        with Local(workers) as engine:
            results = run_jobs(out, jobs, engine, "pictures")
        store.write_lines(out / benchmark.POLICIES, ())
        store.write_lines(out / SCENES, (result.record for result in results))
        for split, scenes in splits.items():
            instances = (instance for _, questions in scenes for instance in questions)
            store.write_lines(out / benchmark.instances_file(split), instances)
        return benchmark.seal(out, spec)


def _sample(config: SkillsConfig, split: str, size: int) -> list[tuple[SceneSpec, list[Instance]]]:
    """Scenes of a split, no two with the same objects, with questions whose answers are balanced."""
    draw = rng(config.seed, FAMILY, split)
    used: set[Content] = set()
    scenes = []
    for index in range(size):
        count, exists = index % len(COUNTS), index % 2 == 1
        for _ in range(TRIES):
            plural, kinds = _sample_content(draw, count, config)
            if split_of(kinds) == split and tuple(sorted(kinds)) not in used:
                break
        else:
            raise UserError(
                f"--{'train' if split == 'train' else 'scenes'}: not enough different scenes exist with "
                f"{config.min_objects}..{config.max_objects} objects; request fewer scenes, allow more "
                "objects, or use another --seed"
            )
        used.add(tuple(sorted(kinds)))
        scene = SceneSpec(f"{split}-{index:06d}", split, kinds)
        described = _sample_described_object(draw, kinds, exists)
        questions = {
            "list": (LIST, SEPARATOR.join(map(str, sorted(kinds)))),
            "exists": (f"Is there a {described} in this scene? Answer yes or no.", "yes" if exists else "no"),
            "count": (f"How many {plural} are in this scene? Answer with a number.", str(count)),
        }
        scenes.append((scene, [_instance(scene, skill, *question) for skill, question in questions.items()]))
    return scenes


def _instance(scene: SceneSpec, skill: str, question: str, target: str) -> Instance:
    return Instance(
        id=f"{scene.scene_id}-{skill}",
        split=scene.split,
        query=(Part("image", scene.image), Part("text", f"{question} {FORMAT}")),
        facts={"scene": scene.scene_id, "skill": skill},
        policy_id=None,
        target=target,
    )


def _sample_content(draw: random.Random, count: int, config: SkillsConfig) -> tuple[str, Content]:
    """A description by one or two attributes, and a scene's objects, of which exactly count meet it."""
    names = draw.sample(sorted(ATTRIBUTES), draw.randint(1, 2))
    description = {name: draw.choice(ATTRIBUTES[name]) for name in ATTRIBUTES if name in names}
    meeting = [kind for kind in KINDS if description.items() <= kind._asdict().items()]
    others = [kind for kind in KINDS if kind not in meeting]
    total = draw.randint(max(config.min_objects, count), config.max_objects)
    kinds = draw.choices(meeting, k=count) + draw.choices(others, k=total - count)
    draw.shuffle(kinds)
    return _plural(description), tuple(kinds)


def _sample_described_object(draw: random.Random, kinds: Content, exists: bool) -> str:
    """Size, color and shape of an object of the scene; if not exists, one of the three is changed."""
    present = [_size_color_shape(kind) for kind in kinds]
    if exists:
        return draw.choice(present)
    changed = [
        _size_color_shape(kind._replace(**{name: value}))
        for kind in kinds
        for name in ("size", "color", "shape")
        for value in ATTRIBUTES[name]
    ]
    return draw.choice([description for description in changed if description not in present])


def _size_color_shape(kind: Kind) -> str:
    return f"{kind.size} {kind.color} {kind.shape}"


def _plural(description: Mapping[str, str]) -> str:
    """The description as English words: "red cubes", "small objects"."""
    noun = f"{description['shape']}s" if "shape" in description else "objects"
    return " ".join([*(value for name, value in description.items() if name != "shape"), noun])


class ClevrSkills(Family):
    """Grades answers to clevr-skills."""

    scorer = "clevr-skills/3"

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """Exact match of the last boxed answer; for a list, the F1 score of its objects as a multiset."""
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
    """The sorted words of each object: "red small metal cube" is equal to "small red metal cube"."""
    lines = without_markup(text).replace("\n", ";").split(";")
    return Counter(tuple(sorted(words)) for line in lines if (words := plain(line).split()))
