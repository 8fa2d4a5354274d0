"""Invented people, places, brands and shops: what no search engine and no memory knows."""

from __future__ import annotations

from random import Random

FIRST = (
    "Ada Bruno Carmen Dario Elif Farah Goran Hanna Ivo Jonas Kira Lena Mateo Nadia Oskar Petra Quentin "
    "Rosa Silvan Tamar Ugo Vera Wim Xenia Yusuf Zora Aino Basil Clio Derya Emre Fenna Gil Hedda Ilse "
    "Jun Kofi Lumi Maren Nils"
).split()
LAST = (
    "Abendroth Bellweather Castorp Dravinsky Elmhurst Fennimore Galbraithe Hollister Ivarsen Jankowitz "
    "Kettering Lomax Marchetti Nyqvist Oakhollow Pellegrin Quillfeather Rademaker Sorrel Thistlewood "
    "Umbra Vandermolen Wexcombe Yarrowby Zellweg Ashdown Birkenfels Crowhurst Dunmore Eastlake"
).split()
HEADS = (
    "Ald Bram Cor Dun Elder Fen Glen Harl Isen Kest Lark Mar Nor Oster Pend Quar Rav Sel Thorn Ulver "
    "Vel Wyn Yar Zell Ash Birch Carn Dell Ester Frost"
).split()
TAILS = (
    "ford ham mouth wick by stead vale haven bridge field holm minster port ley worth mere combe dale".split()
)
ADJECTIVES = (
    "Copper Velvet Crooked Silver Amber Hidden Golden Wandering Blue Little Lucky Quiet Scarlet Salty "
    "Merry Old Paper Northern Ivory Rusty"
).split()
NOUNS = (
    "Kettle Lantern Fox Anchor Spoon Heron Orchard Compass Harbour Thimble Pepper Magpie Ladle Barrel "
    "Willow Swan Mill Button Sparrow Oven"
).split()
SYLLABLES = (
    "ba co da fe gi ho ju ka li mo na or pa qui ru sa ti ul ve wo xa yo zi bri cla dro fla gre klo pla"
).split()


def person(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def town(rng: Random) -> str:
    return rng.choice(HEADS) + rng.choice(TAILS)


def towns(rng: Random, number: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < number:
        found[town(rng)] = None
    return list(found)


def shop(rng: Random) -> str:
    return f"The {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"


def brand(rng: Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 3, 3)))).capitalize()


def date(rng: Random) -> str:
    months = "January February March April May June July August September October November December".split()
    return f"{rng.randint(1, 28)} {rng.choice(months)}"
