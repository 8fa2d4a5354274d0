"""`gtapolicy generate` and `gtapolicy import`: create a benchmark from generated or imported dialogs."""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec
from tqdm import tqdm

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
from gtapolicy.scenarios.tips import with_tips
from harness import seeds
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.names import pronounceable

# Number of dialogs of a random policy at scale 1, as many as GTA has.
QUERIES = 229
# Number of plain dialogs for each tool that no other dialog calls, at scale 1.
PLAIN_QUERIES = 16
JPEG_QUALITY = 90


def generate(out: Path, config: GenerateConfig) -> Manifest:
    """Generates a benchmark with invented dialogs in `out`, or resumes an interrupted one."""
    pair, scenarios = _policies(config), Scenarios(config.scenarios)
    dialogs = _dialogs(config, pair.table, scenarios)

    def picture(path: str) -> bytes:
        file = io.BytesIO()
        scenarios.picture(config.seed, path).save(file, "JPEG", quality=JPEG_QUALITY)
        return file.getvalue()

    return _write(out, config, "made up", pair, dialogs, picture, scenarios.digest)


def import_gta(gta: Path, out: Path, config: PolicyConfig) -> tuple[Manifest, list[str]]:
    """Creates a benchmark from the dialogs of the real GTA. Also returns a message for each skipped entry."""
    pair = _policies(config)
    dialogs, pictures, skipped = importer.read(gta, pair.table)
    return _write(out, config, "GTA", pair, dialogs, pictures.__getitem__), skipped


def _write(
    out: Path,
    config: PolicyConfig,
    source: str,
    pair: PolicyPair,
    dialogs: Sequence[Dialog],
    picture: Callable[[str], bytes],
    scenarios: str = "",
) -> Manifest:
    # The manifest contains the digests of the rules and of the user's scenarios, not their paths.
    content = hashlib.sha256(msgspec.json.encode(pair.table)).hexdigest()
    paper = rules.load()
    rules_id = "paper" if pair.table in (paper, with_tips(paper)) else content
    fields = {**asdict(config), "rules": rules_id}
    if isinstance(config, GenerateConfig):
        fields["scenarios"] = scenarios
    spec = BenchmarkSpec(FAMILY, {"dialogs": source, **fields}, {})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        paths = dict.fromkeys(path for dialog in dialogs for path in dialog.images)
        for path in tqdm(paths, desc="pictures", unit=""):
            if not (out / path).exists():
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                store.write(out / path, picture(path))
        return instances.write(out, spec, pair, dialogs, seeds.rng(config.seed, FAMILY, "instances"))


def _policies(config: PolicyConfig) -> PolicyPair:
    rng = seeds.rng(config.seed, FAMILY, "policy")
    if isinstance(config, GenerateConfig) and config.invented_tools:
        table = random_table(config.invented_tools, config.invented_rules, rng)
    else:
        table = rules.load(config.rules)
        # The calls of the real GTA do not always follow these tips.
        table = with_tips(table) if isinstance(config, GenerateConfig) else table
    name = f"GTA-{pronounceable(rng, onsets='bdfgklmnprstvz')}"
    return PolicyPair(name, table, make_override(table, rng, config.override_bands))


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
