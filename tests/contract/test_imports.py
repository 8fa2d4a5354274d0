"""The shape of the house: who may import whom, what stays unloaded, and which rooms there are not."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("clevrpolicy", "gtapolicy", "harness", "leaderboards", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAY_IMPORT = {package: {package, "harness"} for package in PACKAGES}
"""Families, trainer and boards stand on the harness, which knows none of them; none knows another."""
BASE = ROOT / "training" / "base"
"""May import clevrpolicy too: the base model is made to read its scenes and its policies' words."""
HEAVY = {"torch", "transformers", "pyrender", "trimesh", "matplotlib"}
"""Loaded only by the code that uses them, so that a command answers at once."""
NO_ROOMS = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    found = {name.partition(".")[0] for name in imported(parsed(path))}
    allowed = MAY_IMPORT[package] | ({"clevrpolicy"} if path.is_relative_to(BASE) else set())
    assert found.intersection(PACKAGES) <= allowed
    assert not found & {"tests", "examples"}


def test_a_forbidden_import_would_be_found() -> None:
    source = "def f():\n    from gtapolicy.policy.rules import x, y\n    import torch.nn"
    assert list(imported(ast.parse(source))) == [
        "gtapolicy.policy.rules.x",
        "gtapolicy.policy.rules.y",
        "torch.nn",
    ]


def test_no_two_files_need_each_other() -> None:
    modules = {module(path) for path in FILES}
    # `from a.b import c` is of the file a/b/c.py, or else of a/b.py.
    needs = {
        module(path): {
            name if name in modules else name.rpartition(".")[0] for name in imported(parsed(path))
        }
        & modules
        for path in FILES
    }
    TopologicalSorter(needs).prepare()  # raises CycleError, which names the files


@pytest.mark.parametrize(
    "module", [*PACKAGES, "clevrpolicy.cli", "clevrpolicy.grading.family", "harness.cli", "harness.run"]
)
def test_heavy_packages_wait_until_they_are_used(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_no_room_is_called_anything_goes() -> None:
    names = {part.removesuffix(".py") for path in FILES for part in path.relative_to(ROOT).parts}
    assert not names & NO_ROOMS
