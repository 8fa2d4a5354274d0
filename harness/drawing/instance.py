"""What is drawn of an instance: its question with marks, and its policy with the paths."""

import base64
import io
from collections.abc import Sequence
from functools import cache

from markupsafe import Markup, escape
from PIL import Image

from harness import variants
from harness.drawing.svg import Drawing, Symbol, draw_picture, draw_tree, mark_text
from harness.errors import UserError
from harness.records import Instance, Part
from harness.results import Result, Results
from harness.tree import Mark, Node, Path
from harness.variants import Variant

# A part of a prompt: an image, or a text as HTML.
Shown = Drawing | Markup
# The highest embedded image has this many times the width of the widest one, because a JPEG has at most
# 65,535 rows.
MAX_RATIO = 10


class Drawings:
    """Draws instances of a benchmark for one page, in which each image is embedded once.

    A family is third-party code: what it fails to draw is left out, and `results.failures` has the reason.
    """

    def __init__(self, results: Results, width: int) -> None:
        """width: of the widest embedded image in pixels."""
        self.results, self.benchmark, self.width = results, results.benchmark, width
        # By path: the number of each image that was drawn.
        self._numbers: dict[str, int] = {}
        # By path: why an image cannot be shown.
        self.missing: dict[str, str] = {}
        self._tree = cache(self._load_tree)
        self._embed = cache(self._load_image)

    def tree(self, instance: Instance, variant: Variant, result: Result | None = None) -> Drawing | None:
        """The governing policy with the correct path, and that of a response; None if it has no tree."""
        policy = variants.policy_id(instance, variant)
        root = None if policy is None else self._tree(policy)
        gold = self.gold_path(instance, variant)
        if root is None or not gold.steps:
            return None
        claimed = None if result is None else self._claimed_path(result)
        return self.results.attempt(
            "drawing a tree", None, lambda: draw_tree(root, gold, self.symbol, claimed)
        )

    def whole_tree(self, policy: str) -> Drawing | None:
        """A policy without paths, in which nothing is folded."""
        root = self._tree(policy)
        if root is None:
            return None
        return self.results.attempt(
            "drawing a tree", None, lambda: draw_tree(root, Path(), self.symbol, whole=True)
        )

    def question(self, instance: Instance, variant: Variant) -> list[tuple[Part, Shown]]:
        """Each part of the question with its drawing."""
        marks: dict[int, list[Mark]] = {}
        for mark in self.gold_path(instance, variant).marks:
            marks.setdefault(mark.part, []).append(mark)
        return [
            (part, self.part(part, marks.get(i, ()), enlarge=True)) for i, part in enumerate(instance.query)
        ]

    def part(self, part: Part, marks: Sequence[Mark] = (), enlarge: bool = False) -> Shown:
        """A part of a prompt: a text, or an image or the reason why it cannot be shown."""
        if part.kind != "image":
            marked = self.results.attempt("marking a text", None, lambda: mark_text(part.value, marks))
            return escape(part.value) if marked is None else marked
        symbol = self.symbol(part.value)
        if symbol is None:
            return Markup('<span class="error">{}</span>').format(self.missing[part.value])
        drawn = self.results.attempt(
            "drawing marks", None, lambda: draw_picture(symbol, marks, part.value, enlarge)
        )
        return draw_picture(symbol, (), part.value, enlarge) if drawn is None else drawn

    def symbol(self, path: str) -> Symbol | None:
        """An image of the benchmark; None if it cannot be read."""
        uri, size = self._embed(path)
        if not uri:
            return None
        return Symbol(f"image-{self._numbers.setdefault(path, len(self._numbers))}", *size)

    def symbols(self) -> list[Markup]:
        """The definition of each image that was drawn."""
        form = Markup(
            '<symbol id="image-{}" viewBox="0 0 {} {}"><image href="{}" width="{}" height="{}"/></symbol>'
        )
        embedded = [(number, *self._embed(path)) for path, number in self._numbers.items()]
        return [form.format(n, *size, uri, *size) for n, uri, size in embedded]

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        family = self.benchmark.family_of(instance)
        what = f"`gold_path` of {type(family).__name__}"
        return self.results.attempt(what, None, lambda: family.gold_path(instance, variant)) or Path()

    def _claimed_path(self, result: Result) -> Path:
        family = self.benchmark.family_of(result.instance)
        what = f"`claimed_path` of {type(family).__name__}"
        text = result.response.text or ""
        claim = self.results.attempt(
            what, result, lambda: family.claimed_path(result.instance, result.variant, text)
        )
        return claim or Path()

    def _load_tree(self, policy: str) -> Node | None:
        family = self.benchmark.family
        return self.results.attempt(f"`tree` of {type(family).__name__}", None, lambda: family.tree(policy))

    def _load_image(self, path: str) -> tuple[str, tuple[int, int]]:
        """A data URI with the size of the image; "" if it is in `missing`."""
        try:
            picture = self.benchmark.image(path)
        except UserError as error:
            # Without the folder, because the page may be published.
            self.missing[path] = str(error).replace(f"{self.benchmark.folder}/", "")
            return "", (0, 0)
        size = picture.size
        picture.thumbnail((self.width, MAX_RATIO * self.width), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(), size
