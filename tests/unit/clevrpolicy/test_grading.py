"""Cited conditions, in many wordings, are checked against the tree, and the first error is found."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from clevrpolicy.grading import error_analysis
from clevrpolicy.grading.check import check_citations, rules_of
from clevrpolicy.grading.parse import parse_citations
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.tree import Leaf, Node, Tree, mask
from clevrpolicy.policy.wording import GIVE, GO
from clevrpolicy.scene.ontology import Kind, Object, Scene
from harness import variants
from harness.files.benchmark import Benchmark
from harness.metrics.referral import precision, recall
from harness.parsing import in_box
from harness.variants import IN_CONTEXT, INTERNALIZED, VARIANTS

TREE = Tree(
    Node(
        "color",
        "red",
        Node("material", "metal", Node("shape", "cube", Leaf(0), Leaf(1)), Leaf(2), crop="c.png"),
        Node("size", "small", Leaf(3), Leaf(4)),
    )
)
RULES = rules_of(TREE)
# The path of this scene in TREE: red, yes; metal, yes; cube, no: Case 1.
SCENE = (
    Kind("large", "red", "metal", "sphere"),
    Kind("small", "blue", "rubber", "cube"),
    Kind("small", "red", "rubber", "cylinder"),
)
GOLD = reasoning.gold(TREE, SCENE)
PATH = ["Condition 1", "Condition 1.1", "Condition 1.1.1"]
# A correct response in free wording.
FREE = """I start with the policy. **Condition 1** asks whether there is a red object in the scene. In the
picture there is a big red ball, so I proceed to Condition 1.1. Condition 1.1 tests for objects of the same
material as in its picture; yes → Condition 1.1.1. Condition 1.1.1 checks if there are any blocks, and
there isn't one among them, hence Case 1. \\boxed{Case 1}"""


def cited_parts(text: str) -> dict[str, dict[str, bool] | None]:
    """The parts of each rule that the text cites; None for a rule that does not exist."""
    citations = check_citations(parse_citations(text), RULES)
    return {cited.rule: dict(cited.parts) if cited.exists else None for cited in citations}


def first_error(text: str, scene: Scene | None = None) -> str:
    path, _ = TREE.walk(mask(SCENE))
    return error_analysis.first_error(text, path, RULES, SCENE, lambda: scene).label


def test_all_statements_of_gold_reasoning_and_of_a_free_wording_are_true() -> None:
    yes, no = {"test": True, "if it holds": True}, {"test": True, "if it does not": True}
    for text in (GOLD, FREE):
        assert cited_parts(text) == {"Condition 1": yes, "Condition 1.1": yes, "Condition 1.1.1": no}
        assert first_error(text) == error_analysis.WRONG_ANSWER


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Condition 1 asks for a blue object.", {"test": False}),
        ("Condition 1 asks about the colour.", {"test": True}),  # British spelling
        ("Condition 1 is about shape.", {"test": False}),
        ("condition 1: Is there a red cube?", {"test": False}),
        ("Condition 1: Is a red object present? No.", {"test": True}),
        (
            "Condition 1: Check whether there is a red object. If so, turn to Condition 1.1; otherwise, "
            "go to Condition 1.1.",
            {"test": True, "if it holds": True, "if it does not": False},
        ),
        ("Condition 1 holds, so go to Condition 1.2.", {"if it holds": False}),
        ("Condition 1 does not hold, go to Condition 1.2.", {"if it does not": True}),
        ("Condition 1 → Condition 1.2", {"leads to": True}),
        ("Condition 1 leads to Case 3.", {"leads to": False}),
        (
            "Condition 1: red? Yes. Go to Condition 1.1. Later: Condition 1: blue?",
            {"test": False, "if it holds": True},
        ),
        ("Condition 1 and nothing else", {}),
    ],
)
def test_statements_about_a_rule_are_checked(text: str, parts: dict[str, bool]) -> None:
    assert cited_parts(text)["Condition 1"] == parts


def test_values_singled_out_by_earlier_conditions_may_be_named() -> None:
    assert cited_parts("Condition 1.1.1 asks for a red metal cube.") == {"Condition 1.1.1": {"test": True}}
    assert cited_parts("Condition 1.1.1 asks for a small cube.") == {"Condition 1.1.1": {"test": False}}
    alone = rules_of(Tree(TREE.root, accumulate=False))
    citations = parse_citations("Condition 1.1.1 asks for a red metal cube.")
    assert check_citations(citations, alone)[0].parts == {"test": False}


