"""`gtapolicy generate` and `gtapolicy import`: create a benchmark from generated or imported dialogs."""

import hashlib
import io
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from gtapolicy.dataset import importer, instances
from gtapolicy.dataset.config import GenerateConfig, PolicyConfig
from gtapolicy.dataset.dialogs import Dialog
from gtapolicy.dataset.instances import FAMILY, PolicyPair
from gtapolicy.dataset.plain_dialogs import plain_dialogs
from gtapolicy.policy import rules
from gtapolicy.policy.override import make_override
from gtapolicy.policy.random_rules import random_table
from gtapolicy.policy.rules import RuleTable
from gtapolicy.scenarios import Scenarios
from harness import seeds
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.names import pronounceable
from harness.progress import Bar

# Number of dialogs of a random policy at scale 1, as many as GTA has.
QUERIES = 229
# Number of plain dialogs for each tool that no other dialog calls, at scale 1.
PLAIN_QUERIES = 16
JPEG_QUALITY = 90


def generate(out: Path, config: GenerateConfig) -> Manifest:
    """Generates a benchmark with invented dialogs in `out`, or resumes an interrupted one."""
    scenarios, rng = Scenarios(config.scenarios), seeds.rng(config.seed, FAMILY, "policy")
    if config.invented_tools:
        table = random_table(config.invented_tools, config.invented_rules, rng)
    else:
        table = scenarios.with_tips(rules.load(config.rules))
    dialogs = _dialogs(config, table, scenarios)

    def picture(path: str) -> bytes:
        file = io.BytesIO()
        scenarios.picture(config.seed, path).save(file, "JPEG", quality=JPEG_QUALITY)
        return file.getvalue()

    fields = {"dialogs": "made up", **asdict(config), "scenarios": scenarios.digest}
    return _write(out, config, fields, _pair(table, rng, config), dialogs, picture)


def import_gta(gta: Path, out: Path, config: PolicyConfig) -> tuple[Manifest, list[str]]:
    """Creates a benchmark from the dialogs of the real GTA. Also returns a message for each skipped entry."""
    # Without the tips of generated dialogs, because the calls of the real GTA do not always follow them.
    pair = _pair(rules.load(config.rules), seeds.rng(config.seed, FAMILY, "policy"), config)
    dialogs, pictures, skipped = importer.read(gta, pair.table)
    fields = {"dialogs": "GTA", **asdict(config)}
    return _write(out, config, fields, pair, dialogs, pictures.__getitem__), skipped


def _pair(table: RuleTable, rng: random.Random, config: PolicyConfig) -> PolicyPair:
    name = f"GTA-{pronounceable(rng, onsets='bdfgklmnprstvz')}"
    return PolicyPair(name, table, make_override(table, rng, config.override_bands))


def _write(
    out: Path,
    config: PolicyConfig,
    fields: dict[str, object],
    pair: PolicyPair,
    dialogs: Sequence[Dialog],
    picture: Callable[[str], bytes],
) -> Manifest:
    # The manifest contains the digest of the user's rules, not their path.
    table = rules.load(config.rules)
    digest = hashlib.sha256(msgspec.json.encode(table)).hexdigest()
    spec = BenchmarkSpec(FAMILY, {**fields, "rules": "paper" if table == rules.load() else digest}, {})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        paths = dict.fromkeys(path for dialog in dialogs for path in dialog.images)
        for path in Bar(paths, desc="pictures", unit=""):
            if not (out / path).exists():
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                store.write(out / path, picture(path))
        return instances.write(out, spec, pair, dialogs, seeds.rng(config.seed, FAMILY, "instances"))


def _dialogs(config: GenerateConfig, table: RuleTable, scenarios: Scenarios) -> list[Dialog]:
    """The generated dialogs whose tools and tips are in the table, and plain dialogs for its other tools.

    A tool of the table is treated as a tool of GTA only if it has the same arguments.
    """
    rng = seeds.rng(config.seed, FAMILY, "plain")
    if config.invented_tools:
        return list(plain_dialogs(table.tools, QUERIES * config.scale, rng))
    gta_arguments = {tool.name: tool.arguments for tool in rules.load().tools}
    same = {t.name for t in table.tools if gta_arguments.get(t.name, t.arguments) == t.arguments}
    candidates = scenarios.dialogs(config.seed, config.scale)
    tips = {"", *(tip.name for tip in table.tips)}
    dialogs = [d for d in candidates if all(step.tool in same and step.tip in tips for step in d.steps)]
    called = {step.tool for dialog in dialogs for step in dialog.steps}
    others = [tool for tool in table.tools if tool.name not in called]
    return dialogs + list(plain_dialogs(others, PLAIN_QUERIES * len(others) * config.scale, rng))
