"""`harness show`: one instance with its policy, its images and the reasoning that leads to its answer."""

import shutil
import textwrap
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from PIL import Image

from harness import variants
from harness.drawing import sheet
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Instance, Part
from harness.text import printable


def find(benchmark: Benchmark, instance_id: str) -> Instance:
    if found := benchmark.find([instance_id]):
        return found[instance_id]
    parts = (part for split in benchmark.splits for part, count in benchmark.parts(split).items() if count)
    # There may be none at all.
    examples = [f", such as {benchmark.instances_of(part)[0].id!r}" for part in islice(parts, 1)]
    raise UserError(
        f"{benchmark.folder}: expected the id of an instance{''.join(examples)}, got {instance_id!r}"
    )


def terminal(benchmark: Benchmark, instance: Instance, colors: bool) -> str:
    """The content as text. Images are half blocks with two pixels per character, or paths without colors."""
    width = min(120, shutil.get_terminal_size().columns)
    lines: list[str] = []
    for part in _parts(benchmark, instance):
        if part.kind == "image" and not colors:
            lines.append(f"[{part.value}]")
        elif part.kind == "image":
            lines.append(_half_blocks(benchmark.image(part.value), width))
        else:
            for line in part.value.splitlines():
                lines += textwrap.wrap(printable(line.expandtabs()), width) or [""]
    return "\n".join(lines)


def write_png(benchmark: Benchmark, instance: Instance, png: Path) -> None:
    with store.writing(png):
        png.parent.mkdir(parents=True, exist_ok=True)
    store.write(png, sheet.png(benchmark, instance))


def _parts(benchmark: Benchmark, instance: Instance) -> Iterable[Part]:
    """The prompt, with the policy if there is one, and then the gold response.

    In place of an image that cannot be read, the reason.
    """
    shown = variants.INTERNALIZED if instance.policy_id is None else variants.IN_CONTEXT
    prompt = variants.prompt(instance, shown, benchmark.policies)
    parts = prompt.parts if prompt else ()
    broken = benchmark.broken_images(part.value for part in parts if part.kind == "image")
    yield Part("text", f"{instance.id} ({instance.split})")
    for part in parts:
        is_broken = part.kind == "image" and part.value in broken
        yield Part("text", f"[{broken[part.value]}]") if is_broken else part
    yield Part(
        "text", f"\nGold response\n{benchmark.family_of(instance).gold(instance, variants.INTERNALIZED)}"
    )
    if instance.override:
        yield Part("text", f"\nOverridden by {instance.override.policy_id}: {instance.override.target}")


def _half_blocks(picture: Image.Image, width: int) -> str:
    columns = max(1, min(width, picture.width // 4))
    rows = max(1, round(picture.height * columns / picture.width / 2))
    small = picture.resize((columns, 2 * rows), Image.Resampling.LANCZOS)
    lines = []
    for row in range(rows):
        cells = []
        for column in range(columns):
            (r, g, b), (s, h, c) = (small.getpixel((column, 2 * row + k)) for k in (0, 1))  # type: ignore[misc]
            cells.append(f"\x1b[38;2;{r};{g};{b}m\x1b[48;2;{s};{h};{c}m▀")
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
