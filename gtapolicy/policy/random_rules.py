"""Policies of any size, T invented tools with R version rules: for sweeps, as ClevrPolicy has in N."""

from __future__ import annotations

import random

from gtapolicy.policy.rules import Argument, Band, Predicate, Rule, Span, Table, Tool, check
from harness.errors import UserError

PROFILE: dict[str, Span | tuple[str, ...]] = {
    "account_type": ("A", "B", "C", "D"),
    "credits": Span(0, 1000),
    "age": Span(13, 90),
}
VERBS = {
    "Fetch": "Fetches",
    "Check": "Checks",
    "Book": "Books",
    "Cancel": "Cancels",
    "Compare": "Compares",
    "Translate": "Translates",
    "Archive": "Archives",
    "Print": "Prints",
}
THINGS = "Invoice Ticket Route Parcel Menu Recipe Contract Forecast Playlist Receipt Badge Manual".split()
MOST_TOOLS = len(VERBS) * len(THINGS)


def invented(tools: int, rules: int, rng: random.Random) -> Table:
    """A table of this many tools whose groups have this many rules in all; each group splits the profiles."""
    if not 1 <= tools <= MOST_TOOLS:
        raise UserError(f"invented_tools: expected 1..{MOST_TOOLS}, got {tools}")
    if not 2 * tools <= rules <= 12 * tools:
        raise UserError(f"invented_rules: expected {2 * tools}..{12 * tools} for {tools} tools, got {rules}")
    names = rng.sample([(verb, thing) for verb in VERBS for thing in THINGS], tools)
    shares = [2] * tools
    while sum(shares) < rules:
        open_ = [i for i, share in enumerate(shares) if share < 12]
        shares[rng.choice(open_)] += 1
    table = Table(PROFILE, tuple(_tool(*name, share, rng) for name, share in zip(names, shares, strict=True)))
    check(table)
    return table


def _tool(verb: str, thing: str, count: int, rng: random.Random) -> Tool:
    """Its rules come from halving the space of profiles count - 1 times."""
    cells: list[dict[str, Predicate]] = [{}]
    while len(cells) < count:
        splits = [(cell, name) for cell in cells for name in PROFILE if _halves(cell.get(name), name)]
        cell, name = rng.choice(splits)
        cells.remove(cell)
        halves = _halves(cell.get(name), name)
        cells += [{**cell, name: half} for half in rng.choice(halves)]
    versions = [f"v{number + 1}" for number in range(count)]
    rng.shuffle(versions)
    rules = tuple(Rule(version, cell) for version, cell in zip(versions, cells, strict=True))
    description = f"{VERBS[verb]} the {thing.lower()} of a given name."
    arguments = (Argument("name"), Argument("copies", "int", 1))
    return Tool(
        f"{verb}{thing}", description, arguments, tuple(sorted(versions, key=lambda v: int(v[1:]))), rules
    )


def _halves(predicate: Predicate | None, name: str) -> list[tuple[Predicate, Predicate]]:
    """The ways in which a predicate on this field can be split into two that share nothing."""
    known = PROFILE[name]
    if not isinstance(known, Span):
        values = predicate if isinstance(predicate, tuple) else known
        return [(values[:cut], values[cut:]) for cut in range(1, len(values))]
    band = predicate if isinstance(predicate, Band) else Band()
    least = known.least if band.ge is None else band.ge
    most = known.most + 1 if band.lt is None else band.lt
    step = (known.most - known.least) // 10
    return [
        (Band(ge=band.ge, lt=cut), Band(ge=cut, lt=band.lt))
        for cut in range(known.least + step, known.most, step)
        if least < cut < most
    ]
