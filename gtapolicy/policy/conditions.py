"""The condition of a version rule: its data, whether a profile satisfies it, its text, and parsing that text.

The text and the decision are both derived from the same Rule, so they cannot differ.
"""

import operator
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from harness.parsing import plain
from harness.text import enumeration

Value = str | int
# What is known about a user: account_type, credits and age in the default table.
Profile = Mapping[str, Value]
Texts = Annotated[tuple[str, ...], Meta(min_length=1)]
# The phrase for each bound of a Band.
BOUNDS = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "at most {}"}


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers to which a rule applies, such as 250 < credits <= 750. None means no bound."""

    gt: int | None = None
    ge: int | None = None
    lt: int | None = None
    le: int | None = None

    @property
    def bounds(self) -> dict[str, int]:
        """The number of each bound that it has, by the kind of bound."""
        return {kind: n for kind, n in msgspec.structs.asdict(self).items() if n is not None}

    def contains(self, number: int) -> bool:
        return all(getattr(operator, kind)(number, bound) for kind, bound in self.bounds.items())


# The condition on one profile field: a band of numbers, or the permitted values.
Predicate = Band | Texts


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Use this version if the profile satisfies the predicate of every field in `when`."""

    use: str
    when: Annotated[dict[str, Predicate], Meta(min_length=1)]

    def applies(self, profile: Profile) -> bool:
        return all(satisfies(profile[name], predicate) for name, predicate in self.when.items())

    def facts(self, profile: Profile) -> str:
        """What the profile says about the fields of the rule, in words."""
        return ", ".join(f"{name} {profile[name]}" for name in self.when)


def satisfies(value: Value, predicate: Predicate) -> bool:
    if isinstance(predicate, Band):
        return isinstance(value, int) and predicate.contains(value)
    return value in predicate


def condition(rule: Rule) -> str:
    """Such as "credits is above 250 and at most 750, and account_type is A or B"."""
    return ", and ".join(f"{name} is {_phrase(predicate)}" for name, predicate in rule.when.items())


def parse_condition(text: str) -> dict[str, Predicate]:
    """The predicate of each field in a condition. Texts in another wording match no rule."""
    parts = (part.partition(" is ") for part in " ".join(text.split()).rstrip(".").split(", and "))
    return {re.sub("^if ", "", n, flags=re.IGNORECASE): _parse_predicate(phrase) for n, _, phrase in parts}


def comparable(text: str) -> dict[str, Band | frozenset[str]]:
    """As parse_condition, but equal for texts that differ only in markup, case or the order of the values."""
    predicates = parse_condition(plain(text))
    return {name: p if isinstance(p, Band) else frozenset(p) for name, p in predicates.items()}


def _phrase(predicate: Predicate) -> str:
    if not isinstance(predicate, Band):
        return enumeration(predicate, "or")
    return " and ".join(BOUNDS[kind].format(number) for kind, number in predicate.bounds.items())


def _parse_predicate(phrase: str) -> Predicate:
    bounds: dict[str, int] = {}
    for piece in phrase.split(" and "):
        for name, form in BOUNDS.items():
            if match := re.fullmatch(form.format(r"(-?\d{1,18})"), piece):
                bounds[name] = int(match[1])
    return Band(**bounds) if bounds else tuple(re.split(r",? or |, ", phrase))
