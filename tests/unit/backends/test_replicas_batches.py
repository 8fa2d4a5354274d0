"""How prompts are divided among replicas."""

from hypothesis import given
from hypothesis import strategies as st

from harness.backends.replicas import batches
from harness.records import Part, Prompt

POLICIES = [Part("text", f"{name} " * 200) for name in ("one", "two", "three")]


def prompts(policies: list[int | None]) -> list[Prompt]:
    return [
        Prompt(str(i), "v", ((POLICIES[p],) if p is not None else ()) + (Part("text", f"question {i}"),))
        for i, p in enumerate(policies)
    ]


@given(st.lists(st.sampled_from([None, 0, 1, 2])), st.integers(1, 9), st.integers(1, 9))
def test_every_prompt_is_in_one_batch(policies: list[int | None], replicas: int, at_once: int) -> None:
    all_prompts = prompts(policies)
    found = list(batches(all_prompts, replicas, at_once))
    assert sorted(p.key for batch in found for p in batch) == sorted(p.key for p in all_prompts)
    assert all(found)
    left = len(all_prompts)
    for batch in found:
        assert len(batch) <= max(at_once, left / replicas)
        left -= len(batch)


def test_each_replica_has_a_share_of_a_few_prompts() -> None:
    assert [len(batch) for batch in batches(prompts([None] * 100), replicas=8, at_once=256)] == [13] * 7 + [9]


def test_a_policy_stays_together_unless_it_is_larger_than_a_batch() -> None:
    policies = [0, 1, 2, None] * 8 + [2] * 60
    found = list(batches(prompts(policies), replicas=2, at_once=4))
    of_policy = [{int(p.instance) for p in batch} for batch in found]
    for policy in (0, 1):
        mine = {i for i, p in enumerate(policies) if p == policy}
        assert sum(bool(mine & batch) for batch in of_policy) == 1
    assert max(map(len, found[-3:])) <= 8
    assert len(found[0]) > len(found[-1])
