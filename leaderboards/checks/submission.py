"""Reads the folder of a submitted run without trusting it.

Only regular files within size limits are read, and every record is validated. Archives are not unpacked,
links are not followed, and nothing is executed. A file that is too large is refused before it is read.
"""

import hashlib
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.files.kinds import BENCHMARK, RESPONSES, RUN, TRAINING, kind, refuse
from harness.files.mistakes import mistake
from harness.files.responses import StoredResponses
from harness.judge.summary import Judgement
from harness.records import Json, Report, Response, Run, Score, Session
from harness.text import printable, short

T = TypeVar("T")
SCORES = "scores.jsonl"
MIB = 1 << 20
MAX_JSONL_BYTES = 16 * 1024 * MIB
MAX_JSON_BYTES = 64 * MIB
MAX_LINE_BYTES = 16 * MIB
MAX_SETTINGS_BYTES = 64 << 10
MAX_LINES = 2_000_000
MAX_JUDGEMENTS = 16
# The characters of a model's or a benchmark's name.
MAX_NAME_LENGTH = 400
# The levels of settings that a page displays.
MAX_NESTING = 16
# Larger counts and times are implausible.
MAX_NUMBER = 1 << 40
# Figures may differ by this much, because their last digits depend on the machine that computed them.
TOLERANCE = 1e-6


class Refusal(UserError):
    """Refuses a run for one or more reasons, each of which is one sentence.

    The names of submitted files are other people's, so the reasons are made printable.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(map(printable, reasons))
        super().__init__("refused:\n" + "\n".join(f"- {reason}" for reason in self.reasons))


class SubmittedJudgement(NamedTuple):
    """A language model's judgement of a run, and the verdicts that its figures are computed from."""

    # The printable name of the judgement's file.
    name: str
    judgement: Judgement
    verdicts: Sequence[Response]


@dataclass(frozen=True, slots=True)
class Submission:
    """The content of a run's folder. Responses and scores are in files, since they can be many."""

    name: str
    run: Run
    report: Report
    # With one Score per line.
    scores: Path
    # Several for a request that failed and was repeated.
    responses: StoredResponses
    sessions: Sequence[Session]
    judgements: Sequence[SubmittedJudgement]
    # The content of training.json; None if there is no such file.
    training: Json | None


def read_submission(folder: Path, copies: Path) -> Submission:
    """Raises Refusal if this is not the folder of a finished run, or if it exceeds a limit.

    Responses and scores are copied into another folder, because the submitted one may change.
    """
    if not folder.is_dir():
        found = "no such folder" if not folder.exists() else "a file; archives are not read"
        raise Refusal([f"{folder}: expected the folder of a run, got {found}"])
    if kind(folder) == BENCHMARK:
        refuse(folder, RUN)
    run = read_json(folder / "run.json", Run)
    judgements = sorted(folder.glob("judgement.*.json"))
    if len(judgements) > MAX_JUDGEMENTS:
        raise Refusal([f"expected at most {MAX_JUDGEMENTS} judgements, got {len(judgements)}"])
    report = read_json(folder / "report.json", Report)
    _check_settings("backend", report.backend)
    for field in ("model", "benchmark"):
        if len(getattr(run, field)) > MAX_NAME_LENGTH:
            raise Refusal([f"{field}: expected at most {MAX_NAME_LENGTH} characters"])
    scores, responses = copies / SCORES, copies / RESPONSES
    store.write_lines(scores, read_lines(folder / SCORES, Score))
    store.write_lines(responses, _responses(folder / RESPONSES))
    return Submission(
        name=printable(folder.resolve().name),
        run=run,
        report=report,
        scores=scores,
        responses=StoredResponses(responses),
        sessions=_sessions(folder / "sessions.jsonl"),
        judgements=[_judgement(path) for path in judgements],
        training=_training(folder / TRAINING),
    )


def _responses(path: Path) -> Iterator[Response]:
    """Raises Refusal if a response has numbers that cannot be right, or not either a text or an error."""
    for r in read_lines(path, Response):
        tokens = r.prompt_tokens, r.cached_tokens, r.written_tokens, r.completion_tokens
        for number in (r.sample, r.batch - 1, *tokens, r.prefill_seconds, r.seconds):
            if number is not None and not (0 <= number < MAX_NUMBER and math.isfinite(number)):
                raise Refusal([f"responses: {shown(r.instance)} has a count or a time of {number:.4g}"])
        if (r.text is None) == (r.error is None):
            raise Refusal([f"responses: {shown(r.instance)}: expected either a text or an error"])
        yield r


