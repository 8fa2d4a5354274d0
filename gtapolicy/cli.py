"""The `gtapolicy` command: generate, import, show, rules."""

from __future__ import annotations

import sys
from pathlib import Path

from tyro.conf import Positional

from gtapolicy.dataset.config import Config, GeneratedConfig
from gtapolicy.dataset.generate import generate as generate_benchmark
from gtapolicy.dataset.generate import import_gta
from gtapolicy.policy import rules, wording
from harness.console import command_line
from harness.files.benchmark import summary
from harness.show import show


def generate(out: Positional[Path], /, config: GeneratedConfig) -> None:
    """Make a benchmark of made-up dialogs in GTA's shape. Interrupted, the same command goes on.

    Its scores are not comparable with the paper's, which are on the real GTA: see `gtapolicy import`.

    Args:
        out: Folder of the new benchmark.
        config: What it is made of.
    """
    print(summary(out, generate_benchmark(out, config)))


def import_(gta: Positional[Path], out: Positional[Path], /, config: Config) -> None:
    """Make a benchmark of the real GTA from a local copy: the paper's own setting.

    Args:
        gta: Folder with GTA's dataset.json and image/.
        out: Folder of the new benchmark.
        config: What it is made of.
    """
    manifest, skipped = import_gta(gta, out, config)
    for line in skipped:
        print(line, file=sys.stderr)
    print(f"{len(skipped)} entries skipped")
    print(summary(out, manifest))


def rules_(file: Positional[Path | None] = None, /) -> None:
    """Check a file of rules and print the policy's text.

    Args:
        file: A table of tools and rules; the paper's by default.
    """
    print(wording.policy_text(rules.load(file), "Example"), end="")


def main() -> None:
    command_line(
        {"generate": generate, "import": import_, "show": show, "rules": rules_},
        prog="gtapolicy",
        description="Versioned, user-conditional tool rules, with instances in the shape of GTA.",
    )
