"""The contract of every registered family."""

from pathlib import Path

import msgspec
from family_fixtures import FAMILY_FIXTURES

from harness import cli, registry, show, variants
from harness.files.benchmark import Benchmark
from harness.parsing import boxed, in_box
from harness.records import Instance
from harness.variants import VARIANTS


def instances_by_variant(benchmark: Benchmark):
    """Every instance with each variant that it has, and the target."""
    for split in benchmark.splits:
        for instance in benchmark.instances(split):
            for variant in VARIANTS.values():
                target = variants.target(instance, variant)
                if target is not None:
                    yield instance, variant, target


def test_every_registered_family_has_a_fixture() -> None:
    missing = set(registry.names(registry.FAMILIES)) - FAMILY_FIXTURES.keys()
    assert not missing, (
        f"no benchmark to test {', '.join(missing)} on: write a session fixture in tests/conftest.py that "
        "returns the folder of a small one, and add its name to tests/support/family_fixtures.py"
    )


def test_gold_scores_one_and_nonsense_zero(any_benchmark: Benchmark) -> None:
    for instance, variant, target in instances_by_variant(any_benchmark):
        family = any_benchmark.family_of(instance)
        assert family.grade(instance, target, family.gold(instance, variant)).value == 1
        assert family.grade(instance, target, family.respond(target)).value == 1
        for nonsense in ("", "Case", r"\boxed{}", r"\boxed{no such answer}", "{" * 500, r"\boxed{" * 500):
            assert family.grade(instance, target, nonsense).value == 0


def test_exactly_one_of_the_possible_answers_is_correct(any_benchmark: Benchmark) -> None:
    for instance, variant, target in instances_by_variant(any_benchmark):
        family = any_benchmark.family_of(instance)
        answers = family.answers(instance, variant)
        if answers:
            values = {a: family.grade(instance, target, family.respond(a)).value for a in answers}
            assert sorted(values.values()) == [0] * (len(answers) - 1) + [1]
            assert values[target] == 1


WRAPPERS = (
    r"\text{%s}", r"\textbf{%s}", r"\mathsf{%s}", "%s.", '"%s"', "“%s”", "```json\n%s\n```", r"\text{**%s**}",
    "(%s)", "$%s$", r"\(%s\)", "*%s*",
)  # fmt: skip
BOXES = (
    r"\fbox{%s}", r"\boxed {%s}", r"\boxed{\boxed{%s}}", r"\boxed{%s} in \boxed{", "<answer>%s</answer>",
    "<|begin_of_box|>%s<|end_of_box|>", r"<thinking>a</thinking>$\boxed{%s}$",
)  # fmt: skip


def test_the_form_of_the_box_and_wrappers_inside_do_not_change_the_grade(any_benchmark: Benchmark) -> None:
    for split in any_benchmark.splits:
        instances = any_benchmark.instances(split)[:8]
        for answer in {i.target for i in instances} | {f"{i.target}0" for i in instances}:
            for instance in instances:
                family = any_benchmark.family_of(instance)
                if boxed(family.respond(answer)) is None:
                    continue
                bare = family.grade(instance, instance.target, in_box(answer)).value
                assert (bare == 1) == (answer == instance.target)
                for wrapper in WRAPPERS:
                    assert family.grade(instance, instance.target, in_box(wrapper % answer)).value == bare
                for box in BOXES:
                    assert family.grade(instance, instance.target, box % answer).value == bare


def test_an_override_has_the_same_name_and_another_answer(any_benchmark: Benchmark) -> None:
    for split in ("train", "test") if any_benchmark.policies else ():
        instances = any_benchmark.instances(split)
        assert 2 * sum(i.override is not None for i in instances) > len(instances)
        for instance in instances:
            if instance.override is None:
                continue
            own = any_benchmark.policies[instance.policy_id]
            replacing = any_benchmark.policies[instance.override.policy_id]
            assert replacing.replaces == own.id
            assert replacing.name == own.name
            assert instance.override.target != instance.target


def test_a_prompt_is_the_query_after_the_policy_if_the_variant_shows_it(any_benchmark: Benchmark) -> None:
    for instance, variant, _ in instances_by_variant(any_benchmark):
        prompt = variants.prompt(instance, variant, any_benchmark.policies)
        if instance.policy_id is None:
            assert prompt is None or prompt.parts == instance.query
            continue
        assert prompt is not None
        governing = any_benchmark.policies[variants.policy_id(instance, variant)]  # type: ignore[index]
        assert prompt.parts == (governing.content if variant.shown else ()) + instance.query


def test_splits_share_no_instance_and_no_picture(any_benchmark: Benchmark) -> None:
    splits = [any_benchmark.instances(split) for split in any_benchmark.splits]
    ids = [i.id for split in splits for i in split]
    assert len(ids) == len(set(ids))
    pictures = [{p.value for i in split for p in i.query if p.kind == "image"} for split in splits]
    hashes = [{any_benchmark.manifest.files[path] for path in paths} for paths in pictures]
    for one in range(len(hashes)):
        for other in range(one):
            assert not hashes[one] & hashes[other]


def test_records_survive_json(any_benchmark: Benchmark) -> None:
    for split in any_benchmark.splits:
        for instance in any_benchmark.instances(split):
            assert msgspec.json.decode(msgspec.json.encode(instance), type=Instance) == instance


def test_groups_are_strings_for_every_variant(any_benchmark: Benchmark) -> None:
    for instance, variant, _ in instances_by_variant(any_benchmark):
        groups = any_benchmark.family_of(instance).groups(instance, variant)
        assert all(isinstance(member, str) for member in groups.values())


def test_show_draws_an_instance_of_every_family(any_benchmark: Benchmark, tmp_path: Path) -> None:
    instance = any_benchmark.instances("test")[0]
    cli.show(str(any_benchmark.folder), instance.id, png=tmp_path / "instance.png")
    assert (tmp_path / "instance.png").stat().st_size > 1000
    assert instance.id in show.terminal(any_benchmark, instance, colors=False)
