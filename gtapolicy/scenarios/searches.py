"""Questions about named things, which take a search: after a description or after reading."""

from __future__ import annotations

from random import Random

from gtapolicy.scenarios.draft import Draft, calculate, describe, ocr, search
from gtapolicy.scenarios.entities import ENTITIES


def seen_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    entity = rng.choice(ENTITIES)(rng)
    fact = rng.choice(entity.facts)
    found = search(fact.search, (fact.found,), "the name in the description, and what the query asks")
    return Draft(_asked(rng, fact.question), (entity.shot,), (describe(paths[0], entity.sentence), found))


def seen_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    entity = rng.choice(ENTITIES)(rng)
    found = search(
        entity.open_search, entity.reviews, "the name in the description, and what the query asks", True
    )
    return Draft(
        _asked(rng, entity.open_question), (entity.shot,), (describe(paths[0], entity.sentence), found), True
    )


def read_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    entity = rng.choice(ENTITIES)(rng)
    fact = rng.choice(entity.facts)
    found = search(fact.search, (fact.found,), "the name that OCR read, and what the query asks")
    return Draft(_lettered(rng, fact.question), (entity.shot,), (ocr(paths[0], entity.shot), found))


def read_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    entity = rng.choice(ENTITIES)(rng)
    found = search(
        entity.open_search, entity.reviews, "the name that OCR read, and what the query asks", True
    )
    return Draft(
        _lettered(rng, entity.open_question), (entity.shot,), (ocr(paths[0], entity.shot), found), True
    )


def reckoned(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For search_calc."""
    entity = rng.choice(ENTITIES)(rng)
    fact = rng.choice(entity.facts)
    question, expression = rng.choice(fact.reckon)
    steps = (
        describe(paths[0], entity.sentence),
        search(fact.search, (fact.found,), "the name in the description, and what the query needs to know"),
        calculate(expression, "the number that the search found, and the query's"),
    )
    return Draft(_asked(rng, question), (entity.shot,), steps)


def _asked(rng: Random, question: str) -> str:
    lead = rng.choice(
        (
            "",
            "",
            "I took this picture yesterday. ",
            "A friend sent me this. ",
            "This was in my old album. ",
            "Found on the web: ",
            "I passed this on my way home. ",
        )
    )
    return lead + question


def _lettered(rng: Random, question: str) -> str:
    lead = rng.choice(
        (
            "Going by what is written here: ",
            "The lettering tells you what it is. ",
            "Read what it says, then look it up: ",
            "You can see the name in the text. ",
            "Take the words in the picture. ",
        )
    )
    return lead + question
