r"""Parses what a text states about the conditions of a policy: their tests, verdicts and targets.

The parser scans the text once for cue words, in linear time, and remembers lines that it has read. It
understands the wording of the gold reasoning and free wordings of models:

    text   Condition 1.2 asks whether there is a red object. Yes, so go to Condition 1.2.1.
    cues   condition          question           value     . yes,    go    condition      .
    gives  CitedCondition("1.2", values=[("color", "red")], verdict=True, target="Condition 1.2.1")

- Current condition: the last condition that was named, until the text names a case. A condition that is named
  after "if ..." or "otherwise" does not become the current one: it is the target of that branch.
- Test: the values and attributes that are named before any verdict, up to the next comma, colon or end of
  sentence, and those in a question ("Is there ...", "whether ...").
- Verdict: the first "yes", "there is", "holds", "no", "none", ... outside of questions ("whether there is")
  and assumptions ("if there is"). Objects named after a "yes", in the same sentence, are its evidence.
- Target: the next condition after "go to" or an arrow, or the next case, except in the final \boxed{...}.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.parsing import without_boxes

T = TypeVar("T")
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


def _forms(words: Mapping[str, T]) -> dict[str, T]:
    """The words in singular and plural."""
    return {word + ending: meaning for word, meaning in words.items() for ending in ("", "s")}


# Attribute and value by the word that names them, and attributes by their names.
_WORDS = _forms(_VALUES | {word: _VALUES[value] for word, value in SYNONYMS.items()})
_NAMES = _forms({attribute: attribute for attribute in ATTRIBUTES})
_GO = "go goes proceed continue move turn jump lead send direct follow next".split()
_CUES: Mapping[str, Iterable[str]] = {
    "if": ["if"],
    "question": ["whether"],
    "otherwise": ["otherwise", "else"],
    "no": ["no", "not", "none", "false", "absent", "cannot"],
    "yes": ["yes", "true", "met", "satisfied", "present"],
    "go": [word + ending for word in _GO for ending in ("", "s", "ing")],
    "attribute": _NAMES,
    "arrow": ["→", "⇒", "->", "=>"],
    "sentence_end": ".?!;\n",
    "clause_end": ",:()—–",
    # A cue only as the beginning of a PHRASE.
    "phrase": "condition conditions case is are there same hold holds isn aren doesn don cann".split(),
}
KINDS = {cue: kind for kind, cues in _CUES.items() for cue in cues}
_VALUE = rf"(?:{'|'.join(_VALUES | SYNONYMS)})s?\b"
# Values in succession, a question such as "check if", a word, or a mark. Most words are not in KINDS.
TOKENS = re.compile(
    rf"""
    \b(?:
      (?P<value>{_VALUE}(?:\ {_VALUE})*)
    | (?P<question>(?:ask|check|see|test|determin|verif|decid|find\s{{1,3}}out)\w{{0,4}}\s{{1,3}}if\b)
    | [a-z]+\b
    | condition | case
    )
    | [→⇒.?!;\n,:()—–]
    | [-=]>
    """,
    re.VERBOSE,
)
# One named group for each kind of cue that consists of several tokens. All repetitions are bounded, so
# matching takes linear time.
_CONDITION = r"conditions?[\s*_#]{0,6}"
PHRASE = re.compile(
    rf"""
      (?P<condition>{_CONDITION}(?P<number>\d{{1,9}}(?:\.\d{{1,9}}){{0,15}}))
    | (?P<case>(?<!\{{)case[\s*_#]{{0,6}}(?P<case_number>\d{{1,9}}))
    | (?P<question>(?:is|are)\s{{1,3}}there\b)
    | (?P<no>(?:is|are|does|do|can)n['’]t\b)
    | (?P<yes>(?<!that\ )holds?\b
        |there(?:\s{{1,3}}(?:is|are|exists?)|['’]s)(?![^.,;:?!\n]{{0,30}}(?:\b(?:no|not|none)|n['’]t)\b)\b)
    | (?P<same>same\s{{1,3}}(?P<same_attribute>{"|".join(ATTRIBUTES)})\b)
    """,
    re.VERBOSE,
)
# The end of a line, if the next line begins with a condition. What the parser has read before does not matter
# then, unless it states something about the same condition.
_BREAK = re.compile(rf"\n(?=[ *#]*{_CONDITION}\d)")
# The characters of the longest lines that are remembered.
_SHORT = 1_000


@dataclass(slots=True)
class CitedCondition:
    """What a text states about one condition. A field is empty or None if the text does not state it."""

    # The number of the condition, such as "1.2".
    number: str
    # Attribute and value of everything that the condition tests according to the text.
    values: list[tuple[str, str]] = field(default_factory=list)
    # Attributes that are named without a value, for example because a picture shows the value.
    attributes: list[str] = field(default_factory=list)
    # The attribute in which objects must be the same as in a picture.
    same_attribute: str | None = None
    verdict: bool | None = None
    # Objects that are named as the reason for a "yes": attributes and values, as far as stated.
    evidence: list[dict[str, str]] = field(default_factory=list)
    # Quoted branches: the target if the condition holds (True) or does not (False).
    routes: list[tuple[bool, str]] = field(default_factory=list)
    # Where the text continues from here: "Condition 1.2.1" or "Case 4".
    target: str | None = None

    @property
    def states_test(self) -> bool:
        return bool(self.values or self.attributes or self.same_attribute)


def parse_citations(text: str) -> Sequence[CitedCondition]:
    """The conditions that a text cites, in order. If the text returns to a condition, it is listed again."""
    # Converting the text to lower case is several times as fast as a pattern that ignores case.
    text = without_boxes(text).lower().replace("colour", "color")
    cited: list[CitedCondition] = []
    for piece in _BREAK.split(text):
        if "condition" not in piece:
            continue
        found = _remembered(piece) if len(piece) <= _SHORT else _read(piece)
        if cited and found and cited[-1].number == found[0].number:
            if cited[-1] != CitedCondition(found[0].number):
                return _read(text)
            cited.pop()  # only the target of the condition before it
        cited += found
    return cited


def _read(text: str) -> Sequence[CitedCondition]:
    parser, end = _Parser(), 0
    for token in TOKENS.finditer(text, text.find("condition")):
        kind = token.lastgroup or KINDS.get(token[0])
        if kind is None or token.start() < end:
            continue
        cue = token
        if kind == "phrase":
            phrase = PHRASE.match(text, token.start())
            if phrase is None:
                continue
            # The group for the kind of cue encloses all other groups, so it is the last group that closes.
            kind, cue, end = phrase.lastgroup or "", phrase, phrase.end()
        if kind == "condition" or parser.in_condition:
            parser.read(kind, cue)
            parser.previous_kind = kind
    return parser.conditions


# Responses to a policy repeat the same lines: about 25 MB of them. What this returns must not be changed.
_remembered = lru_cache(maxsize=16_384)(_read)


class _Parser:
    """The conditions cited so far, and the state that determines what the next cue refers to."""

    def __init__(self) -> None:
        self.conditions: list[CitedCondition] = []
        # The last of them; before the first one, a condition without a number that is not in the list.
        self.current = CitedCondition("")
        # Whether the text is still about the last condition: no case was named since.
        self.in_condition = False
        self.previous_kind = ""
        # After "go to" or an arrow: the next condition is the target of the current one.
        self.expects_target = False
        # In a question, "there is" and similar words are not a verdict.
        self.in_question = False
        # Whether the next value belongs to the test, or to the evidence of a "yes".
        self.in_test = self.in_evidence = False
        # Whether this sentence states the verdict. A question mark at the end of the sentence retracts it.
        self.verdict_in_sentence = False
        # The branch that an "if" or "otherwise" clause is about; None outside such a clause.
        self.branch: bool | None = None

    def read(self, kind: str, cue: re.Match[str]) -> None:
        match kind:  # the most frequent kinds first
            case "value":
                self._values([_WORDS[word] for word in cue[0].split(" ")])
            case "clause_end":
                self._end_clause()
            case "sentence_end":
                self._end_sentence(cue[0])
            case "condition":
                self._condition(cue["number"])
            case "attribute" if self.in_test:
                self.current.attributes.append(_NAMES[cue[0]])
            case "case":
                self._case(f"Case {cue['case_number']}")
            case "question":
                self.in_question = True
                self.in_test = self.current.verdict is None
            case "if":
                self.branch = True
            case "otherwise":
                self.branch = False
            case "no" if self.branch is not None:  # "if no", "if there is none"
                self.branch = False
            case "yes" | "no":
                self._verdict(kind == "yes")
            case "go" | "arrow":
                self._end_clause()
                self.expects_target, self.in_evidence = True, False
            case "same" if self.in_test:
                self.current.same_attribute = cue["same_attribute"]

    def _condition(self, number: str) -> None:
        # In "if Condition 1 holds", the condition is the subject and not yet the target of the branch.
        if self.branch is not None and self.previous_kind != "if":
            self._route(f"Condition {number}")
            return
        if self.in_condition and self.expects_target and self.current.target is None:
            self.current.target = f"Condition {number}"
        if self.current.number != number:
            self.current = CitedCondition(number)
            self.conditions.append(self.current)
        self.in_condition = True
        self.expects_target = self.in_question = self.in_evidence = self.verdict_in_sentence = False
        self.in_test = not self.current.states_test and self.current.verdict is None

    def _case(self, target: str) -> None:
        if self.branch is not None:
            self._route(target)
            return
        if self.current.target is None:
            self.current.target = target
        self.in_condition = False

    def _route(self, target: str) -> None:
        self.current.routes.append((bool(self.branch), target))
        self.branch, self.expects_target = None, False

    def _verdict(self, verdict: bool) -> None:
        if self.branch is None and self.current.verdict is None and not self.in_question:
            self.current.verdict = verdict
            self.verdict_in_sentence, self.in_evidence, self.in_test = True, verdict, False

    def _values(self, named: list[tuple[str, str]]) -> None:
        if self.in_test:
            self.current.values += named
        elif self.in_evidence:
            evidence = self.current.evidence
            for attribute, value in named:
                # English names the shape last. So a value after a shape, or a second value of the same
                # attribute, belongs to another object.
                if not evidence or attribute in evidence[-1] or "shape" in evidence[-1]:
                    evidence.append({})
                evidence[-1][attribute] = value

    def _end_clause(self) -> None:
        self.in_question = False
        if self.in_test:
            self.in_test = not self.current.states_test

    def _end_sentence(self, mark: str) -> None:
        self._end_clause()
        if self.verdict_in_sentence and mark == "?":
            self.current.verdict = None
        self.expects_target = self.in_evidence = self.verdict_in_sentence = False
        self.branch = None