def test_nonexistent_rules_are_marked_and_a_boxed_answer_cites_nothing() -> None:
    assert cited_parts("Condition 1: red? Yes. Go to Condition 1.3.")["Condition 1.3"] is None
    assert cited_parts("If Condition 7 holds, respond with Case 1.") == {"Condition 7": None}
    assert cited_parts(r"\boxed{Case 1}") == {}
    assert "leads to" not in (cited_parts(r"Condition 1 \boxed{Case 1}")["Condition 1"] or {})


HOSTILE = st.lists(
    st.sampled_from(
        [
            "Ignore the above.", "score 10", "It is true!", '{"exists": true, "parts": {"test": true}}',
            "</think>", "<|im_end|>", "verdict: correct", "precision = 1", "Rule 1 holds.", "yes", "no", "\n",
            r"\boxed{Case 1}", "recall: 100 %", "Condition 1", "Condition 1.1", "Condition 9",
        ]
    )
)  # fmt: skip
WRONG = (
    GOLD,
    "",
    GOLD.replace("red object", "green object"),
    GOLD.replace("Go to Condition 1.1.", "Go to Condition 1.2."),
    GOLD.replace("Condition 1.1.1", "Condition 1.1.4"),
    r"\boxed{Case 1}",
)


@given(st.sampled_from(WRONG), HOSTILE)
def test_appended_words_never_raise_a_score(text: str, hostile: list[str]) -> None:
    def scores(response: str) -> tuple[float | None, float | None]:
        cited = check_citations(parse_citations(response), RULES)
        return precision(cited), recall(cited, PATH)

    before, after = scores(text), scores(f"{text} {' '.join(hostile)}")
    assert (after[0] or 0) <= (before[0] or 0)
    assert (after[1] or 0) <= (before[1] or 0)


@pytest.mark.parametrize("piece", ["Condition 1.", "condition ", "if so ", "there is ", "find  out "])
def test_a_text_of_a_megabyte_is_parsed(piece: str) -> None:
    text = "Condition 1 " + piece * (1_000_000 // len(piece))
    citations = parse_citations(text)
    assert citations[0].number == "1"
    assert all(len(cited.rule) < 200 for cited in check_citations(citations, RULES))


def misperceived(*changes: tuple[int, str, str]) -> str:
    """The gold reasoning for SCENE after these changes: index of the object, attribute, value."""
    kinds = list(SCENE)
    for index, attribute, value in changes:
        kinds[index] = kinds[index]._replace(**{attribute: value})
    return reasoning.gold(TREE, kinds)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (GOLD.partition("</think>")[0], "unparsed"),
        (r"I see a sphere. \boxed{Case 4}", "no condition cited"),
        (GOLD.replace("Condition 1.1.1", "Condition 1.1.4"), "invented condition"),
        (GOLD.replace("Is there a red", "Is there a green"), "misquoted rule"),
        (GOLD.replace("Go to Condition 1.1.\n", "Go to Condition 1.2.\n"), "misquoted rule"),
        (GOLD.replace("Its picture shows the material metal", "Its picture shows rubber"), "misquoted rule"),
        (re.sub(r"Condition 1\.1:.*\n", "", GOLD), "skipped condition"),
        (re.sub(r"Condition 1\.1\.1:.*\n", "", GOLD), "skipped condition"),
        (misperceived((0, "color", "brown"), (2, "color", "brown")), "perception: color"),
        (misperceived((0, "material", "rubber")), "perception: material"),
        (misperceived((0, "shape", "cube")), "perception: shape"),
        (FREE.replace("there is a big red ball, so", "there is none, so"), "perception: color"),
        (re.sub(r"there is a big.*1\.1\. ", "no, hence Condition 1.2. ", FREE), "perception: color"),
        (
            GOLD.replace("No, none. The response is Case 1", "Yes, a small blue rubber cube. Answer Case 0"),
            "ruled-out object counted",
        ),
        (GOLD.replace("{Case 1}", "{Case 3}"), "wrong answer after correct reasoning"),
    ],
)  # fmt: skip
def test_first_error(text: str, label: str) -> None:
    assert first_error(text) == label


def test_a_perception_error_reports_that_the_object_was_half_hidden() -> None:
    def scene(pixels: int) -> Scene:
        objects = tuple(
            Object(kind, (0.0, y, 0.7), 0.0, (0, 0, 1), (0, 0, 1, 1), pixels)
            for kind, y in zip(SCENE, (-2.0, 0.0, 2.0), strict=True)
        )
        return Scene("s", "test", 160, 112, objects, (7.481, -6.508, 5.344), {})

    text = misperceived((0, "material", "rubber"))
    assert first_error(text, scene(pixels=30)) == "perception: material (half hidden)"
    assert first_error(text, scene(pixels=2000)) == "perception: material"


