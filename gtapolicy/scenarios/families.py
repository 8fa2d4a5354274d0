"""GTA's families of queries (its Table 3), and the makers that create drafts for each family."""

from dataclasses import dataclass

from gtapolicy.scenarios.data import load
from gtapolicy.scenarios.documents import charts, lists, maps, maths, menus, notices, panels, prices, receipts
from gtapolicy.scenarios.draft import Maker
from gtapolicy.scenarios.scenes import object_pictures
from gtapolicy.scenarios.scenes import queries as scenes
from gtapolicy.scenarios.searches import queries as searches


@dataclass(frozen=True, slots=True)
class Family:
    queries: int
    # The number of images per query.
    images: int
    # The tools that answer a query, in order.
    tools: tuple[str, ...]


OCR_CALC = (
    prices.market,
    prices.tickets,
    lists.journey,
    prices.parking,
    lists.nutrition_label,
    lists.weekly_pay,
    prices.exchange,
    lists.league,
    lists.distances,
    lists.recipe,
    receipts.split_bill,
    receipts.total_without_some,
    receipts.cash_back,
    receipts.other_quantity,
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
# The makers of a family are used in turn. The order of the families determines the order of the dialogs.
MAKERS: dict[str, tuple[Maker, ...]] = {
    "ocr_calc": OCR_CALC,
    "menu_count": (menus.count_and_price,),
    "table_chart": (charts.plot_table,),
    "percentage": (object_pictures.color_percentage,),
    "describe_count": (object_pictures.count_described,),
    "maths_solve": (maths.equation, maths.system, maths.derivative, maths.integral, maths.fraction),
    "maths_plot": (maths.plot_function,),
    "count_calc": (object_pictures.calculate_with_count,),
    "region": (object_pictures.color_of_single, scenes.look_at_part),
    # Two of five questions are open, as in GTA.
    "explain": (*(notices.explain, notices.explain_open) * 2, notices.explain),
    "circle": CIRCLE,
    "see_search": (searches.see_closed, searches.see_open),
    "read_search": (searches.read_closed, searches.read_open),
    "imagine": (scenes.imagine_changed,),
    "style_title": (scenes.add_title,),
    "style_place": (scenes.label_part,),
    "search_calc": (searches.search_and_calculate,),
    "count_imagine": (object_pictures.redraw_count,),
    "count_search": (object_pictures.look_up_count,),
}
FAMILIES = {name: load("families.toml", name, Family) for name in MAKERS}
