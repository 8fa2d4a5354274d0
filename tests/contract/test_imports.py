"""The structure of the code: which package may import which, lazy imports, and names of modules."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("clevrpolicy", "gtapolicy", "harness", "leaderboards", "training")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Families, trainer and boards depend on the harness only, and the harness depends on none of them.
MAY_IMPORT = {package: {package, "harness"} for package in PACKAGES}
# May import clevrpolicy too, because the base model is trained on its scenes and the words of its policies.
BASE = ROOT / "training" / "base"
# Loaded only by the code that uses them, so that commands start fast.
HEAVY = {"torch", "transformers", "pyrender", "trimesh", "matplotlib"}
# Not loaded by --help, which describes arguments only.
NOT_FOR_HELP = HEAVY | {"numpy", "PIL", "jinja2", "tabulate"}
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
# Prints what the help of a program and of all its commands loads.
EVERY_HELP = """
import contextlib, importlib, io, sys
from harness import console
run = console.command_line
def every_help(commands, **words):
    for name in ([], *([name] for name in commands)):
        sys.argv[1:] = [*name, "--help"]
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as help:
            run(commands, **words)
        assert "usage: " in help.getvalue()
console.command_line = every_help
importlib.import_module(sys.argv[1]).main()
print(*sys.modules)
"""
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a file imports, also inside functions."""
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
def test_packages_import_only_what_they_may(path: Path) -> None:
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


def test_there_are_no_import_cycles() -> None:
    modules = {module(path) for path in FILES}
    # `from a.b import c` imports the file a/b/c.py if it exists, otherwise a/b.py.
    imports = {
        module(path): {
            name if name in modules else name.rpartition(".")[0] for name in imported(parsed(path))
        }
        & modules
        for path in FILES
    }
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the files


@pytest.mark.parametrize(
    "module", [*PACKAGES, "clevrpolicy.cli", "clevrpolicy.grading.family", "harness.cli", "harness.run"]
)
def test_heavy_packages_are_not_loaded_before_they_are_used(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


@pytest.mark.parametrize("program", SCRIPTS)
def test_help_loads_nothing_that_takes_long(program: str) -> None:
    module, _, _ = SCRIPTS[program].partition(":")
    command = [sys.executable, "-c", EVERY_HELP, module]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert NOT_FOR_HELP.intersection(done.stdout.split()) == set()


def test_no_module_has_a_vague_name() -> None:
    names = {part.removesuffix(".py") for path in FILES for part in path.relative_to(ROOT).parts}
    assert not names & VAGUE_NAMES
