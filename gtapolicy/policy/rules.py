"""The table of tools and version rules: loading it, checking it, and deciding which version applies."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gtapolicy.policy.conditions import Band, Profile, Rule, Texts, condition, parse_condition
from harness.errors import UserError
from harness.files import store


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a numeric profile field: all integers from `least` to `most`, inclusive."""

    least: int
    most: int


# The most combinations of values for which the rules of a tool are checked, which takes seconds.
MOST_PROFILES = 1_000_000

# All values that a profile field can have.
Domain = Span | Texts


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
    versions: tuple[Annotated[str, Meta(pattern="^v[0-9]+$")], ...] = ()
    # Exactly one rule applies to each profile. A tool has either both versions and rules or neither.
    rules: tuple[Rule, ...] = ()

    @property
    def callable_names(self) -> list[str]:
        return [versioned(self.name, version) for version in self.versions] or [self.name]

    @property
    def named_rules(self) -> dict[str, Rule]:
        """The rule of each version, by the name of the tool with this version."""
        return {versioned(self.name, rule.use): rule for rule in self.rules}

    def rule(self, profile: Profile) -> Rule | None:
        """The rule that applies to a profile; None if the tool has no versions."""
        return next((rule for rule in self.rules if rule.applies(profile)), None)

    def thresholds(self, field: str) -> list[int]:
        """The bounds of all bands of this profile field, in increasing order."""
        bands = [p for rule in self.rules if isinstance(p := rule.when.get(field), Band)]
        return sorted({number for band in bands for number in band.bounds.values()})


class Exclusion(msgspec.Struct, frozen=True, rename={"condition": "if"}):
    """If the image has a certain property, a tool must not be called and another is used instead."""

    # Unknown fields are ignored, because files of earlier versions also have a short name of the property.

    instead_of: str
    use: str
    # The property in words.
    condition: str


class Tip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hint in the policy's text about the order of calls or their arguments. It decides no version."""

    text: str
    # Calls that follow from the tip refer to it by this name.
    name: str = ""


class RuleTable(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"tools": "tool", "exclusions": "exclusion", "tips": "tip"},
):
    """A complete policy as data, as in rules.toml."""

    profile: dict[str, Domain]
    tools: tuple[Tool, ...]
    exclusions: tuple[Exclusion, ...] = ()
    tips: tuple[Tip, ...] = ()

    def tool(self, name: str) -> Tool:
        """The tool with this name (without a version). Raises UserError if no tool has the name."""
        for tool in self.tools:
            if tool.name == name:
                return tool
        raise UserError(f"tool: got {name!r}, expected one of {', '.join(t.name for t in self.tools)}")

    def reason(self, tool: str, tip: str) -> str:
        """The sentence of the policy from which a call follows: the tip, or else the tool's description."""
        texts = [candidate.text for candidate in self.tips if tip and candidate.name == tip]
        return texts[0] if texts else self.tool(tool).description

    def decide(self, name: str, profile: Profile) -> str:
        """The callable name of a tool, with the version that applies to the profile if there are versions."""
        rule = self.tool(name).rule(profile)
        return versioned(name, rule.use) if rule else name


def versioned(name: str, version: str) -> str:
    return f"{name}_{version}"


def base_name(name: str) -> str:
    """A callable name without its version."""
    return re.sub(r"_v\d+$", "", name)


def load(path: Path | None = None) -> RuleTable:
    """The table in a file, or the default table. Raises UserError if the file is invalid."""
    table = store.read_toml(path or Path(__file__).with_name("rules.toml"), RuleTable)
    check(table)
    return table


