"""The generated dialogs and their pictures, like GTA: 229 queries, 557 calls, 252 images per seed and round.

A scenario is a TOML file (library/). A dialog and its pictures depend only on the seed and the dialog's
number, and each can be created separately:

    rng(seed, "dialog", number)
      |  a scenario of the dialog's family
      +--> Dialog: id, family, query, image paths, steps    Scenarios.dialog(seed, number)
      +--> what paints each image                           Scenarios.views(seed, number)

A round is all families in random order, each with its number of dialogs. There are as many rounds as needed.

Read scenario.py (what a file contains), expressions.py (its language) and draft.py (how a dialog is drawn).
families.toml says how many dialogs of a round each family has, tips.toml what the policy says about their
calls, and tools.toml what all calls of a tool have in common.
"""

import copy
import functools
import hashlib
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from gtapolicy.dataset.dialogs import Dialog, sample_test
from gtapolicy.dataset.plain_dialogs import MAX_CALLS, PlainScenario
from gtapolicy.pictures.camera import CameraView
from gtapolicy.pictures.mistakes import Named
from gtapolicy.policy import rules
from gtapolicy.policy.rules import RuleTable, Tip
from gtapolicy.scenarios.draft import check_values, drawn
from gtapolicy.scenarios.scenario import MOST_PICTURES, Scenario, read
from harness import seeds
from harness.errors import UserError
from harness.files import store
from harness.text import enumeration

LIBRARY = Path(__file__).with_name("library")
# A folder of scenarios can have tips in this file.
TIPS = "tips.toml"
# The family of plain dialogs. A round has this many for each tool that no other dialog calls, and only plain
# ones if there are no others.
PLAIN, PLAIN_QUERIES = "plain", 16


class Outline(NamedTuple):
    """What is known of a dialog before it is drawn."""

    family: str
    scenario: Scenario | PlainScenario
    split: str


