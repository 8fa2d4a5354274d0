"""Progress of long work: a bar on a terminal; elsewhere, such as in a log file, a line every 30 seconds."""

import sys
from typing import Any

from tqdm import tqdm

LINE_INTERVAL = 30.0
LINE = "{desc}: {n_fmt} of {total_fmt} after {elapsed}, {remaining} left{postfix}"


class Bar(tqdm):  # type: ignore[misc]
    """tqdm with lines for files and pipes."""

    # True after --quiet.
    quiet = False

    def __init__(self, *args: Any, **options: Any) -> None:
        if self.quiet or options.get("total") == 0:  # nothing will be done
            options["disable"] = True
        elif not sys.stderr.isatty():
            pause = {"mininterval": LINE_INTERVAL, "maxinterval": LINE_INTERVAL}
            options |= {"file": _Lines(), "bar_format": LINE, "position": 0, **pause}
        super().__init__(*args, **options)


class _Lines:
    """Standard error for tqdm, which otherwise moves back to the beginning of its line."""

    def write(self, text: str) -> None:
        if line := text.strip():
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        pass


def note(message: str) -> None:
    """Writes a line to standard error, above the bars."""
    tqdm.write(message, file=sys.stderr)
