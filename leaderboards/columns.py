"""The columns of a board: every figure of an entry except its score.

Each row of an entry's report under the board's variant becomes a column with the row's label as its name.
Its title, unit, direction and explanation come from the metric. Columns that are not metrics of a report are
declared here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.metrics.accuracy import ACCURACY
from harness.metrics.metric import DOLLARS, Quantity, Unit, find, installed
from harness.records import Report
from harness.report.savings import savings
from harness.variants import IN_CONTEXT, INTERNALIZED, OVERRIDE


@dataclass(frozen=True, slots=True)
class ChangeUnit(Unit):
    """The unit of a difference, whose sign is always written."""

    def format(self, value: float | None) -> str:
        return self.change(value)


# The accuracy of a run under each variant. A board shows those of the other variants.
ACCURACIES = (
    Quantity(name=INTERNALIZED.name, explanation="Accuracy of the run without the policy in the prompt."),
    Quantity(name=IN_CONTEXT.name, explanation="Accuracy of the run with the policy in the prompt."),
    Quantity(name=OVERRIDE.name, explanation="Accuracy of the run with another policy in the prompt."),
)
RECALL = Quantity(
    name="recall",
    explanation="The latest accuracy of the model on the recall split, whose questions ask for the policy.",
)
FORGETTING = Quantity(
    name="forgetting",
    unit=ChangeUnit("points", scale=100),
    explanation="The mean change of accuracy on the general benchmarks of these boards, compared with the "
    "model before training, which is the `base` in training.json.",
)
TOKENS_SAVED = Quantity(
    name="tokens saved", explanation="The share of the prompt tokens that is saved by leaving out the policy."
)
PROMPT_TOKENS = Quantity(
    name="prompt tokens", unit=Unit(digits=0), direction="lower", explanation="Mean tokens per prompt."
)
COST = Quantity(
    name="cost", unit=DOLLARS, direction="lower", explanation="The price of all responses by the price table."
)
BOARD_ONLY = RECALL, FORGETTING, TOKENS_SAVED, PROMPT_TOKENS, COST
DECLARED: Mapping[str, Quantity] = {q.name: q for q in (*ACCURACIES, *BOARD_ONLY)}
# Older entries were stored under these names, before columns had the names of their metrics.
RENAMED: Mapping[str, str] = {
    "referral": "referral precision",
    "rule recall": "referral recall",
    "nonexistent": "nonexistent rules",
}


def report_columns(report: Report, variant: str) -> dict[str, float]:
    """The columns of a board of this variant that are computed from the report, by label."""
    rows = [row for row in report.rows if not row.group]
    columns = {row.label: row.mean for row in rows if row.variant == variant and row.label != ACCURACY.name}
    columns |= {row.variant: row.mean for row in rows if row.label == ACCURACY.name}
    usage = {u.variant: u for u in report.usage}
    saved = {saving.what: saving.share for saving in savings(report.usage)}
    columns[PROMPT_TOKENS.name] = usage[variant].prompt_tokens if variant in usage else None
    columns[TOKENS_SAVED.name] = saved.get("prompt tokens")
    columns[COST.name] = report.cost
    return {label: value for label, value in columns.items() if value is not None}


def stored_columns(columns: Mapping[str, float | None]) -> dict[str, float]:
    """The columns of a stored entry that have a value, under their present names."""
    return {RENAMED.get(label, label): value for label, value in columns.items() if value is not None}


def quantities(labels: Iterable[str]) -> list[Quantity]:
    """The quantity of each column, in the order of display: accuracies, metrics, then BOARD_ONLY."""
    uninstalled = ""  # the place of metrics that are no longer installed, after the installed ones
    order = [*(q.name for q in ACCURACIES), *installed(), uninstalled, *(q.name for q in BOARD_ONLY)]

    def position(label: str) -> int:
        name = label if label in DECLARED else find(label).name
        return order.index(name if name in order else uninstalled)

    return [replace(DECLARED.get(label) or find(label), name=label) for label in sorted(labels, key=position)]


def description(quantity: Quantity) -> str:
    """The explanation of a column, and whether higher or lower is better. Empty for an unknown metric."""
    if quantity.direction == "neither":
        return quantity.explanation
    return f"{quantity.explanation} {quantity.direction.capitalize()} is better.".lstrip()


def legend(columns: Iterable[Quantity]) -> dict[str, str]:
    """The description of each column by its title. Columns with the same description share one item."""
    titles: dict[str, list[str]] = {}
    for column in columns:
        titles.setdefault(description(column), []).append(column.title)
    return {", ".join(sharing): text for text, sharing in titles.items() if text}
