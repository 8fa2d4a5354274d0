"""clevr-skills: answers are correct and balanced, and responses are graded."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clevrpolicy.dataset.config import SkillsConfig
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import split_of
from clevrpolicy.skills import generate
from harness import cli, show
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.records import Instance
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import INTERNALIZED
from harness.verify import verify

CONFIG = SkillsConfig(scenes=20, train=10, width=160, height=112, seed=3)


@pytest.fixture(scope="module")
def skills(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    out = tmp_path_factory.mktemp("skills") / "bench"
    generate(out, CONFIG, workers=2)
    return Benchmark(out)


@pytest.fixture(scope="module")
def kinds(skills: Benchmark) -> dict[str, tuple[Kind, ...]]:
    return dict(clevr_json.kinds(line) for line in skills.records(SCENES, dict[str, Any]))


def instances_of(benchmark: Benchmark, skill: str) -> list[Instance]:
    instances = [i for split in ("train", "test") for i in benchmark.instances(split)]
    return [i for i in instances if i.facts["skill"] == skill]


def description(instance: Instance, before: str, after: str) -> list[str]:
    """The words of the question between these two texts, as singulars and without "objects"."""
    text = instance.query[1].value
    words = text[text.index(before) + len(before) : text.index(after)].split()
    return [word.removesuffix("s") for word in words if word != "objects"]


def test_answers_are_true(skills: Benchmark, kinds: dict[str, tuple[Kind, ...]]) -> None:
    for instance in instances_of(skills, "list"):
        assert sorted(instance.target.split("; ")) == sorted(map(str, kinds[instance.facts["scene"]]))
    for instance in instances_of(skills, "exists"):
        words = set(description(instance, "Is there a ", " in this scene"))
        exists = any(words <= set(kind) for kind in kinds[instance.facts["scene"]])
        assert instance.target == ("yes" if exists else "no")
        shared = max(len(words & set(kind)) for kind in kinds[instance.facts["scene"]])
        assert shared >= len(words) - 1, "an absent object differs in one attribute from one of the scene"
    for instance in instances_of(skills, "count"):
        words = set(description(instance, "How many ", " are in this scene"))
        assert instance.target == str(sum(words <= set(kind) for kind in kinds[instance.facts["scene"]]))


def test_answers_are_balanced(skills: Benchmark) -> None:
    test = skills.instances("test")
    assert len(test) == 3 * CONFIG.scenes
    for skill, scenes_per_answer in (("exists", 10), ("count", 4)):
        counts = Counter(i.target for i in test if i.facts["skill"] == skill)
        assert set(counts.values()) == {scenes_per_answer}


def test_a_scene_is_in_the_split_of_its_content_and_occurs_once(
    skills: Benchmark, kinds: dict[str, tuple[Kind, ...]]
) -> None:
    for split in ("train", "test"):
        scenes = {i.facts["scene"] for i in skills.instances(split)}
        assert {split_of(kinds[scene]) for scene in scenes} == {split}
    assert len({tuple(sorted(content)) for content in kinds.values()}) == CONFIG.scenes + CONFIG.train


def test_gold_and_possible_answers_are_graded(skills: Benchmark) -> None:
    assert verify(skills).endswith("gold responses score 1")
    family = skills.family
    for instance in skills.instances("test"):
        answers = family.answers(instance, INTERNALIZED)
        assert not answers or instance.target in answers
        values = [family.grade(instance, instance.target, family.respond(a)).value for a in answers]
        assert sum(v or 0 for v in values) == bool(answers)
        for nonsense in ("", "yes", r"\boxed{}", r"\boxed{no such answer}", "{" * 500, r"\boxed{" * 500):
            assert family.grade(instance, instance.target, nonsense).value == 0


@pytest.mark.parametrize("skill", ["list", "exists", "count"])
def test_markup_around_an_answer_is_ignored(skills: Benchmark, skill: str) -> None:
    first, *others = instances_of(skills, skill)
    for answer in {instance.target for instance in (first, *others)}:
        bare = skills.family.grade(first, first.target, in_box(answer)).value
        for markup in (r"\text{%s}", "**%s**", '"%s"', "`%s`", "%s."):
            assert skills.family.grade(first, first.target, in_box(markup % answer)).value == bare


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (r"\text{small red metal cube}; \text{small red metal cube}; \text{large blue rubber sphere}", 1),
        ("small red metal cube; small red metal cube; large blue rubber sphere", 1),
        ("Large rubber blue sphere\nsmall red cube metal\nsmall red metal cube.", 1),
        ("small red metal cube", 2 * 1 / (1 + 3)),
        ("small red metal cube; " * 3, 2 * 2 / (3 + 3)),
        ("red cube; red cube; blue sphere", 0),
        ("", 0),
    ],
)
def test_a_list_scores_the_f1_of_its_objects(skills: Benchmark, answer: str, value: float) -> None:
    instance = instances_of(skills, "list")[0]
    target = "large blue rubber sphere; small red metal cube; small red metal cube"
    assert skills.family.grade(instance, target, rf"\boxed{{{answer}}}").value == pytest.approx(value)


def test_show_works_without_a_policy(skills: Benchmark, tmp_path: Path) -> None:
    instance = skills.instances("test")[0]
    shown = " ".join(show.terminal(skills, instance, colors=False).split())
    assert f"[{instance.query[0].value}]" in shown
    assert instance.query[1].value in shown
    for name in ("x.gifx", "x"):
        with pytest.raises(UserError, match=r"png: expected a file name that ends in \.png"):
            cli.show(str(skills.folder), instance.id, png=tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="expected a folder, got a file"):
        cli.show(str(skills.folder), instance.id, png=tmp_path / "file" / "x.png")
    cli.show(str(skills.folder), instance.id, png=tmp_path / "new" / "x.png")
    assert (tmp_path / "new" / "x.png").read_bytes().startswith(b"\x89PNG")


def test_the_majority_model_answers_by_skill(skills: Benchmark, tmp_path: Path) -> None:
    report = evaluate(skills, EvalRequest("majority"), tmp_path / "run")
    rows = {row.member: row for row in report.rows if row.metric == "accuracy" and row.group == "skill"}
    assert (rows["exists"].mean, rows["exists"].majority, rows["exists"].chance) == (0.5, 0.5, 0.5)
    assert rows["count"].mean == rows["count"].majority == pytest.approx(0.2)
    assert (rows["list"].mean, rows["list"].chance) == (0, None)


def test_the_digest_depends_on_the_configuration_alone(skills: Benchmark, tmp_path: Path) -> None:
    small = SkillsConfig(scenes=2, train=0, width=160, height=112)
    first, again = (generate(tmp_path / name, small, workers=1) for name in ("a", "b"))
    assert first.digest == again.digest
    assert generate(tmp_path / "a", small, workers=1) == first
    assert skills.manifest.digest != first.digest


@pytest.mark.parametrize(
    ("field", "value"), [("scenes", 0), ("train", -1), ("min_objects", 0), ("max_objects", 3), ("width", 10)]
)
def test_a_bad_configuration_is_rejected(field: str, value: int) -> None:
    with pytest.raises(UserError, match=f"^{field}: expected"):
        SkillsConfig(**{field: value})
