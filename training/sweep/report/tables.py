"""Tables of methods: their columns, how figures are written, and the figures of the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from harness.metrics.metric import DASH, SHARE, Metric, Unit, find, installed
from harness.paper.tables import tables
from harness.report.text import escape_markdown, markdown_table
from training.config import recipe_title, recipe_titles
from training.sweep.grid import UNTRAINED
from training.sweep.report import results
from training.sweep.report.results import Key, MethodRow, SeedMean

# The paper has figures of every method only for this model and the deepest policies.
MODEL, DEPTH = "Qwen2.5-VL-7B", 6


@dataclass(frozen=True, slots=True)
class Column:
    head: str
    key: Key
    unit: Unit = SHARE

    @property
    def title(self) -> str:
        return escape_markdown(f"{self.head} ({self.unit.symbol})" if self.unit.symbol else self.head)

    def cell(self, row: MethodRow) -> str:
        """The mean over seeds, or why no seed has a value."""
        if not row.figures:
            return "failed" if row.failed else "not run"
        return self.format(row.mean(self.key))

    def format(self, mean: SeedMean | None) -> str:
        """Such as "60.0 ± 2.5" for three or more seeds, "57.5–62.5" for two, and "60.0" for equal values."""
        if mean is None:
            return DASH
        low, high = self.unit.format(mean.low), self.unit.format(mean.high)
        if low == high:
            return self.unit.format(mean.mean)
        if mean.n == 2:
            return f"{low}–{high}"
        return f"{self.unit.format(mean.mean)} ± {self.unit.format(mean.high - mean.mean)}"


NUMBER, REWARD, POINTS = Unit(digits=0), Unit(digits=3), Unit("points", scale=100)
VARIANTS = (
    Column("internalized", results.INTERNALIZED),
    Column("override", ("test", "override", "accuracy")),
    Column("in context", ("test", "in_context", "accuracy")),
)
GAINS = tuple(Column(key[1], key, POINTS) for key in (results.OVER_COT_SFT, results.OVER_NO_PORO))
COVERAGE = tuple(Column(kind, ("coverage", "internalized", kind)) for kind in ("covered", "uncovered"))
# Where a condition's value is asked for (clevrpolicy/grading/cloze.py).
CLOZE = ("on the path", "off the path")
OTHER_COVERAGE = tuple(
    Column(f"{column.head}, {kind}", ("coverage", column.key[1], kind))
    for column in VARIANTS[1:]
    for kind in ("covered", "uncovered")
)
ACCURACY = (
    VARIANTS[0],
    *COVERAGE,
    *GAINS,
    *VARIANTS[1:],
    Column("recall", ("recall", "internalized", "accuracy")),
    *(Column(f"cloze {where}", ("cloze", "internalized", f"part: {where}")) for where in CLOZE),
)
TRAINING = (
    Column("seconds", ("training", "seconds"), NUMBER),
    Column("supervised updates", ("training", "supervised updates"), NUMBER),
    Column("RL updates", ("training", "updates"), NUMBER),
    Column("reward, policy-free", ("training", "reward/policy_free"), REWARD),
    Column("reward, policy-aware", ("training", "reward/policy_aware"), REWARD),
    Column("policy-aware minus policy-free", ("training", "reward difference"), REWARD),
    Column("sampled groups with different rewards", ("training", "useful groups")),
)
SAVINGS = tuple(
    Column(f"{quantity} {part}", ("savings", quantity, part), SHARE if part == "saved" else unit)
    for quantity, unit in (("prompt tokens", NUMBER), ("prefill seconds", Unit(digits=4)))
    for part in ("with policy", "without policy", "saved")
)


def metric_columns(rows: Sequence[MethodRow]) -> list[Column]:
    """A column for each installed metric that any row has a value for without the policy.

    Headline metrics have no column here. A metric whose rows have details, such as the parts of a score, has
    a column for each detail.
    """
    keys = dict.fromkeys(key for row in rows for figures in row.figures.values() for key in figures)
    labels = [key[2] for key in keys if key[:2] == results.INTERNALIZED[:2]]
    metrics = [(label, metric) for label in labels if isinstance(metric := find(label), Metric)]
    metrics.sort(key=lambda entry: list(installed()).index(entry[1].name))
    return [
        Column(label, (*results.INTERNALIZED[:2], label), metric.unit)
        for label, metric in metrics
        if not metric.headline
    ]


@cache
def titles() -> Mapping[str, str]:
    """How tables name untrained models and recipes, in the order of the rows."""
    scripted = {"random": "Random answer", "majority": "Majority answer", "oracle": "Oracle"}
    return scripted | {"base": "In-Context"} | recipe_titles()


def order(row: MethodRow) -> tuple[int, str, int, float]:
    """A sort key: untrained models first, then recipes in the paper's order."""
    recipe = row.cell.recipe
    return [*titles(), recipe].index(recipe), row.cell.method, row.cell.chains or 0, row.cell.cover


def name(row: MethodRow) -> str:
    method, recipe = row.cell.method, row.cell.recipe
    title = titles().get(recipe) or recipe_title(recipe)
    return title if method == recipe else f"{title} ({method})"


def chains(row: MethodRow) -> str:
    """Their number, and the share of the answers that they may have: "16" or "16 for 50 %"."""
    cover = "" if row.cell.cover == 1 else f" for {100 * row.cell.cover:g} %"
    return f"{row.cell.chains}{cover}" if row.cell.chains else DASH


def method_table(
    rows: Sequence[MethodRow], columns: Sequence[Column], paper: Mapping[str, Mapping[str, float]]
) -> str:
    """The rows with the columns that any row has a value for; empty if there are none.

    `paper` has the paper's percentages, by head of the column and by recipe.
    """
    any_finished = any(row.figures for row in rows)
    columns = [c for c in columns if not any_finished or any(row.mean(c.key) for row in rows)]
    paper = {head: scores for head, scores in paper.items() if any(row.cell.recipe in scores for row in rows)}
    if not columns:
        return ""
    body = [
        [
            name(row),
            chains(row),
            f"{len(row.figures)} of {len(row.cells)}" if row.cell.recipe not in UNTRAINED else DASH,
            *(column.cell(row) for column in columns),
            *(f"{s[row.cell.recipe]:.2f}" if row.cell.recipe in s else DASH for s in paper.values()),
        ]
        for row in rows
    ]
    return markdown_table(("method", "chains", "seeds", *(c.title for c in columns), *paper), body)


def paper_scores(variant: str, visual: bool | None, *, judged: bool = False) -> dict[str, float]:
    """The paper's percentages by recipe, for policies with or without pictures. Titles identify methods."""
    recipes = {title: recipe for recipe, title in titles().items()}
    wanted = MODEL, "clevrpolicy", DEPTH, visual, variant, judged, ""
    return {
        recipes[row.method]: row.score
        for table in tables()
        for row in table.rows
        if (row.model, row.family, row.depth, row.visual, row.variant, bool(row.judge), row.after) == wanted
        and row.method in recipes
    }
