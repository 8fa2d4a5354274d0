"""Other wordings of a policy, and questions about its rules: both state what the policy states."""

import re

import policy_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from clevrpolicy.dataset.config import Config
from clevrpolicy.grading.check import check_citations, rules_of
from clevrpolicy.grading.parse import parse_citations
from clevrpolicy.policy import policies, reasoning, tree
from clevrpolicy.policy.questions import sample_question
from harness.files.benchmark import Benchmark
from harness.parsing import plain
from harness.seeds import rng

seeds = st.integers(0, 10**6)
visual_or_not = st.booleans()


@given(seed=seeds, depth=st.integers(1, 5), visual=visual_or_not, accumulate=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_answer_states_what_the_policy_states(seed, depth, visual, accumulate) -> None:
    (policy,) = policies.sample_policies(Config(depth, 1, visual=visual, accumulate=accumulate, seed=seed))
    crops = {path: (attribute, value) for path, attribute, value in policy.crops()}
    question, parts = sample_question(policy.tree, policy.policy.name, rng(seed, "question"))
    answer = "".join(p.value if p.kind == "text" else f"<image:{p.value}>" for p in parts)
    assert policy.policy.name in question
    # The value that an image shows is not in the policy's text.
    assert all(f"<image:{part.value}>" in answer for part in parts if part.kind == "image")
    if "answers" in question:
        cited = check_citations(parse_citations(answer), rules_of(policy.tree))
        assert all(rule.exists and len(rule.parts) == 2 and all(rule.parts.values()) for rule in cited)
        answers = [word == "yes" for word in re.findall(r"\b(?:yes|no)\b", question)]
        (case, constraint) = next(
            (leaf.case, c) for leaf, c in policy.tree.leaves() if answer.endswith(f" Case {leaf.case}.")
        )
        scene = tree.witness(rng(seed, "witness"), constraint, max(3, len(constraint.needed)))
        visits, leaf = policy.tree.walk(tree.mask(scene))
        assert leaf.case == case and "Case" not in question
        assert [rule.rule for rule in cited] == [f"Condition {visit.condition}" for visit in visits]
        assert answers == [visit.holds for visit in visits]
    else:
        values = {path: value for path, (_, value) in crops.items()}
        condition, (attribute, value, _, yes, no) = policy_parser.parse_section(answer, values)
        assert re.findall(r"Condition ([\d.]*\d)", question) == [condition]
        stated = {c: reasoning.fields(c, node) for c, node, _ in policy.tree.sections()}[condition]
        targets = [f"Case {case}" for case in (yes, no) if case is not None]
        assert stated[:2] == (attribute, value) and [t for t in stated[2:] if "Case" in t] == targets


def test_all_conditions_and_paths_are_asked_about_but_never_as_in_recall() -> None:
    (policy,) = policies.sample_policies(Config(3, 1))
    name = policy.policy.name
    draws = [sample_question(policy.tree, name, rng(seed, "question")) for seed in range(400)]
    quoted = {thing for question, _ in draws for thing in re.findall(r"Condition ([\d.]*\d)", question)}
    assert quoted == {condition for condition, _, _ in policy.tree.sections()}
    ends = {parts[-1].value.rpartition(" ")[2] for question, parts in draws if "answers" in question}
    assert ends == {f"{leaf.case}." for leaf, _ in policy.tree.leaves()}
    measured = list(reasoning.recall(policy.tree, name))
    assert not {plain(question) for question, _ in draws} & {plain(question) for _, question, _ in measured}
    answers = [plain("".join(part.value for part in parts)) for _, parts in draws]
    assert not any(plain(correct) in answer for _, _, correct in measured for answer in answers)


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
