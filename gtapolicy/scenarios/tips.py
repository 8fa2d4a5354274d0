"""The tips from which the calls of generated dialogs follow."""

import msgspec

from gtapolicy.policy import rules
from gtapolicy.policy.rules import RuleTable, Tip
from gtapolicy.scenarios.data import load

TIPS = load("tips.toml", "tip", tuple[Tip, ...])


def with_tips(table: RuleTable) -> RuleTable:
    """The table with the tips of tips.toml, except those about a tool of GTA that the table does not have."""
    missing = {tool.name for tool in rules.load().tools} - {tool.name for tool in table.tools}
    tips = (tip for tip in TIPS if not any(name in tip.text for name in missing))
    return msgspec.structs.replace(table, tips=(*table.tips, *tips))
