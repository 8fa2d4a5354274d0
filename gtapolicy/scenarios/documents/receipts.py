"""Till receipts: several of some goods, a total, and how it was paid."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.draft import Draft, calculate, draw_box, ocr
from gtapolicy.scenarios.goods import DISHES, GROCERIES, SIGNS, Item, items, listed


@dataclass(frozen=True, slots=True)
class Receipt:
    shop: str
    sign: str
    rows: tuple[tuple[int, Item], ...]
    shot: CameraView
    boxes: dict[str, Box]
    """Of the row of each item, and of the total."""

    @property
    def total(self) -> float:
        return round(sum(number * item.price for number, item in self.rows), 2)


def receipt(rng: Random) -> Receipt:
    restaurant = rng.random() < 0.5
    goods = items(rng, DISHES if restaurant else GROCERIES, rng.randint(4, 8))
    rows = tuple((rng.choice((1, 1, 1, 2, 2, 3)), item) for item in goods)
    sign, shop = rng.choice(SIGNS), names.shop(rng)
    face, bold = rng.choice((("mono", "mono bold"), ("book", "book bold"), ("sans", "bold")))
    width, step = rng.randint(320, 360), rng.choice((24, 26, 28))
    canvas = Canvas(
        width, 190 + step * (len(rows) + 3), rng.choice(("#fbfaf5", "#f6f4ee", "#fdfdfb", "#f3efe4"))
    )
    canvas.text(width / 2, 30, shop.upper(), 20, face=bold, anchor="mm")
    street = f"{rng.randint(2, 98)} {names.town(rng)} {rng.choice(('Road', 'Street', 'Lane', 'Square'))}"
    canvas.text(width / 2, 53, street, 17, face=face, anchor="mm")
    clock = f"{rng.randint(8, 21):02d}:{rng.randint(0, 59):02d}"
    canvas.text(width / 2, 74, f"{names.date(rng)}  {clock}", 17, face=face, anchor="mm")
    _dashes(canvas, 92)
    boxes = {}
    y = 110.0
    for number, item in rows:
        boxes[item.name] = _row(canvas, y, f"{number} x {item.name}", f"{number * item.price:.2f}", 17, face)
        y += step
    _dashes(canvas, y)
    total = sum(number * item.price for number, item in rows)
    boxes["total"] = _row(canvas, y + 20, "TOTAL", f"{sign}{total:.2f}", 20, bold)
    _row(canvas, y + 20 + step, rng.choice(("Card", "Paid by card", "Contactless")), f"{total:.2f}", 17, face)
    canvas.text(
        width / 2,
        y + 34 + 2 * step,
        rng.choice(("Thank you!", "See you soon", "Have a lovely day")),
        17,
        face=face,
        anchor="mm",
    )
    x = width * 0.2
    while x < width * 0.8:
        bar = rng.choice((1, 2, 3))
        canvas.rect(x, y + 48 + 2 * step, x + bar, y + 74 + 2 * step, "#222222")
        x += bar + rng.choice((2, 3, 4))
    shot = tilted_view(canvas, rng.choice(DESKS), rng)
    return Receipt(shop, sign, rows, shot, boxes)


def _dashes(canvas: Canvas, y: float) -> None:
    for x in range(20, canvas.width - 20, 9):
        canvas.line([(x, y), (x + 5, y)], "#555555")


def _row(canvas: Canvas, y: float, left: str, right: str, size: float, face: str) -> Box:
    start = canvas.text(20, y, left, size, face=face, anchor="lm", is_line=False)
    end = canvas.text(canvas.width - 20, y, right, size, face=face, anchor="rm", is_line=False)
    return canvas.add_line(f"{left} {right}", [start, end])


def split_bill(rng: Random, paths: tuple[str, ...]) -> Draft:
    bill, people, tip = receipt(rng), rng.randint(2, 7), rng.choice((5, 8, 10, 12, 15, 20))
    if rng.random() < 0.5:
        query = rng.choice(
            (
                f"We were {people} and share this bill evenly, with a {tip}% tip on top. What does each pay?",
                f"Add {tip}% for the waiter and divide it by {people}: how much is my part of this?",
                f"{people} of us split what's on this slip, plus {tip}% tip. How much per person?",
            )
        )
        expression = f"{bill.total:.2f} * (1 + {tip} / 100) / {people}"
    else:
        query = rng.choice(
            (
                f"There were {people} of us and {names.person(rng)} paid. What is my equal share?",
                f"Can you work out an even share of this for {people} people?",
                f"My {people - 1} flatmates and I, {people} in all, share this purchase. What is one share?",
            )
        )
        expression = f"{bill.total:.2f} / {people}"
    steps = (
        ocr(paths[0], bill.shot),
        calculate(expression, "the total that OCR read, and the query's numbers"),
    )
    return Draft(query, (bill.shot,), steps)


def without_some(rng: Random, paths: tuple[str, ...]) -> Draft:
    bill = receipt(rng)
    gone = rng.sample(bill.rows, rng.choice((1, 2)))
    what = listed([f"the {item.name.lower()}" for _, item in gone])
    query = rng.choice(
        (
            f"I'm not paying for {what}. What remains of the sum here?",
            f"If I bring back {what}, what would this purchase have cost me?",
            f"{names.person(rng)} covers {what}, I take everything else on here. How much is that for me?",
        )
    )
    expression = f"{bill.total:.2f} - " + " - ".join(f"{n * item.price:.2f}" for n, item in gone)
    steps = (ocr(paths[0], bill.shot), calculate(expression, "the total and the rows that OCR read"))
    return Draft(query, (bill.shot,), steps)


def cash_back(rng: Random, paths: tuple[str, ...]) -> Draft:
    bill = receipt(rng)
    note = next(n for n in (20, 50, 100, 200, 500) if n > bill.total)
    query = rng.choice(
        (
            f"I handed over a {note} note for this. What change should I have got?",
            f"Had I paid this with {bill.sign}{note} in cash, how much would have come back?",
            f"My budget for this trip was {note}. What is left after this?",
        )
    )
    steps = (
        ocr(paths[0], bill.shot),
        calculate(f"{note} - {bill.total:.2f}", "the note in the query and the total that OCR read"),
    )
    return Draft(query, (bill.shot,), steps)


def one_unit(rng: Random, paths: tuple[str, ...]) -> Draft:
    bill = receipt(rng)
    while all(number == 1 for number, _ in bill.rows):
        bill = receipt(rng)
    number, item = rng.choice([row for row in bill.rows if row[0] > 1])
    wanted = rng.randint(4, 9)
    query = rng.choice(
        (
            f"Going by this slip, what would {wanted} of the {item.name.lower()} cost?",
            f"I need {wanted} times the {item.name.lower()} next week. How much will that be at this price?",
        )
    )
    expression = f"{number * item.price:.2f} / {number} * {wanted}"
    steps = (
        ocr(paths[0], bill.shot),
        calculate(expression, "the item's row that OCR read, and the number wanted"),
    )
    return Draft(query, (bill.shot,), steps)


def mark_row(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: which row is meant takes reading all of them."""
    bill = receipt(rng)
    while len({round(number * item.price, 2) for number, item in bill.rows}) < len(bill.rows):
        bill = receipt(rng)
    by_sum = sorted(bill.rows, key=lambda row: row[0] * row[1].price)
    goal = rng.choice(("total", "dearest", "cheapest", "named"))
    if goal == "total":
        name, note = "total", f"{bill.sign}{bill.total:.2f}"
        query = "Put a frame around what had to be paid in the end, and write the amount on the frame."
    elif goal == "dearest":
        name = note = by_sum[-1][1].name
        query = "Which entry on this slip cost the most? Box it and label it with its name."
    elif goal == "cheapest":
        name = note = by_sum[0][1].name
        query = "Frame the row on which I spent least, with the product's name beside the frame."
    else:
        number, item = rng.choice(bill.rows)
        name, note = item.name, str(number)
        query = f"Mark where the {item.name.lower()} stands, and note on the box how many were bought."
    return Draft(
        query, (bill.shot,), (ocr(paths[0], bill.shot), draw_box(paths[0], bill.shot, bill.boxes[name], note))
    )
