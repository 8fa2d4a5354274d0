"""GTA's families of queries (its Table 3): their numbers, the tools that answer them, and their makers."""

from __future__ import annotations

from dataclasses import dataclass

from gtapolicy.scenarios.documents import charts, lists, maps, maths, menus, notices, panels, prices, receipts
from gtapolicy.scenarios.draft import Maker
from gtapolicy.scenarios.scenes import object_pictures
from gtapolicy.scenarios.scenes import queries as scenes
from gtapolicy.scenarios.searches import queries as searches


@dataclass(frozen=True, slots=True)
class Family:
    queries: int
    # Per query.
    images: int
    # The tools that answer it, in order.
    tools: tuple[str, ...]
    # They take turns.
    makers: tuple[Maker, ...]


def _family(queries: int, images: int, tools: str, *makers: Maker) -> Family:
    return Family(queries, images, tuple(tools.split(" > ")), makers)


OCR_CALC = (
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
    receipts.split_bill,
    receipts.without_some,
    receipts.cash_back,
    receipts.one_unit,
    charts.calculate_with_chart,
    maps.walk,
    panels.calculate_with_reading,
)
CIRCLE = (
    receipts.mark_row,
    prices.mark_dish,
    lists.mark_departure,
    lists.mark_day,
    charts.mark_extreme,
    maps.mark_place,
    panels.mark_reading,
)
MATHS = (maths.equation, maths.system, maths.derivative, maths.integral, maths.fraction)
# Two of five questions are open, as in GTA.
EXPLAIN = (*(notices.explain, notices.explain_open) * 2, notices.explain)
REGION = (object_pictures.color_of_single, scenes.look_at_part)
THREE_REGIONS = " > ".join(3 * ["RegionAttributeDescription"])

FAMILIES = {
    "ocr_calc": _family(43, 1, "OCR > Calculator", *OCR_CALC),
    "menu_count": _family(
        15, 2, "ImageDescription > ImageDescription > OCR > CountGivenObject > Calculator", menus.order
    ),
    "table_chart": _family(8, 2, "ImageDescription > ImageDescription > OCR > Plot", charts.plot_table),
    "percentage": _family(
        1, 1, f"TextToBbox > {THREE_REGIONS} > Calculator", object_pictures.color_percentage
    ),
    "describe_count": _family(
        2, 1, "ImageDescription > CountGivenObject > Calculator", object_pictures.count_described
    ),
    "maths_solve": _family(20, 1, "MathOCR > Solver", *MATHS),
    "maths_plot": _family(7, 1, "MathOCR > Plot", maths.plot_function),
    "count_calc": _family(8, 1, "CountGivenObject > Calculator", object_pictures.calculate_with_count),
    "region": _family(18, 1, "TextToBbox > RegionAttributeDescription", *REGION),
    "explain": _family(15, 1, "ImageDescription > OCR", *EXPLAIN),
    "circle": _family(21, 1, "OCR > DrawBox", *CIRCLE),
    "see_search": _family(10, 1, "ImageDescription > GoogleSearch", searches.see_closed, searches.see_open),
    "read_search": _family(10, 1, "OCR > GoogleSearch", searches.read_closed, searches.read_open),
    "imagine": _family(19, 1, "ImageDescription > TextToImage", scenes.imagine_changed),
    "style_title": _family(15, 1, "ImageDescription > ImageStylization > AddText", scenes.add_title),
    "style_place": _family(
        2, 1, "ImageDescription > ImageStylization > TextToBbox > AddText", scenes.label_part
    ),
    "search_calc": _family(
        13, 1, "ImageDescription > GoogleSearch > Calculator", searches.search_and_calculate
    ),
    "count_imagine": _family(
        1, 1, "ImageDescription > CountGivenObject > TextToImage", object_pictures.redraw_count
    ),
    "count_search": _family(1, 1, "CountGivenObject > GoogleSearch", object_pictures.look_up_count),
}
