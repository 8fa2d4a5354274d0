"""Other wordings of a policy, and questions about its rules: both state what the policy states."""

import re

import policy_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from clevrpolicy.dataset.config import Config
from clevrpolicy.grading.check import check_citations, rules_of
from clevrpolicy.grading.parse import parse_citations
from clevrpolicy.policy import policies, reasoning, tree
from clevrpolicy.policy.questions import apply, follow, quote, sample_question
from clevrpolicy.policy.tree import Leaf
from clevrpolicy.scene.ontology import KINDS
from clevrpolicy.scene.placement import split_of
from harness.files.benchmark import Benchmark
from harness.parsing import boxed, plain
from harness.seeds import rng

seeds, either = st.integers(0, 10**6), st.booleans()
KIND_BY_NAME = {str(kind): kind for kind in KINDS}


@st.composite
def sampled(draw, visual=either):
    """A policy and a generator."""
    seed, accumulate, depth = draw(seeds), draw(either), draw(st.integers(1, 5))
    config = Config(depth, 1, visual=draw(visual), accumulate=accumulate, seed=seed)
    return policies.sample_policies(config)[0], rng(seed, "question")


def assert_path(policy, answer: str, holds: list[bool]) -> None:
    """The answer cites the path with these verdicts, and states every test and target as the policy does."""
    path = ["1"]
    for verdict in holds[:-1]:
        path.append(tree.child(path[-1], verdict))
    cited = check_citations(parse_citations(answer), rules_of(policy.tree))
    assert [rule.rule for rule in cited] == [f"Condition {condition}" for condition in path]
    assert all(rule.exists and len(rule.parts) == 2 and all(rule.parts.values()) for rule in cited)


@given(sampled())
@settings(max_examples=40, deadline=None)
def test_a_quoted_condition_has_the_words_of_a_policy(drawn) -> None:
    policy, draw = drawn
    question, answer = quote(policy.tree, draw)
    values = {path: value for path, _, value in policy.crops()}
    condition, (attribute, value, crop, yes, no) = policy_parser.parse_section(answer, values)
    assert re.findall(r"Condition ([\d.]*\d)", question) == [condition]
    node = next(node for number, node, _ in policy.tree.sections() if number == condition)
    assert (attribute, value, crop) == (node.attribute, node.value, node.crop)
    cases = [branch.case if isinstance(branch, Leaf) else None for branch in (node.yes, node.no)]
    assert [yes, no] == cases


@given(sampled())
@settings(max_examples=40, deadline=None)
def test_a_path_leads_to_its_case_which_the_question_does_not_name(drawn) -> None:
    policy, draw = drawn
    question, answer = follow(policy.tree, draw)
    holds = [word == "yes" for word in re.findall(r"\b(?:yes|no)\b", question)]
    assert_path(policy, answer, holds)
    branch = policy.tree.root
    for verdict in holds:
        branch = branch.yes if verdict else branch.no
    assert answer.endswith(f" The response is Case {branch.case}.") and "Case" not in question


@given(sampled(visual=st.just(False)))
@settings(max_examples=40, deadline=None)
def test_a_scene_in_words_is_of_the_training_split(drawn) -> None:
    policy, draw = drawn
    question, answer = apply(policy.tree, draw)
    (objects,) = re.findall(r"The scene holds (.*)\.", answer)
    assert objects in question and "Case" not in question
    kinds = [KIND_BY_NAME[name.removeprefix("a ")] for name in re.split(", | and ", objects)]
    assert split_of(kinds) == "train"
    visits, leaf = policy.tree.walk(tree.mask(kinds))
    assert_path(policy, answer, [visit.holds for visit in visits])
    assert boxed(answer) == f"Case {leaf.case}"


def test_every_rule_is_asked_about_but_never_as_in_recall() -> None:
    (policy,) = policies.sample_policies(Config(3, 1))
    name = policy.policy.name
    draws = [sample_question(policy.tree, name, rng(seed, "question")) for seed in range(400)]
    assert all(name in question for question, _ in draws)
    quoted = {number for question, _ in draws for number in re.findall(r"Condition ([\d.]*\d)", question)}
    assert quoted == {number for number, _, _ in policy.tree.sections()}
    cases = {boxed(parts[0].value) for question, parts in draws if "boxed" in question}
    assert cases == {f"Case {leaf.case}" for leaf, _ in policy.tree.leaves()}
    measured = list(reasoning.recall(policy.tree, name))
    assert not {plain(question) for question, _ in draws} & {plain(question) for _, question, _ in measured}
    answers = [plain(parts[0].value) for _, parts in draws]
    assert not any(plain(correct) in answer for _, _, correct in measured for answer in answers)


def test_values_that_only_an_image_shows_are_not_named() -> None:
    (policy,) = policies.sample_policies(Config(2, 1, visual=True, crop_share=1))
    values = [value for _, _, value in policy.crops()]
    for seed in range(60):
        question, parts = sample_question(policy.tree, policy.policy.name, rng(seed, "question"))
        text = question + "".join(part.value for part in parts if part.kind == "text")
        assert not any(re.search(rf"\b{value}\b", text) for value in values)
        assert any(part.kind == "image" for part in parts)


def test_rewordings_have_the_same_tree(text_folder, visual_folder) -> None:
    for folder in (text_folder, visual_folder):
        benchmark = Benchmark(folder)
        for policy in benchmark.policies.values():
            own = tree.from_json(policy.rules)
            values = {node.crop: node.value for _, node, _ in own.sections() if node.crop}
            contents = [benchmark.family.reworded(policy.id, rng(seed, "wording")) for seed in range(20)]
            assert all(policy_parser.parse(c, values) == (policy.name, own) for c in contents)
            assert len(set(contents)) == 20
            # The sections come in different orders.
            orders = [[line.split(":")[0] for line in _text(c).splitlines()[1:]] for c in contents]
            assert len(set(map(tuple, orders))) > 1


def _text(content) -> str:
    return "".join(part.value if part.kind == "text" else "an image" for part in content)
