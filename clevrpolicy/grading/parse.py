r"""Parses what a text states about the conditions of a policy: their tests, verdicts and targets.

The parser scans the text once for cue words, in linear time. It understands the wording of the gold reasoning
and free wordings of models:

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
from dataclasses import dataclass, field

from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.parsing import without_boxes

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
# Attribute and value by the word that names them.
_WORDS = _VALUES | {word: _VALUES[value] for word, value in SYNONYMS.items()}
_ATTRIBUTE = "|".join(ATTRIBUTES)
_VERBS = r"ask|check|see|test|determin|verif|decid|find\s{1,3}out"
_GO = "go|goes|proceed|continue|move|turn|jump|lead|send|direct|follow|next"

# One named group for each kind of cue. All repetitions are bounded, so matching takes linear time.
CUES = re.compile(
    rf"""
    \b(?:
      (?P<condition>conditions?[\s*_#]{{0,6}}(?P<number>\d{{1,9}}(?:\.\d{{1,9}}){{0,15}}))
    | (?P<case>(?<!\{{)case[\s*_#]{{0,6}}(?P<case_number>\d{{1,9}}))
    | (?P<question>(?:whether|(?:is|are)\s{{1,3}}there|(?:{_VERBS})\w{{0,4}}\s{{1,3}}if)\b)
    | (?P<if>if\b)
    | (?P<otherwise>(?:otherwise|else)\b)
    | (?P<no>(?:no|not|none|false|absent|cannot|(?:is|are|does|do|can)n['’]t)\b)
    | (?P<yes>(?:yes|true|(?<!that\ )holds?|met|satisfied|present
        |there(?:\s{{1,3}}(?:is|are|exists?)|['’]s)(?![^.,;:?!\n]{{0,30}}(?:\b(?:no|not|none)|n['’]t)\b))\b)
    | (?P<go>(?:{_GO})(?:s|ing)?\b)
    | (?P<same>same\s{{1,3}}(?P<same_attribute>{_ATTRIBUTE})\b)
    | (?P<attribute>(?P<name>{_ATTRIBUTE})s?\b)
    | (?P<value>(?P<word>{"|".join(_WORDS)})s?\b)
    )
    | (?P<arrow>[→⇒]|[-=]>)
    | (?P<sentence_end>[.?!;\n])
    | (?P<clause_end>[,:()—–])
    """,
    re.VERBOSE,
)


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


def parse_citations(text: str) -> list[CitedCondition]:
    """The conditions that a text cites, in order. If the text returns to a condition, it is listed again."""
    parser = _Parser()
    # Converting the text to lower case is several times as fast as a pattern that ignores case.
    for cue in CUES.finditer(without_boxes(text).lower().replace("colour", "color")):
        # The group for the kind of cue encloses all other groups, so it is the last group that closes.
        kind = cue.lastgroup or ""
        if kind == "condition" or parser.in_condition:
            parser.read(kind, cue)
            parser.previous_kind = kind
    return parser.conditions


class _Parser:
    """The conditions cited so far, and the state that determines what the next cue refers to."""

    def __init__(self) -> None:
        self.conditions: list[CitedCondition] = []
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

    @property
    def current(self) -> CitedCondition:
        return self.conditions[-1]

    def read(self, kind: str, cue: re.Match[str]) -> None:
        match kind:
            case "condition":
                self._condition(cue["number"])
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
            case "attribute" if self.in_test:
                self.current.attributes.append(cue["name"])
            case "value":
                self._value(*_WORDS[cue["word"]])
            case "clause_end":
                self._end_clause()
            case "sentence_end":
                self._end_sentence(cue[0])

    def _condition(self, number: str) -> None:
        # In "if Condition 1 holds", the condition is the subject and not yet the target of the branch.
        if self.branch is not None and self.previous_kind != "if":
            self._route(f"Condition {number}")
            return
        if self.in_condition and self.expects_target and self.current.target is None:
            self.current.target = f"Condition {number}"
        if not self.conditions or self.current.number != number:
            self.conditions.append(CitedCondition(number))
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

    def _value(self, attribute: str, value: str) -> None:
        if self.in_test:
            self.current.values.append((attribute, value))
        elif self.in_evidence:
            evidence = self.current.evidence
            # English names the shape last. So a value after a shape, or a second value of the same attribute,
            # belongs to another object.
            if not evidence or {attribute, "shape"} & evidence[-1].keys():
                evidence.append({})
            evidence[-1][attribute] = value

    def _end_clause(self) -> None:
        self.in_question = False
        self.in_test = self.in_test and not self.current.states_test

    def _end_sentence(self, mark: str) -> None:
        self._end_clause()
        if self.verdict_in_sentence and mark == "?":
            self.current.verdict = None
        self.expects_target = self.in_evidence = self.verdict_in_sentence = False
        self.branch = None
