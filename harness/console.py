"""How every command of the project ends: a sentence and exit code 2 for a user's error, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import tyro

from harness.errors import UserError


def command_line(commands: dict[str, Callable[..., Any]], prog: str, description: str) -> None:
    """Parses the arguments, runs the command that they name and exits."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands, prog=prog, description=description, config=(tyro.conf.OmitArgPrefixes,)
        )
    except UserError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\n{prog}: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) left; without this Python complains once more while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
