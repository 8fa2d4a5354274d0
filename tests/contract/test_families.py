"""What every policy family's benchmark promises the harness, whatever it is about."""

from __future__ import annotations

import msgspec

from harness import variants
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.records import Instance
from harness.variants import VARIANTS


def asked(benchmark: Benchmark):
    """Every instance with each variant that it has."""
    for split in benchmark.splits:
        for instance in benchmark.instances(split):
            for variant in VARIANTS.values():
                target = variants.target(instance, variant)
                if target is not None:
                    yield instance, variant, target


def test_gold_scores_one_and_nonsense_zero(benchmark_: Benchmark) -> None:
    for instance, variant, target in asked(benchmark_):
        family = benchmark_.family_of(instance)
        assert family.grade(instance, target, family.gold(instance, variant)).value == 1
        assert family.grade(instance, target, family.respond(target)).value == 1
        for nonsense in ("", "Case", r"\boxed{}", r"\boxed{no such answer}", "{" * 500, r"\boxed{" * 500):
            assert family.grade(instance, target, nonsense).value == 0


def test_answers_hold_the_target_and_each_scores_as_right_or_wrong(benchmark_: Benchmark) -> None:
    for instance, variant, target in asked(benchmark_):
        family = benchmark_.family_of(instance)
        answers = family.answers(instance, variant)
        if answers:
            values = {a: family.grade(instance, target, family.respond(a)).value for a in answers}
            assert sorted(values.values()) == [0] * (len(answers) - 1) + [1]
            assert values[target] == 1


WRAPPINGS = (
    r"\text{%s}", r"\textbf{%s}", r"\mathrm{%s}", "%s.", '"%s"', "```json\n%s\n```", r"\text{**%s**}"
)  # fmt: skip


def test_a_wrapping_in_the_box_makes_nothing_wrong_and_nothing_right(benchmark_: Benchmark) -> None:
    for split in benchmark_.splits:
        instances = benchmark_.instances(split)[:8]
        for said in {i.target for i in instances} | {f"{i.target}0" for i in instances}:
            for instance in instances:
                family = benchmark_.family_of(instance)
                bare = family.grade(instance, instance.target, in_box(said)).value
                assert (bare == 1) == (said == instance.target)
                for wrapping in WRAPPINGS:
                    assert family.grade(instance, instance.target, in_box(wrapping % said)).value == bare


def test_an_override_has_the_same_name_and_another_answer(benchmark_: Benchmark) -> None:
    for split in ("train", "test"):
        instances = benchmark_.instances(split)
        assert 2 * sum(i.override is not None for i in instances) > len(instances)
        for instance in instances:
            if instance.override is None:
                continue
            own = benchmark_.policies[instance.policy_id]
            replacing = benchmark_.policies[instance.override.policy_id]
            assert replacing.replaces == own.id
            assert replacing.name == own.name
            assert instance.override.target != instance.target


def test_internalized_prompts_hold_no_policy_and_none_holds_its_answer(benchmark_: Benchmark) -> None:
    for instance, variant, _ in asked(benchmark_):
        prompt = variants.prompt(instance, variant, benchmark_.policies)
        assert prompt is not None
        governing = benchmark_.policies[variants.policy_id(instance, variant)]  # type: ignore[index]
        assert prompt.parts == (governing.content if variant.shown else ()) + instance.query
        assert prompt.parts[-len(instance.query) :] == instance.query


def test_splits_share_no_instance_and_no_picture(benchmark_: Benchmark) -> None:
    splits = [benchmark_.instances(split) for split in benchmark_.splits]
    ids = [i.id for split in splits for i in split]
    assert len(ids) == len(set(ids))
    pictures = [{p.value for i in split for p in i.query if p.kind == "image"} for split in splits]
    hashes = [{benchmark_.manifest.files[path] for path in paths} for paths in pictures]
    for one in range(len(hashes)):
        for other in range(one):
            assert not hashes[one] & hashes[other]


def test_records_survive_json(benchmark_: Benchmark) -> None:
    for split in benchmark_.splits:
        for instance in benchmark_.instances(split):
            assert msgspec.json.decode(msgspec.json.encode(instance), type=Instance) == instance


def test_groups_are_named_for_every_variant(benchmark_: Benchmark) -> None:
    for instance, variant, _ in asked(benchmark_):
        assert all(
            isinstance(v, str) for v in benchmark_.family_of(instance).groups(instance, variant).values()
        )
