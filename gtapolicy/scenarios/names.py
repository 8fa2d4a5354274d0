"""Invented names of people, towns, brands and shops, which no search engine or model knows; also dates."""

from random import Random

from gtapolicy.scenarios.data import load

WEEKDAYS = load("words.toml", "weekdays", list[str])
NUMBERS = load("words.toml", "numbers", list[str])
PLURALS = load("words.toml", "plurals", dict[str, str])


def _word(rng: Random, kind: str) -> str:
    return rng.choice(load("words.toml", kind, list[str]))


def first_name(rng: Random) -> str:
    return _word(rng, "first_names")


def person(rng: Random) -> str:
    return f"{first_name(rng)} {_word(rng, 'last_names')}"


def town(rng: Random) -> str:
    return _word(rng, "town_starts") + _word(rng, "town_ends")


def towns(rng: Random, number: int) -> list[str]:
    """Different towns."""
    chosen: dict[str, None] = {}
    while len(chosen) < number:
        chosen[town(rng)] = None
    return list(chosen)


def shop(rng: Random) -> str:
    return f"The {_word(rng, 'adjectives')} {_word(rng, 'nouns')}"


def brand(rng: Random) -> str:
    return "".join(_word(rng, "syllables") for _ in range(rng.choice((2, 3, 3)))).capitalize()


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {_word(rng, 'months')}"


def plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")
