"""Runs the project's commands from this checkout: a machine with carried wheels has no programs for them."""

import os
import subprocess
import sys


def run(package: str, *arguments: object, **environment: str) -> None:
    """Runs the command of a package, such as `training`, with its output on standard error."""
    command = [sys.executable, "-c", f"from {package}.cli import main; main()", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | environment)
