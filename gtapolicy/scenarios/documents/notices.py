"""Notices to explain: warnings, house rules, care labels, opening hours."""

from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.surfaces import WALLS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.calls import describe, ocr
from gtapolicy.scenarios.data import load, phrase
from gtapolicy.scenarios.documents import panels
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft

WARNINGS = load("documents/documents.toml", "warnings", list[tuple[str, str]])
HOUSE_RULES = load("documents/documents.toml", "house_rules", list[str])
CARE_LABELS = load("documents/documents.toml", "care_labels", list[str])
# A picture of a notice, and the sentence that describes it.
Notice = tuple[CameraView, str]


def _with_numbers(rng: Random, text: str) -> str:
    return text.format(
        m=rng.randint(2, 9), h=rng.randint(6, 11), k=rng.randint(1, 6) * 10, t=rng.choice((30, 40, 60))
    )


def warning(rng: Random) -> Notice:
    title, instruction = (_with_numbers(rng, text) for text in rng.choice(WARNINGS))
    background, ink = rng.choice((("#f6c833", "#1c1a14"), ("#f4f4f0", "#b3201b"), ("#ec7f28", "#1c1a14")))
    canvas = Canvas(rng.choice((330, 370)), 330, None)
    w, middle = canvas.width, canvas.width / 2
    canvas.rect(0, 0, w - 1, 329, background, radius=16)
    canvas.rect(7, 7, w - 8, 322, "", outline=ink, outline_width=5, radius=11)
    canvas.polygon([(middle, 34), (middle + 84, 178), (middle - 84, 178)], ink)
    canvas.polygon([(middle, 62), (middle + 60, 164), (middle - 60, 164)], background)
    canvas.rect(middle - 6, 92, middle + 6, 136, ink, radius=5)
    canvas.disc(middle, 150, 7, ink)
    canvas.text(middle, 222, title.upper(), 30, ink, "bold", "mm")
    canvas.text(middle, 272, instruction, 21, ink, "sans", "mm")
    for x, y in ((20, 20), (w - 20, 20), (20, 310), (w - 20, 310)):
        canvas.disc(x, y, 4, "#8d8d8d", "sphere")
    view = tilted_view(canvas, rng.choice(WALLS), rng, 0.14)
    return view, "A warning sign with a triangle and some words on a wall."


def house_rules(rng: Random) -> Notice:
    town, hostel_town, shop, museum_town = names.town(rng), names.town(rng), names.shop(rng), names.town(rng)
    house = rng.choice((f"{town} Library", f"Hostel {hostel_town}", shop, f"{museum_town} Museum"))
    chosen = [_with_numbers(rng, text) for text in rng.sample(HOUSE_RULES, rng.randint(4, 6))]
    notice = board(rng, rng.choice(("paper", "chalk", "enamel")), house, [(text,) for text in chosen])
    return notice.view, f"A notice with {len(chosen)} house rules."


def care_label(rng: Random) -> Notice:
    chosen = [_with_numbers(rng, text) for text in rng.sample(CARE_LABELS, rng.randint(4, 6))]
    notice = board(rng, "paper", f"{names.brand(rng)} Knitwear", [(text,) for text in chosen])
    return notice.view, "A label with instructions for the care of a garment."


def opening_hours(rng: Random) -> Notice:
    opens, closes = rng.randint(7, 11), rng.randint(16, 21)
    closed = rng.choice(("Monday", "Tuesday", "Sunday"))
    rows = [
        (day, "closed" if day == closed else f"{opens}:{rng.choice(('00', '30'))} - {closes}:00")
        for day in names.WEEKDAYS
    ]
    kind, title = rng.choice(("enamel", "paper", "chalk")), names.shop(rng)
    note = rng.choice(("Please ring", "Closed on holidays", f"Kitchen until {closes - 1}:00"))
    notice = board(rng, kind, title, rows, notes=[note])
    return notice.view, "A sign with opening hours for each day of the week."


def explain(rng: Random, paths: tuple[str, ...], open_question: bool = False) -> Draft:
    """Family explain: what a notice says or demands."""
    kinds = (warning, warning, house_rules, care_label, opening_hours, panels.notice)
    view, sentence = rng.choice(kinds)(rng)
    steps = (describe(paths[0], sentence, "explain"), ocr(paths[0], view, "explain"))
    return Draft(phrase(rng, "explain"), (view,), steps, open_question)


def explain_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family explain, as an open question."""
    return explain(rng, paths, True)