def check(table: RuleTable) -> None:
    """Raises UserError unless every profile has exactly one version of each tool that has versions."""
    for name, values in table.profile.items():
        if isinstance(values, Span) and values.least > values.most:
            raise UserError(f"profile: expected least <= most for {name}, got {values.least} > {values.most}")
    _check_unique("tool", (tool.name for tool in table.tools))
    if not any(tool.versions for tool in table.tools):
        raise UserError("tool: expected at least one tool with versions and rules, got none")
    for tool in table.tools:
        _check_names(tool)
        for rule in tool.rules:
            _check_rule(table, tool, rule)
        for profile in boundary_profiles(table, tool) if tool.rules else ():
            versions = [rule.use for rule in tool.rules if rule.applies(profile)]
            if len(versions) != 1:
                actual = f"{' and '.join(versions)} both apply" if versions else "no rule applies"
                described = ", ".join(f"{name} {value}" for name, value in profile.items())
                raise UserError(
                    f"{tool.name}: expected one version for every profile, but for {described} {actual}"
                )
    for exclusion in table.exclusions:
        table.tool(exclusion.instead_of)
        table.tool(exclusion.use)


def _check_names(tool: Tool) -> None:
    """The name of a call, such as web_search_v1, must determine its tool and its version."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", tool.name) or base_name(tool.name) != tool.name:
        expected = "a name of letters, digits, _ and - that does not end in a version"
        raise UserError(f"tool: expected {expected}, got {tool.name!r}")
    if len(tool.versions) == 1:
        raise UserError(f"{tool.name}: expected two or more versions, so that an override can change them")
    _check_unique(f"{tool.name}, versions", tool.versions)
    if sorted(used := [rule.use for rule in tool.rules]) != sorted(tool.versions):
        expected = ", ".join(tool.versions) or "none, without versions"
        raise UserError(
            f"{tool.name}: expected one rule for each of {expected}, got {', '.join(used) or 'none'}"
        )
    _check_unique(f"{tool.name}, arguments", (argument.name for argument in tool.arguments))
    for argument in tool.arguments:
        # The grading of arguments with these names needs a text (grading/calls.py).
        if argument.name in ("expression", "bbox") and (argument.type, argument.default) != ("text", None):
            raise UserError(f"{tool.name}: expected {argument.name} to be a text without a default")


def _check_unique(label: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{label}: expected each name once, got {name!r} {count} times")


def _check_rule(table: RuleTable, tool: Tool, rule: Rule) -> None:
    for name, predicate in rule.when.items():
        given = msgspec.to_builtins(predicate)
        if predicate == Band():
            raise UserError(f"{tool.name}: expected a bound for {name}, got none")
        values = table.profile.get(name)
        if values is None:
            raise UserError(f"{tool.name}: expected one of {', '.join(table.profile)}, got {name!r}")
        if isinstance(values, Span) != isinstance(predicate, Band):
            expected = "a band such as {gt = 250}" if isinstance(values, Span) else "a list of values"
            raise UserError(f"{tool.name}: expected {expected} for {name}, got {given}")
        if not isinstance(values, Span) and not set(predicate) <= set(values):  # type: ignore[arg-type]
            raise UserError(f"{tool.name}: expected values of {name} in {values}, got {given}")
    # Otherwise a correct quotation of the rule would count as false.
    if parse_condition(text := condition(rule)) != rule.when:
        raise UserError(
            f"{tool.name}: expected fields and values that can be distinguished in the text of a rule, got "
            f'{text!r}; reword those that contain ", ", " or " or " is "'
        )


def boundary_profiles(table: RuleTable, tool: Tool) -> Iterator[Profile]:
    """All combinations of values at and next to the thresholds of a tool, for the fields that its rules use.

    The same rules apply to all numbers between two thresholds, so it suffices to check these profiles.
    """
    choices: dict[str, Any] = {}
    for name in dict.fromkeys(name for rule in tool.rules for name in rule.when):
        choices[name] = values = table.profile[name]
        if isinstance(values, Span):
            near = {t + offset for t in tool.thresholds(name) for offset in (-1, 0, 1)}
            near |= {values.least, values.most}
            choices[name] = [n for n in sorted(near) if values.least <= n <= values.most]
    if (combinations := math.prod(map(len, choices.values()))) > MOST_PROFILES:
        raise UserError(
            f"{tool.name}: expected rules with at most {MOST_PROFILES:,} combinations of values to check, "
            f"got {combinations:,}; use fewer fields or thresholds"
        )
    for combination in itertools.product(*choices.values()):
        yield dict(zip(choices, combination, strict=True))
