"""Receipts: quantities and prices of goods, the total, and how it was paid."""

from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.policy.wording import enumeration
from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import phrase
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate
from gtapolicy.scenarios.goods import CURRENCY_SIGNS, DISHES, GROCERIES, items


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    number: int
    name: str
    price: float

    @property
    def sum(self) -> float:
        return self.number * self.price


@dataclass(frozen=True, slots=True)
class Receipt:
    sign: str
    rows: tuple[ReceiptRow, ...]
    view: CameraView
    # The box of each row on the canvas, by the name of its item; "total" is the row of the total.
    boxes: dict[str, Box]

    @property
    def total(self) -> float:
        return round(sum(row.sum for row in self.rows), 2)


def receipt(rng: Random) -> Receipt:
    """A receipt of a restaurant or of a shop."""
    goods = items(rng, DISHES if rng.random() < 0.5 else GROCERIES, rng.randint(4, 8))
    rows = tuple(ReceiptRow(rng.choice((1, 1, 1, 2, 2, 3)), item.name, item.price) for item in goods)
    sign, shop = rng.choice(CURRENCY_SIGNS), names.shop(rng)
    face, bold = rng.choice((("mono", "mono bold"), ("book", "book bold"), ("sans", "bold")))
    width, step = rng.randint(320, 360), rng.choice((24, 26, 28))
    paper = rng.choice(("#fbfaf5", "#f6f4ee", "#fdfdfb", "#f3efe4"))
    canvas = Canvas(width, 190 + step * (len(rows) + 3), paper)
    canvas.text(width / 2, 30, shop.upper(), 20, face=bold, anchor="mm")
    street = f"{rng.randint(2, 98)} {names.town(rng)} {rng.choice(('Road', 'Street', 'Lane', 'Square'))}"
    canvas.text(width / 2, 53, street, 17, face=face, anchor="mm")
    clock = f"{rng.randint(8, 21):02d}:{rng.randint(0, 59):02d}"
    canvas.text(width / 2, 74, f"{names.date(rng)}  {clock}", 17, face=face, anchor="mm")
    _dashes(canvas, 92)
    boxes = {}
    y = 110.0
    for row in rows:
        boxes[row.name] = _row(canvas, y, f"{row.number} x {row.name}", f"{row.sum:.2f}", 17, face)
        y += step
    _dashes(canvas, y)
    # The total, the kind of payment, and a farewell.
    total = sum(row.sum for row in rows)
    boxes["total"] = _row(canvas, y + 20, "TOTAL", f"{sign}{total:.2f}", 20, bold)
    y += 2 * step
    _row(canvas, y + 20 - step, rng.choice(("Card", "Paid by card", "Contactless")), f"{total:.2f}", 17, face)
    farewell = rng.choice(("Thank you!", "See you soon", "Have a lovely day"))
    canvas.text(width / 2, y + 34, farewell, 17, face=face, anchor="mm")
    _barcode(canvas, rng, y + 48)
    return Receipt(sign, rows, tilted_view(canvas, rng.choice(DESKS), rng), boxes)


def _dashes(canvas: Canvas, y: float) -> None:
    for x in range(20, canvas.width - 20, 9):
        canvas.line([(x, y), (x + 5, y)], "#555555")


def _row(canvas: Canvas, y: float, left: str, right: str, size: float, face: str) -> Box:
    start = canvas.text(20, y, left, size, face=face, anchor="lm", is_line=False)
    end = canvas.text(canvas.width - 20, y, right, size, face=face, anchor="rm", is_line=False)
    return canvas.add_line(f"{left} {right}", [start, end])


def _barcode(canvas: Canvas, rng: Random, y: float) -> None:
    x = canvas.width * 0.2
    while x < canvas.width * 0.8:
        bar = rng.choice((1, 2, 3))
        canvas.rect(x, y, x + bar, y + 26, "#222222")
        x += bar + rng.choice((2, 3, 4))


def split_bill(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: an equal share of the total, sometimes with a tip."""
    bill, people, tip = receipt(rng), rng.randint(2, 7), rng.choice((5, 8, 10, 12, 15, 20))
    if rng.random() < 0.5:
        query = phrase(rng, "split_bill_with_tip", people=people, tip=tip)
        expression = f"{bill.total:.2f} * (1 + {tip} / 100) / {people}"
    else:
        query = phrase(rng, "split_bill", people=people, others=people - 1, person=names.person(rng))
        expression = f"{bill.total:.2f} / {people}"
    origin = "the total that OCR read, and the query's numbers"
    return read_and_calculate(query, paths[0], bill.view, expression, origin)


def total_without_some(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the total without one or two of the rows."""
    bill = receipt(rng)
    excluded = rng.sample(bill.rows, rng.choice((1, 2)))
    goods = enumeration([f"the {row.name.lower()}" for row in excluded])
    query = phrase(rng, "total_without_some", goods=goods, person=names.person(rng))
    expression = f"{bill.total:.2f} - " + " - ".join(f"{row.sum:.2f}" for row in excluded)
    return read_and_calculate(query, paths[0], bill.view, expression, "the total and the rows that OCR read")


def cash_back(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the change from the smallest banknote that is larger than the total."""
    bill = receipt(rng)
    note = next(note for note in (20, 50, 100, 200, 500) if note > bill.total)
    query = phrase(rng, "cash_back", note=note, sign=bill.sign)
    origin = "the note in the query and the total that OCR read"
    return read_and_calculate(query, paths[0], bill.view, f"{note} - {bill.total:.2f}", origin)


def other_quantity(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the price of another quantity of an item that was bought several times."""
    bill = receipt(rng)
    while all(row.number == 1 for row in bill.rows):
        bill = receipt(rng)
    row = rng.choice([row for row in bill.rows if row.number > 1])
    number = rng.randint(4, 9)
    query = phrase(rng, "other_quantity", number=number, item=row.name.lower())
    expression = f"{row.sum:.2f} / {row.number} * {number}"
    origin = "the item's row that OCR read, and the number wanted"
    return read_and_calculate(query, paths[0], bill.view, expression, origin)


def mark_row(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: the total, or the row of an item, which can be found only by reading all rows."""
    bill = receipt(rng)
    # The most and the least expensive row must be unique.
    while len({round(row.sum, 2) for row in bill.rows}) < len(bill.rows):
        bill = receipt(rng)
    by_sum = sorted(bill.rows, key=lambda row: row.sum)
    goal = rng.choice(("total", "highest", "lowest", "named"))
    if goal == "total":
        name, note = "total", f"{bill.sign}{bill.total:.2f}"
        query = "Put a frame around the total, and write the amount with its currency sign on the frame."
    elif goal == "highest":
        name = note = by_sum[-1].name
        query = "Which entry on this slip cost the most? Box it and label it with its name."
    elif goal == "lowest":
        name = note = by_sum[0].name
        query = "Frame the row on which I spent least, with the product's name beside the frame."
    else:
        row = rng.choice(bill.rows)
        name, note = row.name, str(row.number)
        query = f"Mark where the {row.name.lower()} stands, and note on the box how many were bought."
    return read_and_box(query, paths[0], bill.view, bill.boxes[name], note)