class Scenarios:
    """The scenarios of this package, and those of a user's folder."""

    def __init__(self, folder: Path | None = None, table: RuleTable | None = None) -> None:
        """The user's scenarios may call the tools of a table, by default the paper's, and those of GTA.

        Raises UserError with the file, the line and the field if a scenario is invalid.
        """
        table = table or rules.load()
        # The number of dialogs of each family in a round.
        self.families = store.read_toml(Path(__file__).with_name("families.toml"), dict[str, int])
        # The scenarios of a family are used in turn.
        self._turns: dict[str, list[Scenario]] = {name: [] for name in self.families}
        self._plain: list[PlainScenario] = []
        # A tool of the table replaces one of GTA.
        self._tools = Named({tool.name: tool for tool in (*rules.load().tools, *table.tools)})
        # Which families the rules leave out, and why.
        self.left_out = ""
        self.tips = _read_tips(Path(__file__).parent)
        for scenario in map(read, sorted(LIBRARY.glob("*.toml"))):
            self._turns[scenario.family] += [scenario] * scenario.weight
        # The digest of the user's files.
        self.digest = ""
        if folder is not None:
            self._add(folder, {tip.name for tip in table.tips})

    @property
    def queries(self) -> int:
        """The number of dialogs in a round."""
        return sum(self.families.values())

    def _add(self, folder: Path, tips: Set[str]) -> None:
        self.tips += _read_tips(folder)
        tips = {"", *tips, *(tip.name for tip in (*rules.load().tips, *self.tips))}
        paths = sorted(path.resolve() for path in folder.glob("*.toml") if path.name != TIPS)
        if not paths:
            raise UserError(f"scenarios: expected a folder with TOML files, got {folder}")
        for path in paths:
            scenario, name = read(path, tips), path.stem
            if name in {*self.families, PLAIN}:
                raise UserError(f"{path}: expected a file name other than a family of GTA, got {name!r}")
            # So that mistakes are found before anything is generated.
            check_values(scenario)
            dialog = Dialog(name, name, "", tuple(map(str, range(len(scenario.picture)))), ())
            for number in range(len(scenario.question)):
                for view in drawn(scenario, seeds.rng(0, name), dialog, self._tools, only=number)[1]:
                    view.image()
            self.families[name], self._turns[name] = scenario.dialogs, [scenario]
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        self.digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()

    def with_tips(self, table: RuleTable) -> RuleTable:
        """The table with the tips from which calls follow.

        Tips about a tool of GTA that the table does not have are left out.
        """
        missing = {tool.name for tool in rules.load().tools} - {tool.name for tool in table.tools}
        tips = (tip for tip in self.tips if not any(name in tip.text for name in missing))
        return table.__replace__(tips=(*table.tips, *tips))

    def for_table(self, table: RuleTable) -> Self:
        """Without dialogs whose tools or tips are not in the table, and with plain ones for its other tools.

        A tool of the table is treated as a tool of GTA only if it has the same arguments.
        """
        fitting = copy.copy(self)
        gta = {tool.name: tool.arguments for tool in rules.load().tools}
        tools = {tool.name for tool in table.tools if gta.get(tool.name, tool.arguments) == tool.arguments}
        tips = {"", *(tip.name for tip in table.tips)}
        fitting._turns = {
            name: [s for s in turns if all(c.tool in tools and c.tip in tips for c in s.step)]
            for name, turns in self._turns.items()
        }
        called = {call.tool for turns in fitting._turns.values() for s in turns for call in s.step}
        fitting.families = {name: count for name, count in self.families.items() if fitting._turns[name]}
        if left_out := len(self.families) - len(fitting.families):
            steps = [call for turns in self._turns.values() for s in turns for call in s.step]
            missing = {call.tool for call in steps} - tools or {call.tip for call in steps} - tips
            fitting.left_out = (
                f"{left_out} of {len(self.families)} families of dialogs are left out, because the rules do "
                f"not have {enumeration(sorted(missing))} as in GTA"
            )
        if others := [tool for tool in table.tools if tool.name not in called]:
            fitting.families[PLAIN] = PLAIN_QUERIES * len(others) if fitting.families else self.queries
            calls = range(1, MAX_CALLS + 1)
            fitting._plain = [PlainScenario(tool, n, others) for tool in others for n in calls]
        return fitting

    def dialog(self, seed: int, number: int) -> Dialog:
        """The dialog with this number, from 0."""
        return self._drawn(seed, number)[0]

    def views(self, seed: int, number: int) -> dict[str, CameraView]:
        """The images of a dialog, which are not painted yet, by path."""
        dialog, views = self._drawn(seed, number)
        return dict(zip(dialog.images, views, strict=True))

    def outline(self, seed: int, number: int) -> Outline:
        """What is known of a dialog before it is drawn."""
        round_, position = divmod(number, self.queries)
        return self._round(seed, round_)[position]

    @functools.lru_cache(maxsize=512)  # noqa: B019
    def _drawn(self, seed: int, number: int) -> tuple[Dialog, list[CameraView]]:
        (family, scenario, split), rng = self.outline(seed, number), seeds.rng(seed, "dialog", number)
        dialog = Dialog(f"{family}-{number:04d}", family, "", (), (), split=split)
        if isinstance(scenario, PlainScenario):
            return scenario.drawn(rng, dialog), []
        offsets = range(1, MOST_PICTURES + 1)
        chosen = seeds.rng(seed, "images", number).sample(offsets, len(scenario.picture))
        paths = (f"image/image_{MOST_PICTURES * number + offset}.jpg" for offset in sorted(chosen))
        return drawn(scenario, rng, replace(dialog, images=tuple(paths)), self._tools)

    @functools.lru_cache(maxsize=4)  # noqa: B019
    def _round(self, seed: int, round_: int) -> Sequence[Outline]:
        chosen: list[tuple[str, Scenario | PlainScenario]] = []
        for family, count in self.families.items():
            turns: Sequence[Scenario | PlainScenario] = self._turns.get(family, self._plain)
            numbers = range(round_ * count, (round_ + 1) * count)
            chosen += [(family, turns[number % len(turns)]) for number in numbers]
        seeds.rng(seed, "order", round_).shuffle(chosen)
        in_test = sample_test([scenario.calls for _, scenario in chosen], seeds.rng(seed, "test", round_))
        return [Outline(*pair, "test" if n in in_test else "train") for n, pair in enumerate(chosen)]


class Tips(msgspec.Struct, forbid_unknown_fields=True, rename={"tips": "tip"}):
    """The content of a file of tips."""

    tips: tuple[Tip, ...] = ()


def _read_tips(folder: Path) -> tuple[Tip, ...]:
    return store.read_toml(folder / TIPS, Tips).tips if (folder / TIPS).exists() else ()
