"""A run's folder, read as a stranger's: plain files only, bounded in size, every record checked.

Nothing is unpacked, followed or executed: an archive, a link or a file that is too large is refused by name
before it is read.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from harness.errors import UserError
from harness.judge.summary import Judgement
from harness.records import Json, Report, Response, Run, Score, Session

T = TypeVar("T")
MIB = 1 << 20
LARGEST = 1024 * MIB
"""Of a file of records, in bytes."""
LARGEST_JSON = 64 * MIB
LONGEST_LINE = 16 * MIB
MOST_LINES = 2_000_000
MOST_JUDGEMENTS = 16
LONGEST_NAME = 400
LARGEST_SETTINGS = 64 << 10
DEEPEST = 16
"""Of what describes a backend or a training and is shown as it is."""
CHECKPOINTS = "hf", "vllm"
"""Backends whose argument may be a local checkpoint's folder, with its training.json."""


class Refused(UserError):
    """Why a run is not taken: each reason a sentence."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("refused:\n" + "\n".join(f"- {reason}" for reason in reasons))


class Judged(NamedTuple):
    """What a language model said of a run, and the figures that were made of it."""

    name: str
    judgement: Judgement
    verdicts: Sequence[Response]


@dataclass(frozen=True, slots=True)
class Submission:
    """What a run's folder holds."""

    name: str
    run: Run
    report: Report
    scores: Sequence[Score]
    responses: Sequence[Response]
    """One line each; a request that failed and was made again is there twice."""
    sessions: Sequence[Session]
    judged: Sequence[Judged]
    training: Json | None
    """How the model was made, from training.json in the run's folder or beside the checkpoint."""


def read(folder: Path) -> Submission:
    """Raises Refused where the folder is not a finished run that can be read within the limits."""
    if not folder.is_dir():
        what = "no such folder" if not folder.exists() else "a file; archives are not read"
        raise Refused([f"{folder}: expected the folder of a run, got {what}"])
    run = read_json(folder / "run.json", Run)
    judgements = sorted(folder.glob("judgement.*.json"))
    if len(judgements) > MOST_JUDGEMENTS:
        raise Refused([f"expected at most {MOST_JUDGEMENTS} judgements, got {len(judgements)}"])
    report = read_json(folder / "report.json", Report)
    _describable("backend", report.backend)
    for name in ("model", "benchmark"):
        if len(getattr(run, name)) > LONGEST_NAME:
            raise Refused([f"{name}: expected at most {LONGEST_NAME} characters"])
    return Submission(
        name=folder.resolve().name,
        run=run,
        report=report,
        scores=list(read_lines(folder / "scores.jsonl", Score)),
        responses=[_plausible(r) for r in read_lines(folder / "responses.jsonl", Response)],
        sessions=_sessions(folder / "sessions.jsonl"),
        judged=[_judged(path) for path in judgements],
        training=_training(folder, run),
    )


def _sessions(path: Path) -> list[Session]:
    if not path.exists():
        return []
    sessions = list(read_lines(path, Session))
    if not all(0 <= s.requests < 1 << 40 and 0 <= s.seconds < 1e12 for s in sessions):
        raise Refused([f"{path.name}: expected counts and seconds of 0 or more"])
    return sessions


def _judged(path: Path) -> Judged:
    verdicts = path.with_name("verdicts." + path.name.split(".")[1] + ".jsonl")
    said = [_plausible(r) for r in read_lines(verdicts, Response)]
    return Judged(path.name, read_json(path, Judgement), said)


def _training(folder: Path, run: Run) -> Json | None:
    backend, _, argument = run.model.partition(":")
    places = [folder / "training.json"]
    if backend in CHECKPOINTS and argument and "\0" not in argument:
        places.append(Path(argument) / "training.json")
    for path in places:
        if os.path.lexists(path):
            training = read_json(path, dict[str, Any])
            _describable("training.json", training)
            return training
    return None