def _sessions(path: Path) -> list[Session]:
    if not path.exists():
        return []
    sessions = list(read_lines(path, Session))
    if not all(0 <= s.requests < MAX_NUMBER and 0 <= s.seconds < MAX_NUMBER for s in sessions):
        raise Refusal([f"{path.name}: expected plausible counts and seconds of 0 or more"])
    return sessions


def _judgement(path: Path) -> SubmittedJudgement:
    verdicts = path.with_name(verdicts_name(path.name))
    return SubmittedJudgement(printable(path.name), read_json(path, Judgement), list(_responses(verdicts)))


def verdicts_name(judgement: str) -> str:
    """From the name of a judgement's file, the name of the file with its verdicts."""
    return f"verdicts.{judgement.split('.')[1]}.jsonl"


def _training(path: Path) -> Json | None:
    if not os.path.lexists(path):
        return None
    training = read_json(path, dict[str, Any])
    _check_settings(path.name, training)
    return training


def _check_settings(name: str, settings: Json) -> None:
    """Raises Refusal if settings are too large or too deeply nested for a page."""
    try:
        fits = len(msgspec.json.encode(settings)) <= MAX_SETTINGS_BYTES and _depth(settings) <= MAX_NESTING
    except RecursionError:
        fits = False
    if not fits:
        size = MAX_SETTINGS_BYTES >> 10
        raise Refusal([f"{name}: expected at most {size} KiB and {MAX_NESTING} levels of nesting"])


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def read_json(path: Path, type_: type[T]) -> T:
    """Raises Refusal if the file is missing, a link, too large, or does not contain a record of this type."""
    _check_file(path, MAX_JSON_BYTES)
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal([f"{path.name}: {mistake(error, type_)}"]) from error


def read_lines(path: Path, type_: type[T]) -> Iterator[T]:
    """The records of a file with one record per line; raises Refusal like read_json."""
    _check_file(path, MAX_JSONL_BYTES)
    decoder = msgspec.json.Decoder(type_)
    with path.open("rb") as file:
        for number in range(1, MAX_LINES + 2):
            line = file.readline(MAX_LINE_BYTES)
            if not line:
                return
            where = f"{path.name}, line {number}"
            if not line.endswith(b"\n"):
                limit = f"{MAX_LINE_BYTES // MIB} MiB"
                raise Refusal([f"{where}: incomplete or longer than {limit}; finish the run first"])
            if number > MAX_LINES:
                raise Refusal([f"{path.name}: expected at most {MAX_LINES} lines"])
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Refusal([f"{where}: {mistake(error, type_)}"]) from error


def _check_file(path: Path, largest: int) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise Refusal(
            [f"{path.name}: no such file; run the command that made the run again to finish it"]
        ) from None
    except OSError as error:
        raise Refusal([f"{path.name}: cannot be read: {error.strerror}"]) from error
    if not stat.S_ISREG(status.st_mode):
        raise Refusal([f"{path.name}: expected a regular file, not a link or folder"])
    if status.st_size > largest:
        size = f"{status.st_size / MIB:,.0f} MiB"
        raise Refusal([f"{path.name}: expected at most {largest // MIB} MiB, got {size}"])


def shown(name: str, most: int = 60) -> str:
    """A submitted name, made printable and short for a message."""
    return short(printable(name[: most + 1]), most)


def equal(one: float | None, other: float | None) -> bool:
    """Whether a submitted figure equals the recomputed one, within TOLERANCE."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE


def run_sha256(run: Run, responses: Iterable[Response]) -> str:
    """Identifies a run by its settings and responses. Scores do not count."""
    encode = msgspec.json.Encoder().encode
    digest = hashlib.sha256(b"[" + encode(without_folder(run)) + b",[")
    for number, response in enumerate(responses):
        digest.update((b"," if number else b"") + encode(response))
    digest.update(b"]]")
    return digest.hexdigest()


def without_folder(run: Run) -> Run:
    """The run with the name of its benchmark's folder instead of the path, which is private."""
    return replace(run, benchmark=Path(run.benchmark).name)
