"""A scenario: what is drawn, how users ask about it, and the calls that answer. One TOML file each.

docs/gtapolicy_scenarios.md explains the fields. A scenario can be `based_on` parts, which are files in the
same format without a family: their facts come first, and the scenario replaces fields of the same name.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Annotated, Any

import msgspec

from gtapolicy.pictures.mistakes import nearest
from harness.errors import UserError
from harness.files import store
from harness.files.mistakes import located

PARTS = Path(__file__).with_name("parts")
# As in GTA. Image numbers have gaps, because a dialog has this many numbers and uses some of them.
MOST_PICTURES = 3
# A value that is computed if it is a string (expressions.py), and otherwise used unchanged.
Expression = Any


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wordings of a question. One is used, so all must have the same answer."""

    ask: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    # Only used in the test split, which uses no other wording. Default: the same as in the training split.
    ask_in_test: tuple[str, ...] = ()
    # Drawn after the facts of the scenario.
    facts: dict[str, Expression] = {}


class StepTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call. Its fields replace those of its tool in tools.toml."""

    tool: str
    # The tip from which the call follows.
    tip: str = ""
    # Texts, or values of other types. An argument whose text is empty is omitted.
    arguments: dict[str, str | bool | int | float] = {}
    # Where the value of an argument comes from, in words.
    origins: dict[str, str] = {}
    # What the tool returns, a text that may use the `arguments` of the call.
    returns: str = "Done."


TOOLS = store.read_toml(Path(__file__).with_name("tools.toml"), dict[str, dict[str, Any]])


class Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a file, whether a scenario or a part. Those of type Expression are expressions."""

    # The parts whose fields it has.
    based_on: str | tuple[str, ...] = ()
    # Images by name: `template`, `surface`, `margin`, and the values that the template uses.
    picture: dict[str, dict[str, Expression]] = {}
    question: tuple[Question, ...] = ()
    step: tuple[StepTemplate, ...] = ()
    # One of GTA's families (families.toml); the family of a user's scenario is its file.
    family: str = ""
    facts: dict[str, Expression] = {}
    # Facts are drawn again until all of these are true.
    require: tuple[str, ...] = ()
    # The names of the pictures in the order in which the user gives them. Default: as in the file.
    order: Expression = None
    # How many dialogs a scenario outside of GTA's families has, and otherwise how often its turn comes.
    dialogs: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 8
    weight: int = 1
    # Whether the questions are open-ended.
    open: bool = False


class Scenario(Fields, frozen=True, forbid_unknown_fields=True):
    """The fields of a file and of its parts."""

    # Where each field is: its name, such as facts.rows or question.0.ask, and "FILE, line N".
    places: dict[str, str] = {}

    @property
    def calls(self) -> int:
        return len(self.step)

    @property
    def folder(self) -> Path:
        return Path(self.places[""]).parent

    def where(self, field: str) -> str:
        """A field after its place, such as "mine/fine.toml, line 14: question 1, ask", counted from 1."""
        counted = re.sub(r"\.(\d+)\.?", lambda number: f" {int(number[1]) + 1}, ", field).rstrip(", ")
        return f"{self._place(field)}: {counted}"

    def _place(self, field: str) -> str:
        """The file and line of a field, or of the nearest table that contains it."""
        own = self.places[""]
        while field:
            for name, place in self.places.items():
                if name == field or name.startswith(f"{field}."):
                    return place if place.startswith(own) else f"{own}, based on {place}"
            field = field.rpartition(".")[0]
        return own


def read(path: Path, tips: Set[str] = frozenset()) -> Scenario:
    """The scenario in a file, whose steps may name these tips; without tips, they are not checked.

    Raises UserError with the file, the line and the field if it is invalid.
    """
    fields = _merged(path)
    where = Scenario(places=fields["places"]).where
    for field in ("picture", "question", "step"):
        if not fields.get(field):
            raise UserError(f"{where(field)}: expected at least one, in the file or in its parts, got none")
    if (number := len(fields["picture"])) > MOST_PICTURES:
        expected = f"at most {MOST_PICTURES} pictures with those of the parts"
        raise UserError(f"{where('picture')}: expected {expected}, got {number}")
    steps = [_override(TOOLS.get(step["tool"], {}), step) for step in fields["step"]]
    scenario = msgspec.convert({**fields, "step": steps}, Scenario)
    known = ", ".join(sorted(tips - {""}))
    for number, step in enumerate(scenario.step):
        if tips and step.tip not in tips:
            place, advice = where(f"step.{number}.tip"), nearest(step.tip, tips)
            raise UserError(f"{place}: expected one of {known}; got {step.tip!r}{advice}")
    in_training = {"".join(wording.split()) for question in scenario.question for wording in question.ask}
    for number, question in enumerate(scenario.question):
        for wording in question.ask_in_test:
            if "".join(wording.split()) in in_training:
                place = where(f"question.{number}.ask_in_test")
                raise UserError(f"{place}: expected other wordings than in ask, got {wording!r}; reword it")
    return scenario


def _merged(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a file, and those of the parts on which it is based."""
    if path in above:
        raise UserError(f"{path}: based_on: expected other files, got a file that is based on itself")
    own = store.read_toml(path, dict[str, Any])
    places = {"": str(path), **dict(_places(path, path.read_text(encoding="utf-8")))}
    where = Scenario(places=places).where
    try:
        bases = msgspec.convert(own, Fields).based_on
    except msgspec.ValidationError as error:
        field, message = located(error, Fields, "a TOML file")
        field = re.sub(r"\[(\d+)\]", r".\1", field).replace("[...]", "")
        raise UserError(f"{where(field)}: {message}") from None
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        files = [folder / f"{base}.toml" for folder in (path.parent, PARTS)]
        if not (found := [file for file in files if file.is_file()]):
            known = sorted(file.stem for file in PARTS.glob("*.toml"))
            expected = f"a file {base}.toml beside it, or one of {', '.join(known)}"
            raise UserError(f"{where('based_on')}: expected {expected}{nearest(base, known)}")
        merged = _override(merged, _merged(found[0], (*above, path)))
    return _override(merged, {**own, "places": places})


def _override(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both; those in `own` replace others. Tables are merged, and requirements are added."""
    merged = {**base, **own}
    for name in base.keys() & own.keys():
        if isinstance(base[name], dict) and isinstance(own[name], dict):
            merged[name] = _override(base[name], own[name])
        elif name == "require" and isinstance(own[name], list):
            merged[name] = [*base[name], *own[name]]
    return merged


def _places(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """The name of each field in a TOML file, and where it is."""
    counts: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{path}, line {number}"
        if match := re.match(r"(\[\[?)([\w.\"-]+)\]", line):
            table = match[2]
            if match[1] == "[[":
                table = f"{match[2]}.{counts[match[2]]}"
                counts[match[2]] += 1
            yield table, place
        elif match := re.match(r"([\w.-]+)\s*=", line):
            yield f"{table}.{match[1]}".lstrip("."), place
