"""An instance as a PNG: the question, the policy with the correct path, and the gold response.

It is composed as an SVG, which resvg paints, so no browser is needed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from markupsafe import escape

from harness.drawing.instance import Drawings
from harness.drawing.layout import wrap
from harness.drawing.svg import Drawing
from harness.files.benchmark import Benchmark
from harness.records import Instance
from harness.report.page import packaged
from harness.results import Results
from harness.text import printable
from harness.variants import INTERNALIZED

# In CSS pixels, of which each becomes ZOOM pixels of the PNG.
WIDTH, MARGIN, COLUMN = 1080, 24, 504
FONT, LINE, TITLE = 13, 19, 19
ZOOM = 1.5
# The most lines of a text.
MOST_LINES = 400
STYLE = f"""
text {{ font-family: "DejaVu Sans"; font-size: {FONT}px; fill: var(--ink); white-space: pre; }}
.title {{ font-size: {TITLE}px; font-weight: 700; }}
.head {{ font-weight: 700; }}
.quiet {{ fill: var(--quiet); }}
"""


def png(benchmark: Benchmark, instance: Instance) -> bytes:
    """The sheet of an instance as the bytes of a PNG."""
    import matplotlib
    import resvg_py

    # The fonts that are part of matplotlib, so that letters are the same on every machine.
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = [str(fonts / name) for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")]
    return bytes(resvg_py.svg_to_bytes(svg_string=svg(benchmark, instance), zoom=ZOOM, font_files=files))


def svg(benchmark: Benchmark, instance: Instance) -> str:
    """The sheet of an instance: question on the left, policy on the right, gold response below."""
    drawings = Drawings(Results(benchmark), 2 * COLUMN)
    left, right = _Column(MARGIN), _Column(MARGIN + COLUMN + MARGIN)
    left.text(instance.id, "title", TITLE)
    policy = instance.policy_id
    left.text(f"{instance.split}, policy {policy}" if policy else instance.split, "quiet")
    right.text(f"Target: {instance.target}", "head")
    if instance.override:
        right.text(f"{instance.override.target} under {instance.override.policy_id}", "quiet")
    left.y = right.y = max(left.y, right.y) + LINE / 2
    for part, shown in drawings.question(instance, INTERNALIZED):
        if isinstance(shown, Drawing):
            left.drawing(shown)
        else:
            left.text(part.value if part.kind != "image" else shown.striptags())
    tree = drawings.tree(instance, INTERNALIZED)
    if tree is not None:
        right.drawing(tree)
    elif policy is not None:
        right.text("".join(part.value for part in benchmark.policies[policy].content if part.kind == "text"))
    shorter = min(left, right, key=lambda column: column.y)
    shorter.text("Gold response", "head")
    shorter.text(benchmark.family_of(instance).gold(instance, INTERNALIZED))
    height = max(left.y, right.y) + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}">'
        f"<style>{_style()}</style><defs>{''.join(drawings.symbols())}</defs>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join([*left.pieces, *right.pieces])}</svg>'
    )


class _Column:
    """A column of the sheet, which is filled from the top."""

    def __init__(self, x: float) -> None:
        self.x, self.y = x, float(MARGIN)
        self.pieces: list[str] = []

    def text(self, text: str, style: str = "", font: float = FONT) -> None:
        for line in _lines(text, font):
            self.y += LINE * font / FONT
            self.pieces.append(f'<text class="{style}" x="{self.x}" y="{self.y - 5:g}">{escape(line)}</text>')
        self.y += LINE / 3

    def drawing(self, drawing: Drawing) -> None:
        self.pieces.append(f'<g transform="translate({self.x} {self.y:g})">{drawing.svg}</g>')
        self.y += drawing.height + LINE / 2


def _lines(text: str, font: float) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield from wrap(printable(line), font, COLUMN, MOST_LINES)


def _style() -> str:
    """The style of drawings with the colors of the light scheme, because resvg knows no variables."""
    drawing = packaged("drawing.css", "harness.drawing")
    colors: dict[str, str] = {}
    for name, color in re.findall(r"--([\w-]+): ([^;]+);", packaged("report.css") + drawing):
        colors.setdefault(name, color)  # the light scheme is first
    rules = "\n".join(line for line in drawing.splitlines() if line.startswith((".tree", ".picture")))
    return re.sub(r"var\(--([\w-]+)\)", lambda variable: colors[variable[1]], STYLE + rules)
