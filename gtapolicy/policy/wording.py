"""A table as a policy's text, and the text's rules as a table again: the phrases below serve both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gtapolicy.policy.rules import Argument, Band, Predicate, Rule, Table, Tool, versioned
from harness.errors import UserError

HEAD = (
    "Policy {name}. It says which tool to call for a user, and in which version. The user's profile gives "
    "{fields}. A tool that has versions is called by its name with the one version that holds for the "
    "profile, such as {example}; a tool without versions by its name alone."
)
NOTICE = (
    "Notice: the version rules of policy {name} have changed. For the tools below, use these rules instead "
    "of the earlier ones; everything else stays as it was."
)
BOUNDS = {"gt": "above {}", "ge": "{} or more", "lt": "below {}", "le": "at most {}"}
"""By name in a Band."""


def policy_text(table: Table, name: str) -> str:
    """The whole policy: tools, version rules by group, exclusions, tips (paper, Figure 20)."""
    example = next(t.callable_names[0] for t in table.tools if t.versions)
    fields = _listed(list(table.profile), "and")
    lines = [HEAD.format(name=name, fields=fields, example=example), "", "Tools"]
    lines += [f"- {tool.name}({_arguments(tool)}): {tool.description}" for tool in table.tools]
    for tool in table.tools:
        if tool.rules:
            lines += ["", *group_text(tool)]
            lines += [f"- If {e.condition}, use {e.use}, whatever the profile." for e in table.exclusions
                      if e.instead_of == tool.name]  # fmt: skip
    if table.tips:
        lines += ["", "Tips", *(f"- {tip.text}" for tip in table.tips)]
    return "\n".join(lines) + "\n"


def notice_text(table: Table, name: str, changed: Sequence[str]) -> str:
    """An override: the changed groups alone (paper, Figure 10)."""
    groups = [line for tool in changed for line in ("", *group_text(table.tool(tool)))]
    return "\n".join([NOTICE.format(name=name), *groups]) + "\n"


def group_text(tool: Tool) -> Iterator[str]:
    yield f"Versions of {tool.name}"
    for rule in tool.rules:
        yield f"- If {condition(rule)}, use {versioned(tool.name, rule.use)}."


def condition(rule: Rule) -> str:
    """ "credits is above 250 and at most 750, and account_type is A or B"."""
    return ", and ".join(f"{name} is {_phrase(predicate)}" for name, predicate in rule.when.items())


def parse(text: str) -> dict[str, tuple[Rule, ...]]:
    """The version rules of a policy's or notice's text, by tool; UserError names the line that is no rule."""
    found: dict[str, list[Rule]] = {}
    tool = None
    for line in text.splitlines():
        if line.startswith("Versions of "):
            tool = line.removeprefix("Versions of ")
            found[tool] = []
        elif not line.startswith("- "):
            tool = None
        elif tool is not None and not line.endswith(", whatever the profile."):
            found[tool].append(_rule(tool, line))
    return {name: tuple(rules) for name, rules in found.items()}


def _rule(tool: str, line: str) -> Rule:
    found = re.fullmatch(rf"- If (.+), use {re.escape(tool)}_(\w+)\.", line)
    if found is None:
        raise UserError(
            f"policy: expected a rule such as '- If age is below 21, use {tool}_v1.', got {line!r}"
        )
    return Rule(found[2], parse_condition(found[1]))


def parse_condition(text: str) -> dict[str, Predicate]:
    """The predicates of a condition, by field; what is said in other words is no predicate of any rule."""
    parts = (part.partition(" is ") for part in " ".join(text.split()).rstrip(".").split(", and "))
    return {re.sub("^if ", "", name, flags=re.IGNORECASE): _predicate(phrase) for name, _, phrase in parts}


def _phrase(predicate: Predicate) -> str:
    if not isinstance(predicate, Band):
        return _listed(predicate, "or")
    bounds = (form.format(getattr(predicate, name)) for name, form in BOUNDS.items()
              if getattr(predicate, name) is not None)  # fmt: skip
    return " and ".join(bounds)


def _predicate(phrase: str) -> Predicate:
    bounds: dict[str, int] = {}
    for piece in phrase.split(" and "):
        for name, form in BOUNDS.items():
            found = re.fullmatch(form.format(r"(-?\d+)"), piece)
            if found:
                bounds[name] = int(found[1])
    return Band(**bounds) if bounds else tuple(re.split(r",? or |, ", phrase))


def _arguments(tool: Tool) -> str:
    return ", ".join(map(_argument, tool.arguments))


def _argument(argument: Argument) -> str:
    if argument.default is not None:
        default = str(argument.default).lower() if isinstance(argument.default, bool) else argument.default
        return f"{argument.name}: {argument.type} = {default}"
    return f"{argument.name}: {argument.type}" + (", optional" if argument.optional else "")


def _listed(names: Sequence[str], last: str) -> str:
    *others, end = names
    return f"{', '.join(others)} {last} {end}" if others else end
