"""The generated dialogs and their pictures, like GTA: 229 queries, 557 calls, 252 images per seed.

A scenario is a TOML file (library/). A dialog and its pictures depend only on the seed and the dialog's
number, and each can be created separately:

    rng(seed, "dialog", number)
      |  a scenario of the dialog's family: facts, pictures, a question, calls
      v
    Draft: the query, a camera view per image, and the steps: tool calls with their results
      |
      +--> Dialog: id, family, query, image paths, steps          Scenarios.dialog(seed, number)
      +--> pixels of one of the views                             Scenarios.picture(seed, path)

Read scenario.py (what a file contains), expressions.py (its language) and draft.py (how a dialog is made from
it). families.toml says how many dialogs each family has, tips.toml what the policy says about their calls,
and tools.toml what all calls of a tool have in common.
"""

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from PIL import Image

from gtapolicy.dataset.dialogs import Dialog, sample_test
from gtapolicy.policy import rules
from gtapolicy.policy.rules import RuleTable, Tip
from gtapolicy.scenarios.draft import Draft, draft
from gtapolicy.scenarios.scenario import Scenario, read
from harness import seeds
from harness.errors import UserError
from harness.files import store

# Each dialog has this many image numbers and uses some of them, so image numbers have gaps, as in GTA.
NUMBERS_PER_DIALOG = 3
LIBRARY = Path(__file__).with_name("library")
# A folder of scenarios can have tips in this file.
TIPS = "tips.toml"


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queries: int
    # The number of images per query.
    images: int
    # The tools that answer a query, in order.
    tools: tuple[str, ...]


class Scenarios:
    """The scenarios of this package, and those of a user's folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises UserError with the file, the line and the field if a scenario is invalid."""
        self.families = dict(store.read_toml(Path(__file__).with_name("families.toml"), dict[str, Family]))
        # The scenarios of a family are used in turn.
        self._turns: dict[str, list[Scenario]] = {name: [] for name in self.families}
        self.tips = _read_tips(Path(__file__).parent)
        for path in sorted(LIBRARY.glob("*.toml")):
            scenario = read(path)
            self._turns[scenario.family] += [scenario] * scenario.weight
        # The digest of the user's files.
        self.digest = ""
        if folder is not None:
            self._add(folder)
        self.queries = sum(family.queries for family in self.families.values())

    def _add(self, folder: Path) -> None:
        self.tips += _read_tips(folder) if (folder / TIPS).exists() else ()
        paths = sorted(path.resolve() for path in folder.glob("*.toml") if path.name != TIPS)
        if not paths:
            raise UserError(f"scenarios: expected a folder with TOML files, got {folder}")
        for path in paths:
            scenario, name = read(path), path.stem
            if name in self.families:
                raise UserError(f"{path}: expected a file name other than a family of GTA, got {name!r}")
            tools = tuple(step.tool for step in scenario.step)
            self.families[name] = Family(scenario.dialogs, len(scenario.picture), tools)
            self._turns[name] = [scenario]
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        self.digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()

    def with_tips(self, table: RuleTable) -> RuleTable:
        """The table with the tips from which calls follow.

        Tips about a tool of GTA that the table does not have are left out.
        """
        missing = {tool.name for tool in rules.load().tools} - {tool.name for tool in table.tools}
        tips = (tip for tip in self.tips if not any(name in tip.text for name in missing))
        return msgspec.structs.replace(table, tips=(*table.tips, *tips))

    def dialogs(self, seed: int, scale: int = 1) -> list[Dialog]:
        """All dialogs of a seed, `scale` times as many as GTA has."""
        if scale < 1:
            raise UserError(f"scale: expected 1 or more, got {scale}")
        return [self.dialog(seed, number) for number in range(self.queries * scale)]

    def dialog(self, seed: int, number: int) -> Dialog:
        family, _ = self._family(seed, number)
        made, paths = self._draft(seed, number), self._paths(seed, number)
        split = "test" if self._in_test(seed, number) else "train"
        is_open = self._scenario(seed, number).open
        return Dialog(f"{family}-{number:04d}", family, made.query, paths, made.steps, is_open, split)

    def picture(self, seed: int, path: str) -> Image.Image:
        """The image with this path, which a dialog of this seed contains."""
        match = re.fullmatch(r"image/image_(\d+)\.jpg", path)
        number = (int(match[1]) - 1) // NUMBERS_PER_DIALOG if match else -1
        if number < 0 or path not in (paths := self._paths(seed, number)):
            raise UserError(f"path: expected an image path of seed {seed}, got {path!r}")
        return self._draft(seed, number).views[paths.index(path)].image()

    @functools.lru_cache(maxsize=512)  # noqa: B019
    def _draft(self, seed: int, number: int) -> Draft:
        rng, in_test = seeds.rng(seed, "dialog", number), self._in_test(seed, number)
        return draft(self._scenario(seed, number), rng, self._paths(seed, number), in_test)

    def _in_test(self, seed: int, number: int) -> bool:
        return number % self.queries in self._test_numbers(seed, number // self.queries)

    def _scenario(self, seed: int, number: int) -> Scenario:
        name, index = self._family(seed, number)
        turns = self._turns[name]
        return turns[index % len(turns)]

    def _family(self, seed: int, number: int) -> tuple[str, int]:
        """The family of a dialog, and the dialog's number within that family."""
        round_, position = divmod(number, self.queries)
        name, index = self._shuffled(seed, round_)[position]
        return name, index + round_ * self.families[name].queries

    @functools.cache  # noqa: B019
    def _shuffled(self, seed: int, round_: int) -> Sequence[tuple[str, int]]:
        """The shuffled families of a round of dialogs. Each has its number in the family."""
        order = [(name, index) for name, family in self.families.items() for index in range(family.queries)]
        seeds.rng(seed, "order", round_).shuffle(order)
        return order

    @functools.cache  # noqa: B019
    def _test_numbers(self, seed: int, round_: int) -> set[int]:
        """The numbers within a round of the dialogs in the test split."""
        calls = [len(self.families[name].tools) for name, _ in self._shuffled(seed, round_)]
        return sample_test(calls, seeds.rng(seed, "test", round_))

    def _paths(self, seed: int, number: int) -> tuple[str, ...]:
        name, _ = self._family(seed, number)
        rng = seeds.rng(seed, "images", number)
        chosen = sorted(rng.sample(range(1, NUMBERS_PER_DIALOG + 1), self.families[name].images))
        return tuple(f"image/image_{NUMBERS_PER_DIALOG * number + offset}.jpg" for offset in chosen)


def _read_tips(folder: Path) -> tuple[Tip, ...]:
    return store.read_toml(folder / TIPS, dict[str, tuple[Tip, ...]])["tip"]
