"""GTA's families of queries (its Table 3): how many, which calls answer them, who makes them up."""

from __future__ import annotations

from dataclasses import dataclass

from gtapolicy.scenarios import searches
from gtapolicy.scenarios.documents import charts, lists, maths, menus, notices, prices, receipts
from gtapolicy.scenarios.draft import Maker
from gtapolicy.scenarios.views import collections, maps, places


@dataclass(frozen=True, slots=True)
class Family:
    queries: int
    images: int
    """Of each query."""
    chain: tuple[str, ...]
    """The tools that answer it, one after the other."""
    makers: tuple[Maker, ...]
    """They take turns."""


def _family(queries: int, images: int, chain: str, *makers: Maker) -> Family:
    return Family(queries, images, tuple(chain.split(" > ")), makers)


LISTS = (
    prices.market,
    prices.tickets,
    lists.journey,
    prices.parking,
    lists.label,
    lists.hours,
    prices.exchange,
    lists.league,
    lists.distances,
    lists.recipe,
)
RECEIPTS = (receipts.split_bill, receipts.without_some, receipts.cash_back, receipts.one_unit)
MATHS = (maths.equation, maths.system, maths.derivative, maths.integral, maths.fraction)
EXPLAINED = (
    notices.explained,
    notices.explained_open,
    notices.explained,
    notices.explained_open,
    notices.explained,
)

FAMILIES = {
    "ocr_calc": _family(
        43, 1, "OCR > Calculator", *LISTS, *RECEIPTS, charts.reckoned, maps.walked, notices.dosed
    ),
    "menu_count": _family(
        15, 2, "ImageDescription > ImageDescription > OCR > CountGivenObject > Calculator", menus.ordered
    ),
    "table_chart": _family(8, 2, "ImageDescription > ImageDescription > OCR > Plot", charts.tabled),
    "percentage": _family(
        1,
        1,
        f"TextToBbox > {' > '.join(3 * ['RegionAttributeDescription'])} > Calculator",
        collections.percentage,
    ),
    "describe_count": _family(2, 1, "ImageDescription > CountGivenObject > Calculator", collections.share),
    "maths_solve": _family(20, 1, "MathOCR > Solver", *MATHS),
    "maths_plot": _family(7, 1, "MathOCR > Plot", maths.plotted),
    "count_calc": _family(8, 1, "CountGivenObject > Calculator", collections.worth),
    "region": _family(
        18, 1, "TextToBbox > RegionAttributeDescription", collections.colour_of, places.looked_at
    ),
    "explain": _family(15, 1, "ImageDescription > OCR", *EXPLAINED),
    "circle": _family(
        21,
        1,
        "OCR > DrawBox",
        receipts.mark_row,
        prices.mark_dish,
        lists.mark_departure,
        lists.mark_row,
        charts.mark_extreme,
        maps.mark_place,
        notices.mark_reading,
    ),
    "see_search": _family(10, 1, "ImageDescription > GoogleSearch", searches.seen_closed, searches.seen_open),
    "read_search": _family(10, 1, "OCR > GoogleSearch", searches.read_closed, searches.read_open),
    "imagine": _family(19, 1, "ImageDescription > TextToImage", places.imagined),
    "style_title": _family(15, 1, "ImageDescription > ImageStylization > AddText", places.titled),
    "style_place": _family(
        2, 1, "ImageDescription > ImageStylization > TextToBbox > AddText", places.labelled
    ),
    "search_calc": _family(13, 1, "ImageDescription > GoogleSearch > Calculator", searches.reckoned),
    "count_imagine": _family(1, 1, "ImageDescription > CountGivenObject > TextToImage", collections.redrawn),
    "count_search": _family(1, 1, "CountGivenObject > GoogleSearch", collections.looked_up),
}
