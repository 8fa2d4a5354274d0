"""Random policies of any size, for sweeps: T invented tools with R version rules in total.

The paper's policy has a fixed size. A random policy can have any size, like the trees of ClevrPolicy.
"""

import random
from collections.abc import Mapping

from gtapolicy.policy.conditions import Band, Predicate, Rule
from gtapolicy.policy.rules import Argument, Domain, RuleTable, Span, Tool, load
from harness.errors import UserError

# A tool's name is a verb and a thing.
VERBS = "Fetch Check Book Cancel Compare Translate Archive Print".split()
THINGS = "Invoice Ticket Route Parcel Menu Recipe Contract Forecast Playlist Receipt Badge Manual".split()
MAX_TOOLS = len(VERBS) * len(THINGS)
MIN_RULES, MAX_RULES = 2, 12  # for each tool


def random_table(tools: int, rules: int, rng: random.Random) -> RuleTable:
    """A table with this many invented tools and this many rules in total."""
    if not 1 <= tools <= MAX_TOOLS:
        raise UserError(f"invented_tools: expected 1..{MAX_TOOLS}, got {tools}")
    least, most = MIN_RULES * tools, MAX_RULES * tools
    if not least <= rules <= most:
        raise UserError(f"invented_rules: expected {least}..{most} for {tools} tools, got {rules}")
    names = rng.sample([(verb, thing) for verb in VERBS for thing in THINGS], tools)
    counts = [MIN_RULES] * tools
    while sum(counts) < rules:
        counts[rng.choice([i for i, count in enumerate(counts) if count < MAX_RULES])] += 1
    profile = load().profile
    sized = zip(names, counts, strict=True)
    return RuleTable(profile, tuple(_tool(*name, count, profile, rng) for name, count in sized))


def _tool(verb: str, thing: str, count: int, profile: Mapping[str, Domain], rng: random.Random) -> Tool:
    """A tool with `count` rules.

    The set of all profiles is split into two parts, then one of the parts is split, and so on until there are
    `count` parts. Each part is the condition of one rule, so exactly one rule applies to each profile.
    """
    parts: list[dict[str, Predicate]] = [{}]
    while len(parts) < count:
        options = [
            (part, name) for part in parts for name in profile if _splits(part.get(name), profile[name])
        ]
        part, name = rng.choice(options)
        parts.remove(part)
        split = rng.choice(_splits(part.get(name), profile[name]))
        parts += [{**part, name: predicate} for predicate in split]
    versions = [f"v{number + 1}" for number in range(count)]
    in_order = tuple(versions)
    rng.shuffle(versions)
    rules = tuple(Rule(version, part) for version, part in zip(versions, parts, strict=True))
    description = f"{verb}{'es' if verb == 'Fetch' else 's'} the {thing.lower()} of a given name."
    arguments = (Argument("name"), Argument("copies", "int", 1))
    return Tool(f"{verb}{thing}", description, arguments, in_order, rules)


def _splits(predicate: Predicate | None, domain: Domain) -> list[tuple[Predicate, Predicate]]:
    """Ways to split a predicate into two disjoint ones. None is a predicate that permits every value."""
    if not isinstance(domain, Span):
        values = predicate if isinstance(predicate, tuple) else domain
        return [(values[:cut], values[cut:]) for cut in range(1, len(values))]
    band = predicate if isinstance(predicate, Band) else Band()
    least = domain.least if band.ge is None else band.ge
    most = domain.most + 1 if band.lt is None else band.lt
    step = (domain.most - domain.least) // 10
    return [
        (Band(ge=band.ge, lt=cut), Band(ge=cut, lt=band.lt))
        for cut in range(domain.least + step, domain.most, step)
        if least < cut < most
    ]
