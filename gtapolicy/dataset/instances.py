"""Turns dialogs into instances: a profile for each dialog, a question for each call, and recall questions."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gtapolicy.dataset.dialogs import Dialog
from gtapolicy.policy import wording
from gtapolicy.policy.conditions import Profile, condition
from gtapolicy.policy.profiles import ProfileSampler
from gtapolicy.policy.reasoning import gold_call
from gtapolicy.policy.rules import RuleTable
from harness.files import benchmark, store
from harness.generation.blocks import Block
from harness.records import Instance, Override, Part, Policy

FAMILY = "gtapolicy"
FORMAT = (
    "Reason inside <think> and </think>, then give one call as JSON in \\boxed{}: "
    '{"name": the tool to call now, "arguments": {argument: value}}.'
)
HISTORY = "Interaction history:"
NEXT = "Which call comes next under policy"
RECALL = (
    "Under which condition does policy {policy} use {name}? Give it alone in \\boxed{{}}, worded as in "
    "'credits is above 100 and at most 200, and account_type is A or B'."
)


@dataclass(frozen=True, slots=True)
class PolicyPair:
    """A named policy and the override that replaces its version rules."""

    name: str
    table: RuleTable
    override: RuleTable

    def policies(self) -> list[Policy]:
        """The policy and the override as records. The override's text contains only the changed rules."""
        text = Part("text", wording.policy_text(self.table, self.name))
        notice = Part("text", wording.notice_text(self.override, self.name))
        table, override = msgspec.to_builtins(self.table), msgspec.to_builtins(self.override)
        return [
            Policy(self.name, FAMILY, self.name, (text,), table),
            Policy(f"{self.name}.r0", FAMILY, self.name, (notice,), override, self.name),
        ]


def write(out: Path, block: Block, pair: PolicyPair, dialogs: Iterable[Dialog], rng: random.Random) -> None:
    """Writes all records of a block. The first block contains the policies and the questions about them."""
    profiles, folder, is_first = ProfileSampler(pair.table, rng), out / block.folder, block.number == 0
    recall = list(_recall(pair)) if is_first else []
    splits: dict[str, list[Instance]] = {"train": [], "test": [], "recall": recall}
    for dialog in dialogs:
        profile = profiles.next([step.tool for step in dialog.steps])
        for index in range(len(dialog.steps)):
            splits[dialog.split].append(_instance(pair, dialog, profile, index, block))
    store.write_lines(folder / benchmark.POLICIES, pair.policies() if is_first else ())
    for split, instances in splits.items():
        store.write_lines(folder / benchmark.instances_file(split), instances)


def _instance(pair: PolicyPair, dialog: Dialog, profile: Profile, index: int, block: Block) -> Instance:
    """The question about the call at `index` in a dialog. The earlier calls are its history."""
    step = dialog.steps[index]
    history = [gold_call(pair.table, profile, s).to_json() for s in dialog.steps[:index]]
    target, other = (gold_call(table, profile, step).to_json() for table in (pair.table, pair.override))
    return Instance(
        id=f"{pair.name}-{dialog.id}-{index}",
        split=dialog.split,
        query=(
            *(Part("image", block.folder + path) for path in dialog.images),
            Part("text", _question(pair.name, dialog, profile, history)),
        ),
        facts={
            **block.facts,
            "family": dialog.family,
            "open": dialog.open,
            "profile": dict(profile),
            "step": msgspec.to_builtins(step),
            "history": history,
            "same_tool_in_history": any(s.tool == step.tool for s in dialog.steps[:index]),
        },
        policy_id=pair.name,
        target=target,
        override=Override(f"{pair.name}.r0", other) if other != target else None,
    )


def _question(policy: str, dialog: Dialog, profile: Profile, history: Sequence[str]) -> str:
    lines = [f"Images, in this order: {', '.join(dialog.images)}"] if dialog.images else []
    lines.append(f"User profile: {', '.join(f'{name} {value}' for name, value in profile.items())}")
    *earlier, query = dialog.queries(len(history))
    lines += [f"Earlier query: {text}" for text in earlier]
    lines.append(f"Query: {query}")
    lines += _history((call, step.returned) for call, step in zip(history, dialog.steps, strict=False))
    lines.append(f"{NEXT} {policy}? {FORMAT}")
    return "\n".join(lines)


def _history(calls: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"{number}. {call} returned: {returned}" for number, (call, returned) in enumerate(calls, 1)]
    return [HISTORY, *lines] if lines else [f"{HISTORY} none"]


def query_after(query: Sequence[Part], calls: Iterable[tuple[str, str]]) -> tuple[Part, ...]:
    """The query with another interaction history: calls and what they returned."""
    *images, question = query
    before, after = question.value.split(f"\n{HISTORY}", 1)
    after = after[after.rindex(f"\n{NEXT}") + 1 :]
    return *images, Part("text", "\n".join([before, *_history(calls), after]))


def _recall(pair: PolicyPair) -> Iterator[Instance]:
    """For each version of each tool, a question that asks under which condition the policy uses it."""
    for tool in pair.table.tools:
        for name, rule in tool.named_rules.items():
            yield Instance(
                id=f"{pair.name}-recall-{name}",
                split="recall",
                query=(Part("text", RECALL.format(policy=pair.name, name=name)),),
                facts={"recall": name},
                policy_id=pair.name,
                target=condition(rule),
            )