def _describable(name: str, settings: Json) -> None:
    """A stranger's settings that a page can show; their keys are their own."""
    try:
        fits = len(msgspec.json.encode(settings)) <= LARGEST_SETTINGS and _depth(settings) <= DEEPEST
    except RecursionError:
        fits = False
    if not fits:
        size = LARGEST_SETTINGS >> 10
        raise Refused([f"{name}: expected at most {size} KiB and {DEEPEST} levels"])


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _plausible(response: Response) -> Response:
    """Counts and seconds that no sum or database stumbles over."""
    counts = (
        response.sample,
        response.batch - 1,
        response.prompt_tokens,
        response.cached_tokens,
        response.written_tokens,
        response.completion_tokens,
        response.prefill_seconds,
        response.seconds,
    )
    for value in counts:
        if value is not None and not (0 <= value < 1 << 40 and math.isfinite(value)):
            raise Refused([f"responses: {short(response.instance)} has a count or a time of {value:.4g}"])
    if (response.text is None) == (response.error is None):
        raise Refused([f"responses: {short(response.instance)} should have a text or an error, and not both"])
    return response


def read_json(path: Path, type_: type[T]) -> T:
    """Raises Refused where the file is missing, a link, too large, or not such a record."""
    _check(path, LARGEST_JSON)
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused([f"{path.name}: {error}"]) from error


def read_lines(path: Path, type_: type[T]) -> Iterator[T]:
    """The records of a file, a line at a time."""
    _check(path, LARGEST)
    decoder = msgspec.json.Decoder(type_)
    with path.open("rb") as file:
        for number in range(1, MOST_LINES + 2):
            line = file.readline(LONGEST_LINE)
            if not line:
                return
            where = f"{path.name}, line {number}"
            if not line.endswith(b"\n"):
                raise Refused(
                    [f"{where}: not whole, or longer than {LONGEST_LINE // MIB} MiB; finish the run first"]
                )
            if number > MOST_LINES:
                raise Refused([f"{path.name}: expected at most {MOST_LINES} lines"])
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Refused([f"{where}: {error}"]) from error


def _check(path: Path, largest: int) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise Refused([f"{path.name}: no such file; finish the run with the same eval command"]) from None
    except OSError as error:
        raise Refused([f"{path.name}: cannot be read: {error.strerror}"]) from error
    if not stat.S_ISREG(found.st_mode):
        raise Refused([f"{path.name}: expected a plain file, got a link or something else"])
    if found.st_size > largest:
        size = f"{found.st_size / MIB:,.0f} MiB"
        raise Refused([f"{path.name}: expected at most {largest // MIB} MiB, got {size}; not read"])


def short(name: str, most: int = 60) -> str:
    """A stranger's name for a sentence: printable and not long."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is kept of a submission: files by name, named together by a sha256."""

    files: Mapping[str, bytes]

    @property
    def hashes(self) -> dict[str, str]:
        return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files.items())}

    @property
    def sha256(self) -> str:
        """Of the files that hold what was submitted and recomputed; report.html only draws it."""
        kept = (f"{sha}  {name}\n" for name, sha in self.hashes.items() if name != "report.html")
        return hashlib.sha256("".join(kept).encode()).hexdigest()


def bundle(
    submission: Submission,
    responses: Sequence[Response],
    scores: Sequence[Score],
    report: Report,
    page: str,
) -> Bundle:
    """The responses that count, the scores and the report as recomputed, and what else was submitted."""
    lines = msgspec.json.Encoder().encode_lines
    files = {
        "run.json": _json(report.run),
        "responses.jsonl": lines(list(responses)),
        "sessions.jsonl": lines(list(submission.sessions)),
        "scores.jsonl": lines(list(scores)),
        "report.json": _json(report),
        "report.html": page.encode(),
    }
    for name, judgement, verdicts in submission.judged:
        files[name] = _json(judgement)
        files[name.replace("judgement", "verdicts").replace(".json", ".jsonl")] = lines(list(verdicts))
    if submission.training is not None:
        files["training.json"] = _json(submission.training)
    return Bundle(files)


def run_sha256(run: Run, responses: Sequence[Response]) -> str:
    """Names the run itself, whatever it was scored by: what was asked, and what came back."""
    data = msgspec.json.encode([unplaced(run), list(responses)])
    return hashlib.sha256(data).hexdigest()


def unplaced(run: Run) -> Run:
    """Without the place on a machine where its benchmark lay."""
    return replace(run, benchmark=Path(run.benchmark).name)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
