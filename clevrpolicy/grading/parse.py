r"""What a text says of a policy's conditions, in its own order: tests, verdicts, and where they lead.

One scan over cue words, in linear time, that follows the gold reasoning's wording and the free wordings of
models ("Condition 1.2 asks whether there is a red object ... no → Condition 1.2.2"):

- A condition that is named becomes the subject; what follows is said of it until another is named or a case
  is given. Named behind "if ..." or "otherwise" it is no subject but where that answer leads.
- What it tests: the values and attributes named before any verdict, up to the comma, colon or end of
  sentence that follows them, and those that are asked for ("Is there", "whether").
- The verdict: the first "yes", "there is", "holds", "no", "none", ... that is neither asked ("whether there
  is") nor supposed ("if there is"). Objects named in the same sentence behind a yes are its evidence.
- Where it leads: the next condition behind "go to" or an arrow, or the next case.

The final \boxed{...} is the answer and says nothing of a condition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clevrpolicy.scene.ontology import ATTRIBUTES

SYNONYMS = {
    "grey": "gray",
    "big": "large",
    "tiny": "small",
    "metallic": "metal",
    "shiny": "metal",
    "matte": "rubber",
    "block": "cube",
    "ball": "sphere",
}
_VALUES = {value: (attribute, value) for attribute, values in ATTRIBUTES.items() for value in values}
_WORDS = _VALUES | {word: _VALUES[value] for word, value in SYNONYMS.items()}
_ATTRIBUTE = "|".join((*ATTRIBUTES, "colour"))
_VERBS = r"ask|check|see|test|determin|verif|decid|find\s{1,3}out"
_GO = "go|goes|proceed|continue|move|turn|jump|lead|send|direct|follow|next"

CUES = re.compile(
    rf"""
    \b(?:
      (?P<condition>conditions?[\s*_#]{{0,6}}(?P<id>\d{{1,9}}(?:\.\d{{1,9}}){{0,15}}))
    | (?P<case>(?<!\{{)case[\s*_#]{{0,6}}(?P<number>\d{{1,9}}))
    | (?P<asked>(?:whether|(?:is|are)\s{{1,3}}there|(?:{_VERBS})\w{{0,4}}\s{{1,3}}if)\b)
    | (?P<supposed>if\b)
    | (?P<otherwise>(?:otherwise|else)\b)
    | (?P<no>(?:no|not|none|false|absent|cannot|(?:is|are|does|do|can)n['’]t)\b)
    | (?P<yes>(?:yes|true|(?<!that\ )holds?|met|satisfied|present
        |there(?:\s{{1,3}}(?:is|are|exists?)|['’]s)(?![^.,;:?!\n]{{0,30}}(?:\b(?:no|not|none)|n['’]t)\b))\b)
    | (?P<go>(?:{_GO})(?:s|ing)?\b)
    | (?P<same>same\s{{1,3}}(?P<likeness>{_ATTRIBUTE})\b)
    | (?P<attribute>(?P<name>{_ATTRIBUTE})s?\b)
    | (?P<value>(?P<word>{"|".join(_WORDS)})s?\b)
    )
    | (?P<arrow>[→⇒]|[-=]>)
    | (?P<stop>[.?!;\n])
    | (?P<pause>[,:()—–])
    """,
    re.VERBOSE,
)


@dataclass(slots=True)
class Step:
    """One condition as a text speaks of it; empty or None where it does not say."""

    condition: str
    """Its number, such as "1.2"."""
    values: list[tuple[str, str]] = field(default_factory=list)
    """Attribute and value of each that it is said to test."""
    attributes: list[str] = field(default_factory=list)
    """Named without a value, as where a picture shows it."""
    like: str | None = None
    """The attribute in which objects are to be the same as in a picture."""
    verdict: bool | None = None
    evidence: list[dict[str, str]] = field(default_factory=list)
    """Objects named for a yes, each by attribute as far as said."""
    routes: list[tuple[bool, str]] = field(default_factory=list)
    """What is quoted: if it holds (True) or does not (False), where to go."""
    leads: str | None = None
    """Where the text goes from here: "Condition 1.2.1" or "Case 4"."""


def read(text: str) -> list[Step]:
    """Every condition that the text speaks of, again each time that it comes back to it."""
    reader = _Reader()
    for cue in CUES.finditer(text.lower()):  # several times as fast as a pattern that ignores case
        kind = cue.lastgroup or ""
        if kind == "condition" or reader.about:
            getattr(reader, kind)(cue)
        reader.last = kind
    return reader.steps


class _Reader:
    """What has been read so far; a method for each kind of cue, called only within a subject."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.about = False
        """Whether the last step is still the subject."""
        self.last = ""
        self.going = self.asking = self.testing = self.witnessing = self.fresh = False
        self.supposing: bool | None = None

    @property
    def step(self) -> Step:
        return self.steps[-1]

    def condition(self, cue: re.Match[str]) -> None:
        number = cue["id"]
        if self.supposing is not None and self.last != "supposed":
            self._quote(f"Condition {number}")
            return
        if self.about and self.going and self.step.leads is None:
            self.step.leads = f"Condition {number}"
        if not self.steps or self.step.condition != number:
            self.steps.append(Step(number))
        self.about = True
        self.going = self.asking = self.witnessing = self.fresh = False
        self.testing = not self._tested and self.step.verdict is None

    def case(self, cue: re.Match[str]) -> None:
        target = f"Case {cue['number']}"
        if self.supposing is not None:
            self._quote(target)
            return
        if self.step.leads is None:
            self.step.leads = target
        self.about = False

    def _quote(self, target: str) -> None:
        self.step.routes.append((bool(self.supposing), target))
        self.supposing, self.going = None, False

    def asked(self, _: re.Match[str]) -> None:
        self.asking = True
        self.testing = self.step.verdict is None

    def supposed(self, _: re.Match[str]) -> None:
        self.supposing = True

    def otherwise(self, _: re.Match[str]) -> None:
        self.supposing = False

    def no(self, _: re.Match[str]) -> None:
        if self.supposing is not None:
            self.supposing = False
        else:
            self._judge(False)

    def yes(self, _: re.Match[str]) -> None:
        if self.supposing is None:
            self._judge(True)

    def _judge(self, verdict: bool) -> None:
        if self.step.verdict is None and not self.asking:
            self.step.verdict = verdict
            self.fresh, self.witnessing, self.testing = True, verdict, False

    def go(self, cue: re.Match[str]) -> None:
        self.pause(cue)
        self.going, self.witnessing = True, False

    arrow = go

    def same(self, cue: re.Match[str]) -> None:
        if self.testing:
            self.step.like = cue["likeness"].replace("colour", "color")

    def attribute(self, cue: re.Match[str]) -> None:
        if self.testing:
            self.step.attributes.append(cue["name"].replace("colour", "color"))

    def value(self, cue: re.Match[str]) -> None:
        attribute, value = _WORDS[cue["word"]]
        if self.testing:
            self.step.values.append((attribute, value))
        elif self.witnessing:
            if not self.step.evidence or {attribute, "shape"} & self.step.evidence[-1].keys():
                self.step.evidence.append({})
            self.step.evidence[-1][attribute] = value

    def pause(self, _: re.Match[str]) -> None:
        self.asking = False
        self.testing = self.testing and not self._tested

    def stop(self, cue: re.Match[str]) -> None:
        self.pause(cue)
        if self.fresh and cue[0] == "?":
            self.step.verdict = None
        self.going = self.witnessing = self.fresh = False
        self.supposing = None

    @property
    def _tested(self) -> bool:
        return bool(self.step.values or self.step.attributes or self.step.like)
