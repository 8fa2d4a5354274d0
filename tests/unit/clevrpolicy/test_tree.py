"""Trees: number of leaves, reachable leaves, and the text of a policy."""

from collections import Counter

import policy_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clevrpolicy.dataset.config import Config
from clevrpolicy.policy import policies, reasoning, tree, wording
from clevrpolicy.policy.table import CaseTable
from clevrpolicy.policy.tree import Leaf, Node, Tree
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from harness.errors import UserError
from harness.parsing import boxed
from harness.records import Part
from harness.seeds import rng

seeds = st.integers(0, 10**6)
depths = st.sampled_from(tree.DEPTHS)


def sample(seed: int, depth: int, accumulate: bool) -> Tree:
    return tree.sample(rng(seed, "test"), depth, accumulate)


@pytest.mark.parametrize(
    ("depth", "leaves"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 28), (6, 40), (7, 52), (8, 64)]
)
@given(seed=seeds, accumulate=st.booleans())
@settings(max_examples=10, deadline=None)
def test_number_of_responses(depth: int, leaves: int, seed: int, accumulate: bool) -> None:
    cases = [leaf.case for leaf, _ in sample(seed, depth, accumulate).leaves()]
    assert sorted(cases) == list(range(leaves))


@given(seed=seeds, depth=depths, accumulate=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_leaf_has_a_witness_scene(seed: int, depth: int, accumulate: bool) -> None:
    sampled = sample(seed, depth, accumulate)
    for leaf, constraint in sampled.leaves():
        kinds = tree.witness(rng(seed, "witness", leaf.case), constraint, max(3, len(constraint.needed)))
        assert 3 <= len(kinds) <= 10
        assert sampled.walk(tree.mask(kinds))[1] == leaf


@given(seed=seeds, depth=depths, accumulate=st.booleans())
@settings(max_examples=30, deadline=None)
def test_no_attribute_is_tested_again_below_its_true_edge(seed: int, depth: int, accumulate: bool) -> None:
    def check(branch: Node | Leaf, settled: frozenset[str]) -> None:
        if isinstance(branch, Node):
            assert branch.attribute not in settled
            check(branch.yes, settled | {branch.attribute})
            check(branch.no, settled)

    check(sample(seed, depth, accumulate).root, frozenset())


@given(seed=seeds, kinds=st.lists(st.sampled_from(KINDS), min_size=3, max_size=10), accumulate=st.booleans())
@settings(max_examples=100, deadline=None)
def test_walk_agrees_with_testing_each_object(seed, kinds, accumulate) -> None:
    sampled = sample(seed, 6, accumulate)
    branch: Node | Leaf = sampled.root
    considered = kinds
    while isinstance(branch, Node):
        met = [k for k in considered if getattr(k, branch.attribute) == branch.value]
        if met and accumulate:
            considered = met
        branch = branch.yes if met else branch.no
    assert sampled.walk(tree.mask(kinds))[1] == branch


@given(seed=seeds, kinds=st.lists(st.sampled_from(KINDS), min_size=3, max_size=10), accumulate=st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_case_table_agrees_with_the_walk(seed, kinds, accumulate) -> None:
    sampled = sample(seed, 6, accumulate)
    visits, leaf = sampled.walk(tree.mask(kinds))
    table = CaseTable(sampled)
    assert table.case(tree.mask(kinds)) == leaf.case
    assert table.paths[leaf.case] == tuple(visit.condition for visit in visits)


@given(seed=seeds, depth=depths, kinds=st.lists(st.sampled_from(KINDS), min_size=3, max_size=10))
@settings(max_examples=30, deadline=None)
def test_a_replacement_changes_the_case_of_every_scene(seed, depth, kinds) -> None:
    config = Config(depth, 1, seed=seed)
    policy, *replacements = policies.sample_policy(config, 0)
    case = policy.tree.walk(tree.mask(kinds))[1]
    assert any(other.tree.walk(tree.mask(kinds))[1] != case for other in replacements)


def test_a_case_reveals_nothing_about_its_path() -> None:
    """Over many trees, each case is at the all-true leaf about equally often."""
    counts = Counter(sample(seed, 2, True).root.yes.yes.case for seed in range(800))
    assert set(counts) == {0, 1, 2, 3}
    assert all(150 < n < 250 for n in counts.values())


@given(seed=seeds, depth=depths, accumulate=st.booleans(), visual=st.booleans(), shuffle=st.booleans())
@settings(max_examples=60, deadline=None)
def test_text_and_tree_round_trip(seed, depth, accumulate, visual, shuffle) -> None:
    config = Config(depth, 1, accumulate=accumulate, visual=visual, shuffle=shuffle, seed=seed)
    (policy,) = policies.sample_policies(config)
    crop_values = {path: value for path, _, value in policy.crops()}
    name, parsed = policy_parser.parse(policy.policy.content, crop_values)
    assert (name, parsed) == (policy.policy.name, policy.tree)
    draw = rng(seed, "wording", policies.FAMILY, depth, 0, -1)
    assert wording.content(parsed, name, draw, shuffle, replaces=False) == policy.policy.content


@given(seed=seeds, share=st.floats(0.01, 1))
@settings(max_examples=30, deadline=None)
def test_a_share_of_the_conditions_has_a_picture(seed: int, share: float) -> None:
    (policy,) = policies.sample_policies(Config(4, 1, visual=True, crop_share=share, seed=seed))
    conditions = sum(1 for _ in policy.tree.sections())
    assert share * conditions <= len(list(policy.crops())) < share * conditions + 1
    pictures = [p.value for p in policy.policy.content if p.kind == "image"]
    assert sorted(pictures) == sorted(path for path, _, _ in policy.crops())
    values = {v for _, attribute, value in policy.crops() for v in (attribute, value)}
    assert values <= ATTRIBUTES.keys() | {v for vs in ATTRIBUTES.values() for v in vs}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.replace("Policy ", "Rules ", 1), "expected"),
        (lambda t: t.replace("Condition 1.1:", "Condition 1.3:"), "1.1"),
        (lambda t: t + "Do as you like.\n", "Do as you like"),
        (lambda t: t.replace("a ", "an odd "), "expected"),
        (lambda t: t + t.splitlines()[1].replace("Condition 1", "Condition 7") + "\n", "reached"),
    ],
)
def test_a_text_that_is_not_a_policy_is_rejected(damage, message: str) -> None:
    (policy,) = policies.sample_policies(Config(2, 1))
    with pytest.raises(UserError, match=message):
        policy_parser.parse([Part("text", damage(policy.policy.content[0].value))], {})


