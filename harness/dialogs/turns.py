"""Plays the dialogs of a run turn by turn: all dialogs ask together, so that the backend can batch.

Each response is appended to RUN/turns.jsonl as soon as it arrives. A killed run therefore resumes with the
next question of each dialog.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from harness import variants
from harness.backends import Backend, failure, storable
from harness.dialogs.dialog import Rollout
from harness.files.benchmark import Benchmark
from harness.files.store import Log
from harness.progress import note
from harness.records import Instance, Json, Prompt, Response
from harness.results import Key
from harness.text import reason
from harness.variants import VARIANTS

N = TypeVar("N", int, float)
TURNS = "turns.jsonl"


@dataclass(frozen=True, slots=True)
class Turn:
    """A line of turns.jsonl."""

    dialog: str
    # From 1.
    number: int
    # Its `instance` is the step that was asked.
    response: Response


@dataclass(slots=True)
class _Played:
    """A dialog that is being played, and its responses so far."""

    prompt: Prompt
    rollout: Rollout
    responses: list[Response] = field(default_factory=list)

    def add(self, response: Response) -> None:
        self.rollout.respond(response.text or "")
        self.responses.append(response)

    def response(self) -> Response:
        """The transcript, with the tokens and the time of all turns."""
        ends = [r.finish_reason for r in self.responses]
        return Response(
            *self.prompt.key,
            text=self.rollout.transcript(),
            prompt_tokens=_sum(r.prompt_tokens for r in self.responses),
            cached_tokens=_sum(r.cached_tokens for r in self.responses),
            written_tokens=_sum(r.written_tokens for r in self.responses),
            completion_tokens=_sum(r.completion_tokens for r in self.responses),
            seconds=_sum(r.seconds and r.seconds / r.batch for r in self.responses),
            batched=self.responses[-1].batched,
            finish_reason="length" if "length" in ends else ends[-1],
            served_model=self.responses[-1].served_model,
        )


def _sum(reported: Iterable[N | None]) -> N | None:
    """The sum of what the responses report; None if they report nothing."""
    known = [value for value in reported if value is not None]
    return sum(known[1:], known[0]) if known else None


class TurnByTurn(Backend):
    """Responds to a dialog with its transcript, by asking another backend once per turn."""

    def __init__(
        self, backend: Backend, benchmark: Benchmark, dialogs: Iterable[Instance], run: Path
    ) -> None:
        self.backend, self.benchmark = backend, benchmark
        self.dialogs = {dialog.id: dialog for dialog in dialogs}
        self.log = Log(run / TURNS, Turn)

    @property
    def description(self) -> Json:  # type: ignore[override]
        return self.backend.description

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        logged = self._logged()
        # The dialogs to proceed with, each with its new responses.
        ready = [(self._begin(prompt), logged.get(prompt.key, [])) for prompt in prompts]
        while ready:
            # No two dialogs ask the same step, so keys of prompts are unique within a round.
            asked: dict[Key, tuple[_Played, Prompt]] = {}
            for played, responses in ready:
                following = self._proceed(played, responses)
                if isinstance(following, Prompt):
                    asked[following.key] = played, following
                else:
                    yield following
            ready = []
            round_ = [prompt for _, prompt in asked.values()]
            if round_:
                note(f"{len(round_)} dialogs ask for their next call")
            for response in storable(self.backend.generate(round_) if round_ else ()):
                played, prompt = asked.pop(response.key)
                if response.error is None:
                    response = replace(response, prompt_sha256=self.benchmark.prompt_sha256(prompt))
                    self.log.append([Turn(played.prompt.instance, len(played.responses) + 1, response)])
                    ready.append((played, [response]))
                else:
                    yield failure(played.prompt, response.error)
            for played, _ in asked.values():
                yield failure(played.prompt, "the backend gave no response to one of the turns")

    def _logged(self) -> Mapping[Key, list[Response]]:
        """The responses of earlier sessions by dialog, in order."""
        logged: dict[Key, list[Response]] = {}
        for turn in self.log.read():
            key = turn.dialog, turn.response.variant, turn.response.sample
            logged.setdefault(key, []).append(turn.response)
        return logged

    def _begin(self, prompt: Prompt) -> _Played:
        dialog = self.dialogs[prompt.instance]
        target = variants.target(dialog, VARIANTS[prompt.variant]) or dialog.target
        return _Played(prompt, self.benchmark.dialogs.rollout(dialog, target))

    def _proceed(self, played: _Played, responses: Sequence[Response]) -> Prompt | Response:
        """The next prompt of a dialog after these responses, or the response to the dialog if it is over."""
        try:
            for response in responses:
                played.add(response)
            if played.rollout.is_over:
                return played.response()
            variant, sample = VARIANTS[played.prompt.variant], played.prompt.sample
            prompt = variants.prompt(played.rollout.question, variant, self.benchmark.policies, sample)
        # Families are third-party code, so any exception may occur.
        except Exception as error:
            return failure(played.prompt, reason(error))
        return prompt or failure(played.prompt, f"a step has no policy under {variant.name}")
