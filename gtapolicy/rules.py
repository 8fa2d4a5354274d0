"""The table of tools and rules: read from a file, checked to be total and unambiguous, and decided by.

The text of a rule (wording.py) and its decision come from the same Rule, so they cannot part.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
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

    Raises UserError naming what the file has wrong: a field, or a profile for which a tool has no version or
    more than one.
    """
    source = path if path is not None else resources.files("gtapolicy") / "rules.toml"
    try:
        table = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), Table)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UserError(f"{source}: {error}") from error
    check(table)
    return table


def check(table: Table) -> None:
    """UserError unless every profile gets exactly one version of every versioned tool."""
    for tool in table.tools:
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


def _check_rule(table: Table, tool: Tool, rule: Rule) -> None:
    if rule.use not in tool.versions:
        raise UserError(
            f"{tool.name}: expected a version out of {', '.join(tool.versions)}, got {rule.use!r}"
        )
    for name, predicate in rule.when.items():
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
