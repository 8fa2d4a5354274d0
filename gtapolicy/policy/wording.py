"""Writes the text of a policy."""

from collections.abc import Iterator

from gtapolicy.policy.conditions import condition
from gtapolicy.policy.rules import Argument, Exclusion, RuleTable, Tool
from harness.text import enumeration

HEAD = (
    "Policy {name}. It says which tool to call for a user, and in which version. The user's profile gives "
    "{fields}. A tool that has versions is called by its name with the one version that holds for the "
    "profile, such as {example}; a tool without versions by its name alone."
)
NOTICE = (
    "Notice: the version rules of policy {name} have changed. For the tools below, use these rules instead "
    "of the earlier ones; everything else stays as it was."
)


def policy_text(table: RuleTable, name: str) -> str:
    """The entire policy: tools, the version rules of each tool, exclusions and tips (paper, Figure 20)."""
    example = next(t.callable_names[0] for t in table.tools if t.versions)
    fields = enumeration(list(table.profile))
    lines = [HEAD.format(name=name, fields=fields, example=example), "", "Tools"]
    for tool in table.tools:
        arguments = ", ".join(map(_argument, tool.arguments))
        lines.append(f"- {tool.name}({arguments}): {tool.description}")
    for tool in table.tools:
        if tool.rules:
            lines += ["", *_rules_text(tool)]
            lines += [f"- {exclusion_text(e)}" for e in table.exclusions if e.instead_of == tool.name]
    if table.tips:
        lines += ["", "Tips", *(f"- {tip.text}" for tip in table.tips)]
    return "\n".join(lines) + "\n"


def notice_text(table: RuleTable, name: str) -> str:
    """The text of an override, which contains only the version rules (paper, Figure 10)."""
    rules = [line for tool in table.tools if tool.rules for line in ("", *_rules_text(tool))]
    return "\n".join([NOTICE.format(name=name), *rules]) + "\n"


def _rules_text(tool: Tool) -> Iterator[str]:
    yield f"Versions of {tool.name}"
    for name, rule in tool.named_rules.items():
        yield f"- If {condition(rule)}, use {name}."


def exclusion_text(exclusion: Exclusion) -> str:
    return f"If {exclusion.condition}, use {exclusion.use}, whatever the profile."


def _argument(argument: Argument) -> str:
    if argument.default is not None:
        default = str(argument.default).lower() if isinstance(argument.default, bool) else argument.default
        return f"{argument.name}: {argument.type} = {default}"
    return f"{argument.name}: {argument.type}" + (", optional" if argument.optional else "")
