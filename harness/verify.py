"""`harness verify`: checks that a benchmark is complete, readable and consistent with its own rules."""

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.manifest import refuse_repeated
from harness.progress import Bar
from harness.records import Instance
from harness.text import reason
from harness.variants import Variant


def verify(benchmark: Benchmark) -> str:
    """Returns a sentence about what was checked. Raises UserError with the first error."""
    total = sum(1 for _ in benchmark.files())
    for path in Bar(benchmark.files(), desc="files", unit="", total=total):
        benchmark.check(path)
    for policy in benchmark.policies.values():
        for part in policy.content:
            if part.kind == "image":
                benchmark.image(part.value)
    graded, ids = 0, set[str]()
    for split in benchmark.splits:
        parts = benchmark.parts(split)
        with Bar(desc=split, unit="", total=sum(parts.values())) as progress:
            for file in parts:
                refuse_repeated(benchmark.folder / file, (i.id for i in benchmark.instances_of(file)), ids)
                graded += _check_instances(benchmark, file, progress)
    return f"{benchmark.folder}: {total} files match the manifest, {graded} gold responses score 1"


def _check_instances(benchmark: Benchmark, part: str, progress: Bar) -> int:
    """Reads the images of one file of instances, and grades the gold responses. Returns their number."""
    graded = 0
    instances = benchmark.instances_of(part)
    for image in dict.fromkeys(p.value for i in instances for p in i.query if p.kind == "image"):
        benchmark.image(image)
    for instance in instances:
        for variant in variants.VARIANTS.values():
            target = variants.target(instance, variant)
            if target is None:
                continue
            if error := _gold_error(benchmark, instance, variant, target):
                raise UserError(
                    f"{instance.id}: expected its gold response to score 1 under {variant.name}, {error}"
                )
            graded += 1
        progress.update()
    return graded


def _gold_error(benchmark: Benchmark, instance: Instance, variant: Variant, target: str) -> str | None:
    try:
        gold = benchmark.family_of(instance).gold(instance, variant)
    # Families are third-party code, so any exception may occur.
    except Exception as error:
        return f"but it cannot be written: {reason(error)}"
    grade = benchmark.grade(instance, target, gold)
    return None if grade.value == 1 else f"got {grade.reason if grade.value is None else grade.value}"
