"""`gtapolicy generate` and `gtapolicy import`: create a benchmark from generated or imported dialogs.

    for each dialog, in worker processes    draw it and its pictures
    for each block that has all dialogs     sample a profile for each dialog, write an instance for each call

harness/generation/blocks.py runs these steps for `generate`, and resumes them.
"""

import hashlib
import io
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import msgspec

from gtapolicy.dataset import importer, instances
from gtapolicy.dataset.config import GenerateConfig, PolicyConfig
from gtapolicy.dataset.dialogs import Dialog, sample_test
from gtapolicy.dataset.instances import FAMILY, PolicyPair
from gtapolicy.policy import rules
from gtapolicy.policy.override import make_override
from gtapolicy.policy.random_rules import random_table
from gtapolicy.policy.rules import RuleTable
from gtapolicy.scenarios import Scenarios
from harness import seeds
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.generation.blocks import BLOCK, Block, Generator, block_folder, share
from harness.generation.jobs import Job, JobResult
from harness.generation.names import pronounceable
from harness.progress import Bar

JPEG_QUALITY = 90


class DialogGenerator(Generator[Block]):
    """Generates a benchmark with invented dialogs."""

    unit = "dialogs"

    def __init__(self, config: GenerateConfig) -> None:
        self.config, self.sizes = config, {"train": config.train, "test": config.test}
        self.count = -(-sum(self.sizes.values()) // BLOCK)
        self.scenarios, self.pair = _source(config)
        self.spec = _spec(config, {"dialogs": "generated", "scenarios": self.scenarios.digest})

    def block(self, number: int) -> Block:
        return Block(number, block_folder(number, self.count), share(self.sizes, number, self.count))

    def jobs(self, out: Path, block: Block) -> list[Job]:
        # Workers may run in another folder.
        given = {name: getattr(self.config, name) for name in ("rules", "scenarios")}
        config = replace(self.config, **{name: path and path.resolve() for name, path in given.items()})
        return [DialogJob(config, str(number), block.folder) for number in self._calls(block)]

    def write(self, out: Path, block: Block, results: Sequence[JobResult]) -> None:
        drawn = (msgspec.json.decode(result.record, type=Dialog) for result in results)
        calls = self._calls(block).values()
        dialogs = [replace(d, steps=d.steps[:n]) for d, n in zip(drawn, calls, strict=True)]
        rng = seeds.rng(self.config.seed, FAMILY, "instances", block.number)
        instances.write(out, block, self.pair, dialogs, rng)

    def _calls(self, block: Block) -> dict[int, int]:
        """The numbers of the dialogs of a block, and how many of their calls are asked.

        The blocks take rounds in turn. A dialog is left out if its split already has enough calls.
        """
        missing = {split: len(numbers) for split, numbers in block.numbers.items()}
        found, size = {}, self.scenarios.queries
        rounds = (range(n * size, (n + 1) * size) for n in itertools.count(block.number, self.count))
        for number in itertools.chain.from_iterable(rounds):
            outline = self.scenarios.outline(self.config.seed, number)
            if calls := min(outline.scenario.calls, missing[outline.split]):
                found[number] = calls
                missing[outline.split] -= calls
            if not any(missing.values()):
                break
        return found


@dataclass(frozen=True, slots=True)
class DialogJob:
    """Draws a dialog and its pictures. Its record is the dialog."""

    config: GenerateConfig
    # The number of the dialog.
    name: str
    # That of its block.
    folder: str

    def run(self, alone: bool) -> tuple[Mapping[str, bytes], msgspec.Raw]:
        (scenarios, _), seed, number, files = _source(self.config), self.config.seed, int(self.name), {}
        for path, view in scenarios.views(seed, number).items():
            file = io.BytesIO()
            view.image().save(file, "JPEG", quality=JPEG_QUALITY)
            files[self.folder + path] = file.getvalue()
        return files, msgspec.Raw(msgspec.json.encode(scenarios.dialog(seed, number)))


@cache
def _source(config: GenerateConfig) -> tuple[Scenarios, PolicyPair]:
    """The dialogs of a benchmark, and its policies."""
    table, rng = rules.load(config.rules), seeds.rng(config.seed, FAMILY, "policy")
    scenarios = Scenarios(config.scenarios, table)
    if config.invented_tools:
        table = random_table(config.invented_tools, config.invented_rules, rng)
    else:
        table = scenarios.with_tips(table)
    return scenarios.for_table(table), _pair(table, rng, config)


def import_gta(gta: Path, out: Path, config: PolicyConfig) -> tuple[Manifest, list[str]]:
    """Creates a benchmark from the dialogs of the real GTA. Also returns a message for each skipped entry."""
    # Without the tips of generated dialogs, because the calls of the real GTA do not always follow them.
    pair = _pair(rules.load(config.rules), seeds.rng(config.seed, FAMILY, "policy"), config)
    dialogs, pictures, skipped = importer.read(gta, pair.table)
    spec = _spec(config, {"dialogs": "GTA"})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished, skipped
        for path in Bar(dict.fromkeys(path for dialog in dialogs for path in dialog.images), desc="pictures"):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            store.write(out / path, pictures[path])
        rng = seeds.rng(config.seed, FAMILY, "instances")
        in_test = sample_test([len(dialog.steps) for dialog in dialogs], rng)
        dialogs = [replace(d, split="test" if n in in_test else "train") for n, d in enumerate(dialogs)]
        instances.write(out, Block(0, "", {}), pair, dialogs, rng)
        return benchmark.seal(out, spec), skipped


def _pair(table: RuleTable, rng: random.Random, config: PolicyConfig) -> PolicyPair:
    name = f"GTA-{pronounceable(rng, onsets='bdfgklmnprstvz')}"
    return PolicyPair(name, table, make_override(table, rng, config.override_bands))


def _spec(config: PolicyConfig, fields: Mapping[str, object]) -> BenchmarkSpec:
    """With the digest of the user's rules and scenarios, not their paths."""
    table = rules.load(config.rules)
    digest = hashlib.sha256(msgspec.json.encode(table)).hexdigest()
    own = {**fields, "rules": "paper" if table == rules.load() else digest}
    return BenchmarkSpec(FAMILY, {**asdict(config), **own}, {})
