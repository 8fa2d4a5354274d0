"""The panels of a stage's curves (listed in panels.toml), and which logged metrics each of them shows."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import msgspec

from training.curves.history import StageHistory

FREE, AWARE = "reward/policy_free", "reward/policy_aware"
# Not logged, but computed from the two. This is its name in panels.toml.
DIFFERENCE = f"{AWARE} less {FREE}"


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot with one line or several."""

    title: str
    # Label of a line -> names of its metric, of which the first that was logged is used. A "*" in a name
    # matches any metric that no other panel lists; what it matches becomes the label.
    lines: Mapping[str, tuple[str, ...]]
    # What a reader needs to know.
    note: str = ""
    # Whether the axis includes zero.
    zero: bool = True
    # Whether to draw a moving mean.
    smooth: bool = True
    # With fewer lines the panel is omitted, because another one already shows them.
    min_lines: int = 1


PANELS = msgspec.convert(
    tomllib.loads(resources.files("training.curves").joinpath("panels.toml").read_text("utf-8"))["panels"],
    tuple[Panel, ...],
)
LISTED = {name for panel in PANELS for names in panel.lines.values() for name in names}


def panel_lines(panel: Panel, metrics: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Label and metric names of each line of the panel for which something was logged."""
    found = list(_lines(panel, metrics))
    return found if len(found) >= panel.min_lines else []


def _lines(panel: Panel, metrics: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for label, names in panel.lines.items():
        if label != "*":
            if any(name in metrics for name in names):
                yield label, names
            continue
        pattern = re.escape(names[0]).replace(r"\*", "(.+)")
        for metric in metrics:
            if metric not in LISTED and (match := re.fullmatch(pattern, metric, re.DOTALL)):
                yield match[1], (metric,)


def metric_values(stage: StageHistory) -> dict[str, dict[int, float]]:
    """Finite values by metric and step, including the difference between the two kinds of rollouts."""
    values: dict[str, dict[int, float]] = {}
    for step, logged in sorted(stage.steps.items()):
        for metric, value in logged.items():
            if value is not None:
                values.setdefault(metric, {})[step] = value
    free, aware = values.get(FREE, {}), values.get(AWARE, {})
    if difference := {step: aware[step] - free[step] for step in free if step in aware}:
        values[DIFFERENCE] = difference
    return values