@given(seed=seeds, kinds=st.lists(st.sampled_from(KINDS), min_size=3, max_size=10), visual=st.booleans())
@settings(max_examples=50, deadline=None)
def test_gold_reasoning_visits_the_path_and_ends_in_the_case(seed, kinds, visual) -> None:
    (policy,) = policies.sample_policies(Config(6, 1, visual=visual, seed=seed))
    visits, leaf = policy.tree.walk(tree.mask(kinds))
    text = reasoning.gold(policy.tree, kinds)
    lines = text.splitlines()[2:-2]
    assert [line.split(":")[0] for line in lines] == [f"Condition {visit.condition}" for visit in visits]
    assert [" Yes, " in line for line in lines] == [visit.holds for visit in visits]
    assert boxed(text) == f"Case {leaf.case}"
    assert tree.from_json(policy.policy.rules) == policy.tree


def test_names_differ_within_a_benchmark() -> None:
    names = [sampled.policy.name for sampled in policies.sample_policies(Config(1, 300))]
    assert len(set(names)) == 300
    assert all(name.startswith("L1-") for name in names)


def test_seeds_share_no_policy() -> None:
    sampled = (policies.sample_policies(Config(3, 20, seed=seed)) for seed in (0, 1))
    first, second = ({policy.policy.content for policy in same_seed} for same_seed in sampled)
    assert not first & second
