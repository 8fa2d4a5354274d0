"""Which plots a stage's curves are drawn in: one table, and how a metric finds its place in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from training.curves.history import Stage

FREE, AWARE = "reward/policy_free", "reward/policy_aware"
DIFFERENCE = f"{AWARE} less {FREE}"
"""Not logged: computed where both are."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot: its title, its lines, and what a reader must know of it."""

    title: str
    lines: Mapping[str, tuple[str, ...]]
    """By label the names of its metric, the first that is logged counts; a "*" in a name stands for
    whatever no other panel has as its own, which then is the label."""
    note: str = ""
    zero: bool = True
    """Whether the axis begins at zero."""
    noisy: bool = True
    """Whether a moving mean says more than the values."""
    least: int = 1
    """Lines without which it says no more than another panel."""


PANELS = (
    Panel("Loss", {"training": ("loss",), "held out": ("eval_loss",)}, zero=False),
    Panel("Learning rate", {"rate": ("learning_rate",)}, noisy=False),
    Panel("Gradient norm", {"norm": ("grad_norm",)}, "Before clipping."),
    Panel(
        "Token accuracy",
        {"accuracy": ("mean_token_accuracy",)},
        "Teacher-forced, over the tokens that carry loss.",
        zero=False,
    ),
    Panel(
        "Reward",
        {"policy-free": (FREE, "reward"), "policy-aware": (AWARE,)},
        "Policy-aware: sampled with the policy in context.",
        zero=False,
    ),
    Panel(
        "Reward: policy-aware less policy-free",
        {"difference": (DIFFERENCE,)},
        "What PolicyRollout lives on: above zero, the policy in context helps.",
        zero=False,
    ),
    Panel("Reward by family", {"*": ("reward/*",)}, "Of policy-free responses.", zero=False, least=2),
    Panel(
        "Accuracy",
        {"policy-free": ("accuracy/policy_free",), "policy-aware": ("accuracy/policy_aware",)},
        "The answer's part of the reward.",
        zero=False,
    ),
    Panel(
        "Format",
        {"policy-free": ("format/policy_free",), "policy-aware": ("format/policy_aware",)},
        "The form's part of the reward.",
        zero=False,
    ),
    Panel(
        "Groups without variance",
        {"sampled": ("groups/zero_variance",), "trained on": ("frac_reward_zero_std",)},
        "Share of groups whose responses all have one reward: nothing to learn from.",
    ),
    Panel(
        "Dynamic sampling",
        {"retries": ("dynamic_sampling/retries",)},
        "Further batches sampled in place of groups without variance.",
    ),
    Panel(
        "Clipped tokens",
        {"low": ("clip_ratio/low_mean",), "high": ("clip_ratio/high_mean",)},
        "Share of tokens held back from becoming still rarer (low) or more frequent (high).",
    ),
    Panel("KL", {"KL": ("kl",)}, "From the model that the stage began with, per token."),
    Panel("Entropy", {"entropy": ("entropy",)}, "Of the next token, in nats."),
    Panel("Response length", {"tokens": ("completions/mean_length",)}, "Mean, in tokens."),
    Panel(
        "Truncated responses",
        {"share": ("completions/clipped_ratio",)},
        "Share cut off at the limit of new tokens.",
    ),
)
"""In the page's order."""

OWN = {name for panel in PANELS for names in panel.lines.values() for name in names}


def lines(panel: Panel, metrics: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Label and names of each line of the panel that the metrics have something of."""
    found = list(_lines(panel, metrics))
    return found if len(found) >= panel.least else []


def _lines(panel: Panel, metrics: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for label, names in panel.lines.items():
        if label != "*":
            if any(name in metrics for name in names):
                yield label, names
            continue
        pattern = re.escape(names[0]).replace(r"\*", "(.+)")
        for metric in metrics:
            if metric not in OWN and (match := re.fullmatch(pattern, metric, re.DOTALL)):
                yield match[1], (metric,)


def by_metric(stage: Stage) -> dict[str, dict[int, float]]:
    """The finite values by metric and step, the difference of the two kinds of rollouts among them."""
    found: dict[str, dict[int, float]] = {}
    for step, values in sorted(stage.steps.items()):
        for metric, value in values.items():
            if value is not None:
                found.setdefault(metric, {})[step] = value
    free, aware = found.get(FREE, {}), found.get(AWARE, {})
    if difference := {step: aware[step] - free[step] for step in free if step in aware}:
        found[DIFFERENCE] = difference
    return found
