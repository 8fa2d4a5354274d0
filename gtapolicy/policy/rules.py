"""The table of tools and rules: read from a file, checked to be total and unambiguous, and decided by.

The text of a rule (wording.py) and its decision come from the same Rule, so they cannot part.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError

Value = str | int
Profile = Mapping[str, Value]
"""What is known of a user: account_type, credits, age."""


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A range of whole numbers; what is None does not bound it."""

    gt: int | None = None
    ge: int | None = None
    lt: int | None = None
    le: int | None = None

    def holds(self, number: int) -> bool:
        return (
            (self.gt is None or number > self.gt)
            and (self.ge is None or number >= self.ge)
            and (self.lt is None or number < self.lt)
            and (self.le is None or number <= self.le)
        )

    @property
    def edges(self) -> list[int]:
        return [edge for edge in (self.gt, self.ge, self.lt, self.le) if edge is not None]


Predicate = Band | tuple[str, ...]
"""Of a profile's field: a band of numbers, or the values that it may have."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Use this version when every predicate holds of the profile."""

    use: str
    when: dict[str, Predicate]

    def holds(self, profile: Profile) -> bool:
        return all(satisfies(predicate, profile[name]) for name, predicate in self.when.items())


def satisfies(predicate: Predicate, value: Value) -> bool:
    if isinstance(predicate, Band):
        return isinstance(value, int) and predicate.holds(value)
    return value in predicate


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    type: Literal["text", "image", "int", "bool"] = "text"
    default: str | int | bool | None = None
    optional: bool = False

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str
    arguments: tuple[Argument, ...]
    versions: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def callable_names(self) -> list[str]:
        return [versioned(self.name, version) for version in self.versions] or [self.name]


class Exclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"condition": "if"}):
    """Where a fact of the image holds, one tool is used instead of another."""

    instead_of: str
    use: str
    condition: str
    fact: str


class Tip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole numbers that a profile's field may have."""

    least: int
    most: int


class Table(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"tools": "tool", "exclusions": "exclusion", "tips": "tip"},
):
    """A whole policy as data."""

    profile: dict[str, Span | tuple[str, ...]]
    tools: tuple[Tool, ...]
    exclusions: tuple[Exclusion, ...] = ()
    tips: tuple[Tip, ...] = ()

    def tool(self, name: str) -> Tool:
        """By its name without version; UserError lists the tools there are."""
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise UserError(f"tool: expected one of {', '.join(t.name for t in self.tools)}, got {name!r}")

    def decide(self, name: str, profile: Profile) -> str:
        """The name to call for a tool, with the one version that holds for the profile."""
        tool = self.tool(name)
        for rule in tool.rules:
            if rule.holds(profile):
                return versioned(name, rule.use)
        return name

    @property
    def callable_names(self) -> list[str]:
        return [name for tool in self.tools for name in tool.callable_names]


def versioned(name: str, version: str) -> str:
    return f"{name}_{version}"


def base_name(name: str) -> str:
    """A callable name without its version."""
    return re.sub(r"_v\d+$", "", name)


def load(path: Path | None = None) -> Table:
    """The default table, or that of a file.

    Raises UserError naming what the file has wrong: a field, a name, or a profile for which a tool has no
    version or more than one.
    """
    source = path if path is not None else resources.files("gtapolicy.policy") / "rules.toml"
    try:
        table = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), Table)
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UserError(f"{source}: {error}") from error
    check(table)
    return table


