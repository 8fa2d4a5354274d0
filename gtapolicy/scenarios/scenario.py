"""A scenario: what is drawn, how users ask about it, and the calls that answer. One TOML file each.

docs/gtapolicy_scenarios.md explains the fields. A scenario can be `based_on` parts, which are files in the
same format without a family: their facts come first, and the scenario replaces fields of the same name.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from harness.errors import UserError
from harness.files import store

PARTS = Path(__file__).with_name("parts")
# A value that is computed if it is a string (expressions.py), and otherwise used unchanged.
Expression = Any


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Wordings of a question. One is used, so all must have the same answer."""

    ask: tuple[str, ...]
    # Only used in the test split, which uses no other wording. Default: the same as in the training split.
    ask_in_test: tuple[str, ...] = ()
    # Drawn after the facts of the scenario.
    facts: dict[str, Expression] = {}


class CallTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is the same in all calls of a tool (tools.toml), or a part of a step."""

    tip: str = ""
    # Texts, or values of other types. An argument whose text is empty is omitted.
    arguments: dict[str, str | bool | int | float] = {}
    # Where the value of an argument comes from, in words.
    origins: dict[str, str] = {}
    # What the tool returns, a text that may use the `arguments` of the call.
    returns: str = ""


TOOLS = store.read_toml(Path(__file__).with_name("tools.toml"), dict[str, CallTemplate])


class StepTemplate(CallTemplate, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call. Its fields replace those of its tool."""

    tool: str

    def complete(self) -> "StepTemplate":
        """The step with the fields that its tool has in all calls."""
        tool = TOOLS.get(self.tool, CallTemplate())
        tip, returns = self.tip or tool.tip, self.returns or tool.returns or "Done."
        arguments, origins = {**tool.arguments, **self.arguments}, {**tool.origins, **self.origins}
        return self.__replace__(tip=tip, returns=returns, arguments=arguments, origins=origins)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
    dialogs: Annotated[int, msgspec.Meta(ge=1)] = 8
    weight: int = 1
    # Whether the questions are open-ended.
    open: bool = False
    # Where each field is: its name, such as facts.rows or question.0.ask, and "FILE, line N".
    places: dict[str, str] = {}

    @property
    def calls(self) -> int:
        return len(self.step)

    def place(self, field: str) -> str:
        """The file and line of a field, or of the nearest table that contains it."""
        own = self.places[""]
        while field:
            for name, place in self.places.items():
                if name == field or name.startswith(f"{field}."):
                    return place if place.startswith(own) else f"{own}, based on {place}"
            field = field.rpartition(".")[0]
        return own

    def require_one_of(self, field: str, given: Iterable[str], known: Collection[str]) -> None:
        """Raises UserError with the place of a field if it names something that is not known."""
        if unknown := [name for name in given if name not in known]:
            names = ", ".join(sorted(known))
            raise UserError(
                f"{self.place(field)}: {field}: expected one of {names}; got {', '.join(unknown)}"
            )


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises UserError with the file, the line and the field if it is invalid."""
    scenario = msgspec.convert(_merged(path), Scenario)
    if not (scenario.question and scenario.step and 1 <= len(scenario.picture) <= 3):
        raise UserError(f"{scenario.place('')}: expected 1 to 3 pictures, questions and steps")
    return scenario.__replace__(step=tuple(step.complete() for step in scenario.step))


def _merged(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a file, and those of the parts on which it is based."""
    if path in above:
        raise UserError(f"{path}: based_on: expected other files, got a file that is based on itself")
    try:
        text = path.read_text(encoding="utf-8")
        own = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: expected a TOML file, but {error}") from None
    places = {"": str(path), **dict(_places(path, text))}
    try:
        bases = msgspec.convert(own, Scenario).based_on
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        field = re.sub(r"\[(\d+)\]", r".\1", where.rstrip("`")).replace("[...]", "")
        unknown = re.search("unknown field `(.+)`", message)
        field = ".".join(filter(None, [field, unknown and unknown[1]]))
        raise UserError(f"{Scenario(places=places).place(field)}: {field or 'scenario'}: {message}") from None
    merged: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        merged = _override(merged, _merged(_part(path, base), (*above, path)))
    return _override(merged, {**own, "places": places})


def _override(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **own}
    for table in ("facts", "places", "picture"):
        merged[table] = {**base.get(table, {}), **own.get(table, {})}
    for name, picture in base.get("picture", {}).items():
        merged["picture"][name] = {**picture, **merged["picture"][name]}
    merged["require"] = [*base.get("require", ()), *own.get("require", ())]
    return merged


def _part(path: Path, name: str) -> Path:
    """The file of a part, in the folder of the scenario or else among the parts of this package."""
    for folder in (path.parent, PARTS):
        if (file := folder / f"{name}.toml").exists():
            return file
    known = ", ".join(sorted(file.stem for file in PARTS.glob("*.toml")))
    raise UserError(f"{path}: based_on: expected a file {name}.toml beside it, or one of {known}")


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
