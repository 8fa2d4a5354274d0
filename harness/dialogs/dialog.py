"""Multi-turn: a dialog is one instance, and the response to it is the transcript of all its turns.

    step 1's question -> response -> the recorded call? -> its recorded result, then step 2's question
                                  -> any other call?    -> an error message, then step 1's question again

A question contains the query and the history of the model's own calls with what they returned. The dialog is
solved once the recorded calls of all steps were made in order. It ends unsolved at the MAX_WRONG-th other
call, because no result is recorded for such calls.

`Rollout` is a dialog while it is played. `Dialogs` makes the dialogs of a benchmark and grades transcripts by
playing them again, so a score depends on nothing but the benchmark and the responses. `turns` plays all
dialogs of a run together.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import msgspec

from harness.family import DialogFamily, Family, Outcome
from harness.records import MULTI_TURN, Grade, Instance, Override
from harness.variants import Variant, target

# A dialog ends at this number of wrong calls.
MAX_WRONG = 3
# Name and version of the method, for the name of the scorer.
SCORER = f"dialogs/1, at most {MAX_WRONG} wrong calls"
# The lines that separate the messages of a transcript. A line of a message that looks the same is quoted.
_SEPARATOR = re.compile(r"^--- (?:returned|turn \d+) ---\n", re.MULTILINE)
_SIMILAR = re.compile(r"^(?=>*--- (?:returned|turn \d+) ---$)", re.MULTILINE)
_QUOTED = re.compile(r"^>(?=>*--- (?:returned|turn \d+) ---$)", re.MULTILINE)


class Rollout:
    """A dialog after some responses. Exceptions are those of the family."""

    def __init__(self, family: DialogFamily, dialog: Instance, target: str) -> None:
        self.family = family
        self.steps = msgspec.convert(dialog.facts["steps"], tuple[Instance, ...])
        own = target == dialog.target
        self.targets = [
            step.target if own or not step.override else step.override.target for step in self.steps
        ]
        self.texts: list[str] = []
        self.outcomes: list[Outcome] = []
        # Of each response, under the rules.
        self.grades: list[Grade] = []

    @property
    def completed(self) -> int:
        """How many of the steps have been made."""
        return sum(outcome.right for outcome in self.outcomes)

    @property
    def solved(self) -> bool:
        return self.completed == len(self.steps)

    @property
    def wrong_calls(self) -> int:
        return len(self.outcomes) - self.completed

    @property
    def is_over(self) -> bool:
        return self.solved or self.wrong_calls == MAX_WRONG

    @property
    def question(self) -> Instance:
        """The step to ask now, with the history of this rollout. The dialog must not be over."""
        step = self.steps[self.completed]
        return replace(step, query=self.family.query_after(step, self.outcomes))

    @property
    def answer(self) -> str:
        """The correct answer to the question."""
        return self.targets[self.completed]

    def respond(self, text: str) -> Outcome:
        """Adds the response to the question."""
        step, answer = self.steps[self.completed], self.answer
        outcome, grade = self.family.outcome(step, answer, text), self.family.grade(step, answer, text)
        self.texts.append(text)
        self.outcomes.append(outcome)
        self.grades.append(grade)
        return outcome

    def converse(self, text: str) -> str:
        """Adds the response to the question, and returns what a conversation shows next.

        That is the result of the call, and the question if the user asks again.
        """
        before, returned = self.question, self.respond(text).returned
        if self.is_over or self._query(self.question) == self._query(before):
            return returned
        texts = (part.value for part in self.question.query if part.kind == "text")
        return "\n".join([returned, *texts])

    def _query(self, step: Instance) -> object:
        """The query of a step without its history."""
        return self.family.query_after(step, ())

    def play(self, respond: Callable[[Instance], str]) -> "Rollout":
        """Asks until the dialog is over; returns itself."""
        while not self.is_over:
            self.respond(respond(self.question))
        return self

    def transcript(self) -> str:
        """All responses, each followed by what its call returned."""
        lines = []
        for number, (text, outcome) in enumerate(zip(self.texts, self.outcomes, strict=True), 1):
            lines += [f"--- turn {number} ---"] if number > 1 else []
            lines += [_SIMILAR.sub(">", text), "--- returned ---", _SIMILAR.sub(">", outcome.returned)]
        return "\n".join(lines)


def responses_in(transcript: str) -> list[str]:
    """The responses in a transcript: the inverse of `Rollout.transcript`."""
    messages = _SEPARATOR.split(transcript)[::2]
    return [_QUOTED.sub("", message.removesuffix("\n")) for message in messages]


class Dialogs(Family):
    """The dialogs of a benchmark, as instances whose responses are transcripts."""

    def __init__(self, family: DialogFamily) -> None:
        super().__init__(family.benchmark)
        self.family = family
        self.scorer = f"{SCORER}, {family.scorer}"

    def instances(self, steps: Iterable[Instance]) -> list[Instance]:
        """The dialogs that these steps form, in the order of their first steps."""
        dialogs: dict[str, list[Instance]] = {}
        for step in steps:
            dialogs.setdefault(self.family.dialog(step), []).append(step)
        return [_dialog(id_, of_one) for id_, of_one in dialogs.items()]

    def rollout(self, dialog: Instance, target: str) -> Rollout:
        return Rollout(self.family, dialog, target)

    def replay(self, dialog: Instance, target: str, transcript: str) -> Rollout:
        """The rollout after the responses in a transcript. Responses after its end are ignored."""
        rollout = self.rollout(dialog, target)
        for text in responses_in(transcript):
            if not rollout.is_over:
                rollout.respond(text)
        return rollout

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 if the dialog is solved, otherwise 0.

        The parts are `flawless`, whether it is solved without a wrong call, `completed`, the share of the
        steps that were made, `call`, the mean score of all calls under the rules, and the mean of each part
        of these scores.
        """
        rollout = self.replay(instance, target, text)
        parts = {
            "flawless": [float(rollout.solved and not rollout.wrong_calls)],
            "completed": [rollout.completed / len(rollout.steps)],
        }
        for grade in rollout.grades:
            for name, value in {"call": grade.value or 0.0, **grade.parts}.items():
                parts.setdefault(name, []).append(value)
        reason = "unparsed" if all(grade.reason == "unparsed" for grade in rollout.grades) else None
        return Grade(float(rollout.solved), reason, {name: fmean(values) for name, values in parts.items()})

    def grade_agent(self, instance: Instance, target: str, agent: Callable[[str], str]) -> Grade:
        rollout = self.rollout(instance, target)
        rollout.play(lambda _question: agent(rollout.answer))
        return self.grade(instance, target, rollout.transcript())

    def gold(self, instance: Instance, variant: Variant) -> str:
        """The transcript of the gold responses."""
        rollout = self.rollout(instance, target(instance, variant) or instance.target)
        return rollout.play(lambda question: self.family.gold(question, variant)).transcript()

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {"recorded calls": str(len(instance.facts["steps"]))}


def _dialog(id_: str, steps: Sequence[Instance]) -> Instance:
    """The instance of a dialog. Its target consists of those of its steps, one per line."""
    first, override = steps[0], None
    replacing = next((step.override.policy_id for step in steps if step.override), None)
    if replacing is not None:
        steps = [replace(s, override=s.override or Override(replacing, s.target)) for s in steps]
        override = Override(replacing, "\n".join(s.override.target for s in steps if s.override))
    facts = {"steps": msgspec.to_builtins(steps), "block": first.block}
    return Instance(
        id_,
        first.split + MULTI_TURN,
        first.query,
        facts,
        first.policy_id,
        "\n".join(step.target for step in steps),
        override,
    )
