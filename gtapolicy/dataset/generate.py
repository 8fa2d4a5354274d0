"""`gtapolicy generate` and `gtapolicy import`: dialogs made up or read from GTA, then the same for both."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
from PIL import Image
from tqdm import tqdm

from gtapolicy import scenarios
from gtapolicy.dataset import importer, instances, plain_dialogs
from gtapolicy.dataset.config import Config, GeneratedConfig
from gtapolicy.dataset.dialogs import Dialog
from gtapolicy.dataset.instances import FAMILY, Rules
from gtapolicy.policy import override, random_rules, rules
from gtapolicy.policy.rules import Table
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.names import pronounceable
from harness.seeds import rng

QUERIES = 229
"""GTA's, and an invented policy's too."""
OWN_QUERIES = 16
"""For each tool that no query of GTA's kinds asks for."""
QUALITY = 90
"""Of the JPEG files."""


def generate(out: Path, config: GeneratedConfig) -> Manifest:
    """Makes a benchmark of made-up dialogs in out, or goes on with an interrupted one."""
    chosen = _rules(config)
    begun = BenchmarkSpec(FAMILY, {"dialogs": "made up", **_facts(config)}, {})
    finished = benchmark.begin(out, begun)
    if finished is not None:
        return finished
    dialogs = _dialogs(config, chosen.table)
    _draw(out, dialogs, lambda path: scenarios.picture(config.seed, path))
    return instances.write(out, begun, chosen, dialogs, rng(config.seed, FAMILY, "instances"))


def _dialogs(config: GeneratedConfig, table: Table) -> list[Dialog]:
    """GTA's kinds of query where the table has their tools as GTA has; plain requests for all other tools."""
    draw = rng(config.seed, FAMILY, "plain")
    if config.invented_tools:
        return list(plain_dialogs.dialogs(table.tools, QUERIES * config.scale, draw))
    calls = {tool.name: tool.arguments for tool in rules.load().tools}
    same = {tool.name for tool in table.tools if calls.get(tool.name) == tool.arguments}
    made = scenarios.dialogs(config.seed, config.scale)
    kept = [dialog for dialog in made if all(step.tool in same for step in dialog.steps)]
    asked = {step.tool for dialog in kept for step in dialog.steps}
    own = [tool for tool in table.tools if tool.name not in asked]
    return kept + list(plain_dialogs.dialogs(own, OWN_QUERIES * len(own) * config.scale, draw))


def import_gta(gta: Path, out: Path, config: Config) -> tuple[Manifest, list[str]]:
    """Makes a benchmark of the real GTA's dialogs; also what had to be skipped, each with its reason."""
    chosen = _rules(config)
    begun = BenchmarkSpec(FAMILY, {"dialogs": "GTA", **_facts(config)}, {})
    dialogs, skipped = importer.read(gta, chosen.table)
    finished = benchmark.begin(out, begun)
    if finished is None:
        _draw(out, dialogs, lambda path: _opened(gta / path))
        finished = instances.write(out, begun, chosen, dialogs, rng(config.seed, FAMILY, "instances"))
    return finished, skipped


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise UserError(f"{path}: not a readable image: {error}") from error


def _facts(config: Config) -> dict[str, object]:
    """The configuration, a file of rules by its content."""
    facts: dict[str, object] = msgspec.to_builtins(replace(config, rules=None))
    return {**facts, "rules": "paper" if config.rules is None else store.sha256(config.rules)}


def _rules(config: Config) -> Rules:
    draw = rng(config.seed, FAMILY, "policy")
    if isinstance(config, GeneratedConfig) and config.invented_tools:
        table = random_rules.invented(config.invented_tools, config.invented_rules, draw)
    else:
        table = rules.load(config.rules)
    name = f"GTA-{pronounceable(draw, onsets='bdfgklmnprstvz')}"
    return Rules(name, table, override.overridden(table, draw, config.override_bands))


def _draw(out: Path, dialogs: Sequence[Dialog], picture: Callable[[str], Image.Image]) -> None:
    """Every image that is not there yet; each is written whole or not at all."""
    wanted = dict.fromkeys(path for dialog in dialogs for path in dialog.images)
    for path in tqdm(wanted, desc="pictures", unit=""):
        if not (out / path).exists():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            picture(path).save(data, "JPEG", quality=QUALITY)
            store.write(out / path, data.getvalue())
