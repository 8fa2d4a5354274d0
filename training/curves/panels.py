"""The panels of a stage's curves, and which logged metrics each of them shows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from training.curves.history import StageHistory

FREE, AWARE = "reward/policy_free", "reward/policy_aware"
# Not logged, but computed from the two.
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


# In the order of the page.
PANELS = (
    Panel("Loss", {"training": ("loss",), "held out": ("eval_loss",)}, zero=False),
    Panel("Learning rate", {"rate": ("learning_rate",)}, smooth=False),
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
        "PolicyRollout learns from this difference: above zero, the policy in context helps.",
        zero=False,
    ),
    Panel("Reward by family", {"*": ("reward/*",)}, "For policy-free responses.", zero=False, min_lines=2),
    Panel(
        "Accuracy",
        {"policy-free": ("accuracy/policy_free",), "policy-aware": ("accuracy/policy_aware",)},
        "The part of the reward for the answer.",
        zero=False,
    ),
    Panel(
        "Format",
        {"policy-free": ("format/policy_free",), "policy-aware": ("format/policy_aware",)},
        "The part of the reward for the format.",
        zero=False,
    ),
    Panel(
        "Groups without variance",
        {"sampled": ("groups/zero_variance",), "trained on": ("frac_reward_zero_std",)},
        "Share of groups whose responses all have the same reward, so nothing can be learned.",
    ),
    Panel("Dynamic sampling", {"retries": ("dynamic_sampling/retries",)}, "Rounds of replacing groups."),
    Panel(
        "Clipped tokens",
        {"low": ("clip_ratio/low_mean",), "high": ("clip_ratio/high_mean",)},
        "Share of tokens whose ratio is clipped from below (low) or above (high).",
    ),
    Panel("KL", {"KL": ("kl",)}, "To the model at the start of the stage, per token."),
    Panel("Entropy", {"entropy": ("entropy",)}, "Of the next token, in nats."),
    Panel("Response length", {"tokens": ("completions/mean_length",)}, "Mean, in tokens."),
    Panel("Truncated responses", {"share": ("completions/clipped_ratio",)}, "Cut at the limit of tokens."),
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
