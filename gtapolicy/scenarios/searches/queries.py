"""Questions about named entities, answered by a search after a description or after reading."""

from random import Random

from gtapolicy.dataset.dialogs import Step
from gtapolicy.scenarios.calls import calculate, describe, ocr, search
from gtapolicy.scenarios.data import phrase
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.searches.entities import ENTITIES, Entity, Fact

DESCRIBED = "the name in the description, and what the query asks"
READ = "the name that OCR read, and what the query asks"


def _with_fact(rng: Random) -> tuple[Entity, Fact]:
    entity = rng.choice(ENTITIES)(rng)
    return entity, rng.choice(entity.texts.facts)


def _search_fact(fact: Fact, origin: str) -> Step:
    return search(fact.search, (fact.result,), origin)


def _search_opinions(entity: Entity, origin: str) -> Step:
    return search(entity.texts.open_search, entity.texts.reviews, origin, True)


def see_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family see_search: a question with one answer."""
    entity, fact = _with_fact(rng)
    steps = (describe(paths[0], entity.texts.sentence), _search_fact(fact, DESCRIBED))
    return Draft(phrase(rng, "see_search", question=fact.question), (entity.view,), steps)


def see_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family see_search: an open question."""
    entity = rng.choice(ENTITIES)(rng)
    steps = (describe(paths[0], entity.texts.sentence), _search_opinions(entity, DESCRIBED))
    return Draft(phrase(rng, "see_search", question=entity.texts.open_question), (entity.view,), steps, True)


def read_closed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family read_search: a question with one answer."""
    entity, fact = _with_fact(rng)
    steps = (ocr(paths[0], entity.view), _search_fact(fact, READ))
    return Draft(phrase(rng, "read_search", question=fact.question), (entity.view,), steps)


def read_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family read_search: an open question."""
    entity = rng.choice(ENTITIES)(rng)
    steps = (ocr(paths[0], entity.view), _search_opinions(entity, READ))
    return Draft(phrase(rng, "read_search", question=entity.texts.open_question), (entity.view,), steps, True)


def search_and_calculate(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family search_calc: a calculation with the number that the search finds."""
    entity, fact = _with_fact(rng)
    question, expression = rng.choice(fact.calculations)
    steps = (
        describe(paths[0], entity.texts.sentence),
        _search_fact(fact, "the name in the description, and what the query needs to know"),
        calculate(expression, "the number that the search found, and the query's"),
    )
    return Draft(phrase(rng, "see_search", question=question), (entity.view,), steps)
