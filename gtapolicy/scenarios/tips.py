"""The tips from which the calls of generated dialogs follow."""

from pathlib import Path

import msgspec

from gtapolicy.policy import rules
from gtapolicy.policy.rules import RuleTable, Tip
from harness.files import store


class _Tips(msgspec.Struct):
    tip: tuple[Tip, ...]


TIPS = store.read_toml(Path(__file__).with_name("tips.toml"), _Tips).tip


def with_tips(table: RuleTable) -> RuleTable:
    """The table with the tips of tips.toml, except those about a tool of GTA that the table does not have."""
    missing = {tool.name for tool in rules.load().tools} - {tool.name for tool in table.tools}
    tips = (tip for tip in TIPS if not any(name in tip.text for name in missing))
    return msgspec.structs.replace(table, tips=(*table.tips, *tips))
