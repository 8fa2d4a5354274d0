"""Queries about named entities. A search answers them, after the image was described or read."""

from random import Random

from gtapolicy.scenarios.calls import calculate, describe, ocr, search
from gtapolicy.scenarios.data import phrase
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.searches.entities import ENTITIES, Entity, Fact

DESCRIBED = "the name in the description, and what the query asks"
READ = "the name that OCR read, and what the query asks"


def _entity_and_fact(rng: Random) -> tuple[Entity, Fact]:
    entity = rng.choice(ENTITIES)(rng)
    return entity, rng.choice(entity.texts.facts)


def see_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family see_search: a question with one answer."""
    entity, fact = _entity_and_fact(rng)
    described = describe(paths[0], entity.texts.sentence, "search")
    steps = (described, search(fact.search, (fact.result,), DESCRIBED))
    return Draft(phrase(rng, "see_search", question=fact.question), (entity.view,), steps)


def see_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family see_search: an open question."""
    entity = rng.choice(ENTITIES)(rng)
    opinions = search(entity.texts.open_search, entity.texts.reviews, DESCRIBED, open_question=True)
    steps = (describe(paths[0], entity.texts.sentence, "search"), opinions)
    return Draft(phrase(rng, "see_search", question=entity.texts.open_question), (entity.view,), steps, True)


def read_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family read_search: a question with one answer."""
    entity, fact = _entity_and_fact(rng)
    steps = (ocr(paths[0], entity.view, "search"), search(fact.search, (fact.result,), READ))
    return Draft(phrase(rng, "read_search", question=fact.question), (entity.view,), steps)


def read_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family read_search: an open question."""
    entity = rng.choice(ENTITIES)(rng)
    opinions = search(entity.texts.open_search, entity.texts.reviews, READ, open_question=True)
    steps = (ocr(paths[0], entity.view, "search"), opinions)
    return Draft(phrase(rng, "read_search", question=entity.texts.open_question), (entity.view,), steps, True)


def search_and_calculate(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family search_calc: a calculation with the number that a search finds."""
    entity, fact = _entity_and_fact(rng)
    question, expression = rng.choice(fact.calculations)
    steps = (
        describe(paths[0], entity.texts.sentence, "search"),
        search(fact.search, (fact.result,), "the name in the description, and what the query needs to know"),
        calculate(expression, "the number that the search found, and the query's"),
    )
    return Draft(phrase(rng, "see_search", question=question), (entity.view,), steps)