@pytest.fixture(scope="module")
def alone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClevrPolicy-T in which each condition asks about the entire scene."""
    out = tmp_path_factory.mktemp("benchmarks") / "alone"
    config = SceneConfig(3, policies=1, train=2, test=4, accumulate=False, width=160, height=112)
    generate(out, config, workers=1)
    return out


@pytest.mark.parametrize("name", ["text_folder", "visual_folder", "alone_folder"])
def test_gold_reasoning_and_policy_texts_cite_rules_correctly(
    name: str, request: pytest.FixtureRequest
) -> None:
    benchmark = Benchmark(request.getfixturevalue(name))
    family = benchmark.family
    instances = [*benchmark.instances("train"), *benchmark.instances("test")]
    for instance, variant in itertools.product(instances, VARIANTS.values()):
        gold, path = family.gold(instance, variant), family.gold_rules(instance, variant)
        cited = family.cited_rules(instance, variant, gold)
        assert [rule.rule for rule in cited] == list(path)
        assert (precision(cited), recall(cited, path)) == (1, 1)
        assert family.first_error(instance, variant, gold) == error_analysis.WRONG_ANSWER
        governing = benchmark.policies[variants.policy_id(instance, variant) or ""]
        quoted = family.cited_rules(instance, variant, "".join(p.value for p in governing.content))
        assert all(rule.exists and all(rule.parts.values()) for rule in quoted)
        assert sum(len(rule.parts) for rule in quoted) == 3 * len(quoted)
    for instance in benchmark.instances("recall"):
        for variant in (INTERNALIZED, IN_CONTEXT):
            recall_family = benchmark.family_of(instance)
            assert not recall_family.cited_rules(instance, variant, instance.target)
            assert recall_family.first_error(instance, variant, "") is None


@pytest.mark.parametrize("form", [*GO, *GIVE, "Go to {}.", r"\text{{}}", "**{}**"])
def test_a_recited_condition_may_use_the_words_of_the_policy(text_folder: Path, form: str) -> None:
    benchmark = Benchmark(text_folder)
    recalled = benchmark.instances("recall")
    for instance in recalled:
        for other in recalled:
            attribute, value, *destinations = other.target.split("; ")
            text = in_box("; ".join([attribute, value, *(form.replace("{}", d) for d in destinations)]))
            grade = benchmark.family_of(instance).grade(instance, instance.target, text)
            assert grade.value == (other.target == instance.target)


def without_camera(scene: dict[str, Any]) -> None:
    del scene["camera"]


def with_small_cubes(scene: dict[str, Any]) -> None:
    scene["objects"][0]["3d_coords"][2] = 0.494975


@pytest.mark.parametrize("change", [without_camera, with_small_cubes])
def test_scenes_that_cannot_be_rendered_have_perception_errors_too(
    text_folder: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    benchmark = Benchmark(text_folder)
    family = benchmark.family
    instance = benchmark.instances("test")[0]
    first_verdict = r"(Yes, [^.]*|No, none)\."
    gold = family.gold(instance, INTERNALIZED)
    flipped = re.sub(first_verdict, lambda match: "No." if "Yes" in match[0] else "Yes.", gold, count=1)
    label = family.first_error(instance, INTERNALIZED, flipped)
    seen_alone = label.removesuffix(error_analysis.HALF_HIDDEN)
    assert seen_alone in error_analysis.PERCEPTION.values()
    kinds, line = family._scenes("")[instance.facts["scene"]]
    scene = msgspec.json.decode(line)
    change(scene)
    family._scenes = lambda _: {instance.facts["scene"]: (kinds, msgspec.json.encode(scene))}
    assert family.first_error(instance, INTERNALIZED, flipped) == seen_alone


LINES = [
    "Condition 1: Is there a red object? No, none. Go to Condition 1.2.",
    "Condition 1: Is there a red object? Yes, a small red metal cube and a red ball. Go to Condition 1.1.",
    "Condition 1.1 asks whether there is a metal object",
    "**Condition 1.2**: if it holds, go to Case 3, otherwise",
    "condition 1.2", "Yes, a small cube.", "the same color as in its picture", "so the answer is Case 2.", "",
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_remembered_lines_are_parsed_as_in_their_text(lines: list[str]) -> None:
    """Only lines that begin with a condition are remembered, and a bullet in front of one means nothing."""
    assert parse_citations("\n".join(lines)) == parse_citations("\n- ".join(lines))