def check(table: Table) -> None:
    """UserError unless every profile gets exactly one version of every versioned tool, told by its name."""
    _check_profile(table)
    _once("tool", (tool.name for tool in table.tools))
    if not any(tool.versions for tool in table.tools):
        raise UserError("tool: expected one with versions and rules at least, got none")
    for tool in table.tools:
        _check_names(tool)
        for rule in tool.rules:
            _check_rule(table, tool, rule)
        if bool(tool.versions) != bool(tool.rules):
            raise UserError(f"{tool.name}: expected versions and rules, or neither")
        for profile in corners(table, tool) if tool.rules else ():
            found = [rule.use for rule in tool.rules if rule.holds(profile)]
            if len(found) != 1:
                wrong = f"{' and '.join(found)} both hold" if found else "no rule holds"
                described = ", ".join(f"{name} {value}" for name, value in profile.items())
                raise UserError(
                    f"{tool.name}: expected one version for every profile; for {described} {wrong}"
                )
    for exclusion in table.exclusions:
        table.tool(exclusion.instead_of), table.tool(exclusion.use)


def _check_profile(table: Table) -> None:
    for name, known in table.profile.items():
        if isinstance(known, Span) and known.least > known.most:
            raise UserError(
                f"profile: expected least at or below most for {name}, got {known.least} and {known.most}"
            )
        if known == ():
            raise UserError(f"profile: expected values for {name}, got none")


def _check_names(tool: Tool) -> None:
    """A call's name, such as web_search_v1, must tell its tool and its version."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", tool.name) or base_name(tool.name) != tool.name:
        raise UserError(
            "tool: expected a name of letters, digits, _ and - that does not end in a version, "
            f"got {tool.name!r}"
        )
    for version in tool.versions:
        if not re.fullmatch(r"v[0-9]+", version):
            raise UserError(f"{tool.name}: expected versions such as v1, got {version!r}")
    if len(tool.versions) == 1:
        raise UserError(f"{tool.name}: expected two versions or more, so that an override can change them")
    _once(f"{tool.name}, versions", tool.versions)
    _once(f"{tool.name}, rules", (rule.use for rule in tool.rules))
    _once(f"{tool.name}, arguments", (argument.name for argument in tool.arguments))
    for argument in tool.arguments:
        if argument.name in ("expression", "bbox") and (argument.type, argument.default) != ("text", None):
            raise UserError(f"{tool.name}: expected a text without default as {argument.name}")


def _once(what: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{what}: expected each name once, got {name!r} {count} times")


def _check_rule(table: Table, tool: Tool, rule: Rule) -> None:
    if rule.use not in tool.versions:
        raise UserError(
            f"{tool.name}: expected a version out of {', '.join(tool.versions)}, got {rule.use!r}"
        )
    if not rule.when:
        raise UserError(f"{tool.name}: expected a condition for {rule.use}, got none")
    for name, predicate in rule.when.items():
        if predicate in ((), Band()):
            raise UserError(f"{tool.name}: expected a bound or a value for {name}, got none")
        known = table.profile.get(name)
        if known is None:
            raise UserError(f"{tool.name}: expected fields out of {', '.join(table.profile)}, got {name!r}")
        if isinstance(known, Span) != isinstance(predicate, Band):
            wanted = "a band such as {gt = 250}" if isinstance(known, Span) else "a list of values"
            raise UserError(
                f"{tool.name}: expected {wanted} for {name}, got {msgspec.to_builtins(predicate)}"
            )
        if not isinstance(known, Span) and not set(predicate) <= set(known):  # type: ignore[arg-type]
            raise UserError(
                f"{tool.name}: expected values of {name} out of {', '.join(known)}, got {predicate}"
            )


def corners(table: Table, tool: Tool) -> Iterator[dict[str, Value]]:
    """Profiles on and beside every threshold of a tool: what holds for them holds for all."""
    choices: dict[str, list[Value]] = {}
    for name in {name for rule in tool.rules for name in rule.when}:
        known = table.profile[name]
        if isinstance(known, Span):
            edges = {e for rule in tool.rules if isinstance(b := rule.when.get(name), Band) for e in b.edges}
            near = {e + step for e in edges for step in (-1, 0, 1)} | {known.least, known.most}
            choices[name] = sorted(n for n in near if known.least <= n <= known.most)
        else:
            choices[name] = list(known)
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))
