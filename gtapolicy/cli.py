"""The `gtapolicy` command: generate, import, show, rules."""

import sys
from pathlib import Path

from tyro.conf import Positional

from gtapolicy.dataset.config import GenerateConfig, PolicyConfig
from harness.cli import show
from harness.console import command_line
from harness.engine import BlocksConfig


def generate(out: Positional[Path], /, config: GenerateConfig, engine: BlocksConfig) -> None:
    """Generate a benchmark with invented dialogs and pictures that resemble GTA.

    If it is interrupted, run the same command again to resume. The scores are not comparable with the
    paper's, which are on the real GTA: see `gtapolicy import`.

    Args:
        out: Folder of the new benchmark.
        config: Policy and size of the benchmark.
        engine: Which processes draw the pictures.
    """
    from gtapolicy.dataset.generate import DialogGenerator
    from harness.generation.blocks import generate_chosen

    generator = DialogGenerator(config)
    if config.rules and generator.scenarios.left_out:
        print(f"--rules: {generator.scenarios.left_out}", file=sys.stderr)
    print(generate_chosen(out, generator, engine))


def import_(gta: Positional[Path], out: Positional[Path], /, config: PolicyConfig) -> None:
    """Create a benchmark from a local copy of the real GTA, as in the paper.

    Args:
        gta: Folder with GTA's dataset.json and image/.
        out: Folder of the new benchmark.
        config: Policy of the benchmark.
    """
    from gtapolicy.dataset.generate import import_gta
    from harness.files.benchmark import summary

    manifest, skipped = import_gta(gta, out, config)
    for message in skipped:
        print(message, file=sys.stderr)
    print(f"{len(skipped)} entries skipped")
    print(summary(out, manifest))


def rules_(file: Positional[Path | None] = None, /) -> None:
    """Check a file of rules and print the text of its policy.

    Args:
        file: TOML file with tools and rules. Default: the paper's.
    """
    from gtapolicy.policy import rules, wording

    print(wording.policy_text(rules.load(file), "Example"), end="")


def main() -> None:
    command_line(
        {"generate": generate, "import": import_, "show": show, "rules": rules_},
        prog="gtapolicy",
        description="Policies that decide which version of a tool a user may call.",
    )
