"""`harness verify`: checks that a benchmark is complete, readable and consistent with its own rules."""

from tqdm import tqdm

from harness import variants
from harness.errors import UserError
from harness.files.benchmark import Benchmark


def verify(benchmark: Benchmark) -> str:
    """Returns a sentence about what was checked. Raises UserError with the first error."""
    files = benchmark.manifest.files
    shown = {part.value for policy in benchmark.policies.values() for part in policy.content}
    shown |= {part.value for s in benchmark.splits for i in benchmark.instances(s) for part in i.query}
    for path in tqdm(files, desc="files", unit=""):
        if path in shown:
            benchmark.image(path)
        else:
            benchmark.check(path)
    graded = 0
    for split in benchmark.splits:
        for instance in tqdm(benchmark.instances(split), desc=split, unit=""):
            for variant in variants.VARIANTS.values():
                target = variants.target(instance, variant)
                if target is None:
                    continue
                family = benchmark.family_of(instance)
                grade = family.grade(instance, target, family.gold(instance, variant))
                if grade.value != 1:
                    raise UserError(
                        f"{instance.id}: expected its gold response to score 1 under {variant.name}, "
                        f"got {grade.value}"
                    )
                graded += 1
    return f"{benchmark.folder}: {len(files)} files match the manifest, {graded} gold responses score 1"
