"""Invented people, towns, brands and shops, which no search engine and no model knows; and other words."""

from __future__ import annotations

from random import Random

from gtapolicy.scenarios.data import load

FIRST_NAMES = load("words.toml", "first_names", list[str])
LAST_NAMES = load("words.toml", "last_names", list[str])
TOWN_STARTS = load("words.toml", "town_starts", list[str])
TOWN_ENDS = load("words.toml", "town_ends", list[str])
ADJECTIVES = load("words.toml", "adjectives", list[str])
NOUNS = load("words.toml", "nouns", list[str])
SYLLABLES = load("words.toml", "syllables", list[str])
MONTHS = load("words.toml", "months", list[str])
WEEKDAYS = load("words.toml", "weekdays", list[str])
NUMBERS = load("words.toml", "numbers", list[str])
PLURALS = load("words.toml", "plurals", dict[str, str])


def first_name(rng: Random) -> str:
    return rng.choice(FIRST_NAMES)


def person(rng: Random) -> str:
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def town(rng: Random) -> str:
    return rng.choice(TOWN_STARTS) + rng.choice(TOWN_ENDS)


def towns(rng: Random, number: int) -> list[str]:
    """Different towns."""
    chosen: dict[str, None] = {}
    while len(chosen) < number:
        chosen[town(rng)] = None
    return list(chosen)


def shop(rng: Random) -> str:
    return f"The {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"


def brand(rng: Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 3, 3)))).capitalize()


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"


def plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")
