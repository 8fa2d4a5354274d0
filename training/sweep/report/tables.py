"""Tables of a sweep's results: rows of methods in the paper's order, columns of figures, and the paper's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.backends import SCRIPTED
from harness.paper.tables import tables
from training.sweep.report.results import GAIN, INTERNALIZED, PORO_GAIN, Line, Spread

NAMES = {
    "random": "Random answer",
    "majority": "Majority answer",
    "oracle": "Oracle",
    "base": "In-Context",
    "policy-in-prompt": "SFT with the policy in the prompt",
    "direct-sft": "Direct SFT",
    "distillation": "Distillation of the base's answers in context",
    "cot-sft": "CoT SFT",
    "vm-cpt-cot-sft": "VM-CPT + CoT SFT",
    "rl-from-base": "RL from the base",
    "vm-cpt-rl": "VM-CPT + RL",
    "cot-sft-grpo": "CoT SFT + GRPO",
    "cot-sft-dapo": "CoT SFT + DAPO",
    "trimpi-grpo": "TriMPI, GRPO without PoRo",
    "trimpi-dapo": "TriMPI, DAPO without PoRo",
    "trimpi-poro-grpo": "TriMPI, PoRo-GRPO",
    "trimpi-poro-dapo": "TriMPI, PoRo-DAPO",
}
"""By recipe, in the tables' order: the paper's names where it has them, by which its figures are found."""
UNTRAINED = ("base", *SCRIPTED)
VARIANTS = {
    "internalized": INTERNALIZED,
    "override": "test/override/accuracy",
    "in context": "test/in_context/accuracy",
}
MODEL, DEPTH = "Qwen2.5-VL-7B", 6
"""Whose figures stand beside ours: the paper has every method only there."""
Format = Callable[[float], str]


def percent(value: float) -> str:
    return f"{100 * value:z.1f}"


def share(value: float) -> str:
    return f"{value:.3f}"


def whole(value: float) -> str:
    return f"{value:.0f}"


@dataclass(frozen=True, slots=True)
class Column:
    head: str
    figure: str
    format: Format = percent


GAINS = Column("over CoT SFT", GAIN), Column("over no PoRo", PORO_GAIN)
ACCURACY = (
    Column("internalized", INTERNALIZED),
    *GAINS,
    *(Column(name, VARIANTS[name]) for name in ("override", "in context")),
    Column("recall", "recall/internalized/accuracy"),
)
RULES = (
    Column("referral precision", "test/internalized/referral precision"),
    Column("referral recall", "test/internalized/referral recall"),
    Column("rules that do not exist", "test/internalized/nonexistent rules"),
    Column("branching distance", "test/internalized/branching"),
)
TRAINING = (
    Column("seconds", "seconds", whole),
    Column("updates of RL", "rl/steps", whole),
    Column("reward, policy-free", "rl/reward/policy_free", share),
    Column("reward, policy-aware", "rl/reward/policy_aware", share),
    Column("aware less free", "rl/reward/difference", share),
    Column("groups without variance", "rl/groups/zero_variance"),
)


def trained(line: Line) -> bool:
    return line.recipe not in UNTRAINED


def order(line: Line) -> tuple[bool, int, str, int]:
    known = list(NAMES)
    place = known.index(line.recipe) if line.recipe in known else len(known)
    return trained(line), place, line.method, line.chains or 0


def label(line: Line) -> str:
    name = NAMES.get(line.recipe, line.recipe)
    return name if line.method == line.recipe else f"{name} ({line.method})"


def figures(rows: Sequence[Line], columns: Sequence[Column], papers: Mapping[str, tuple[str, object]]) -> str:
    """A table with the columns that any line has a value for, if there are some."""
    begun = any(line.seeds for line in rows)
    chosen = [c for c in columns if not begun or any(line.spread(c.figure) for line in rows)]
    if not chosen:
        return ""
    body = []
    for line in rows:
        reported = [paper(NAMES.get(line.recipe, ""), *asked) for asked in papers.values()]
        body.append(
            [
                label(line),
                str(line.chains) if line.chains is not None else "–",
                f"{len(line.seeds)} of {line.planned}" if trained(line) else "–",
                *(cell(line, column) for column in chosen),
                *(f"{value:.2f}" if value is not None else "–" for value in reported),
            ]
        )
    return table(("method", "chains", "seeds", *(c.head for c in chosen), *papers), body)


def cell(line: Line, column: Column) -> str:
    if not line.seeds:
        return line.status
    return shown(line.spread(column.figure), column.format)


def shown(spread: Spread | None, format_: Format) -> str:
    if spread is None:
        return "–"
    if spread.n == 1:
        return format_(spread.mean)
    if spread.n == 2:
        return f"{format_(spread.low)}–{format_(spread.high)}"
    return f"{format_(spread.mean)} ± {format_(spread.high - spread.mean)}"


def paper(method: str, variant: str, visual: object) -> float | None:
    """What the paper reports in percent, of the same kind of policy."""
    judged = variant == "referral"
    of = method, MODEL, "clevrpolicy", DEPTH, visual, "internalized" if judged else variant
    for table in tables():
        for row in table.rows:
            found = row.method, row.model, row.family, row.depth, row.visual, row.variant
            if found == of and bool(row.judge) == judged and not row.after:
                return row.score
    return None


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines_ = [
        heads,
        ["---", *["---:"] * (len(heads) - 1)],
        *([escaped(cell) for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines_) + "\n"


def escaped(text: str) -> str:
    return re.sub(r"[\\`*_\[\]<>|~#]", r"\\\g<0>", text)
