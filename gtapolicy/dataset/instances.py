"""From dialogs to instances: a profile for each dialog, an instance for each call, overrides, recall."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.grading.calls import Call
from gtapolicy.policy import reasoning, wording
from gtapolicy.policy.profiles import Stratified
from gtapolicy.policy.rules import Profile, Table, versioned
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.records import Instance, Override, Part, Policy

FAMILY = "gtapolicy"
TEST_SHARE = 106 / 557
"""Of the calls (paper, GTAPolicy: 451 to train, 106 to test); dialogs are never split."""
FORMAT = (
    "Reason inside <think> and </think>, then give one call as JSON in \\boxed{}: "
    '{"name": the tool to call now, "arguments": {argument: value}}.'
)
RECALL = (
    "Under which condition does policy {policy} use {name}? Give it alone in \\boxed{{}}, worded as in "
    "'credits is above 100 and at most 200, and account_type is A or B'."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy's name, its table, and the table that an override puts in its place."""

    name: str
    table: Table
    replaced: Table

    @property
    def replacement_id(self) -> str:
        return f"{self.name}.r0"

    def policies(self) -> list[Policy]:
        changed = [tool.name for tool in self.table.tools if tool.rules]
        texts = (
            wording.policy_text(self.table, self.name),
            wording.notice_text(self.replaced, self.name, changed),
        )
        own, other = ((Part("text", text),) for text in texts)
        tables = msgspec.to_builtins(self.table), msgspec.to_builtins(self.replaced)
        return [
            Policy(self.name, FAMILY, self.name, own, tables[0]),
            Policy(self.replacement_id, FAMILY, self.name, other, tables[1], self.name),
        ]


def write(
    out: Path, begun: BenchmarkSpec, rules: Rules, dialogs: Sequence[Dialog], rng: random.Random
) -> Manifest:
    """Everything but the images, which stand in out already; seals the benchmark."""
    profiles = Stratified(rules.table, rng)
    tested = _tested(dialogs, rng)
    splits: dict[str, list[Instance]] = {"train": [], "test": [], "recall": list(_recall(rules))}
    for dialog in dialogs:
        profile = profiles.next([step.tool for step in dialog.steps])
        split = "test" if dialog.id in tested else "train"
        splits[split] += [
            _instance(rules, dialog, profile, index, split) for index in range(len(dialog.steps))
        ]
    store.write_lines(out / benchmark.POLICIES, rules.policies())
    for split, instances in splits.items():
        store.write_lines(out / benchmark.instances_file(split), instances)
    return benchmark.seal(out, begun)


def _tested(dialogs: Sequence[Dialog], rng: random.Random) -> set[str]:
    """Dialogs with about TEST_SHARE of all calls."""
    wanted = TEST_SHARE * sum(len(dialog.steps) for dialog in dialogs)
    tested: set[str] = set()
    for dialog in rng.sample(dialogs, len(dialogs)):
        if wanted < len(dialog.steps) / 2:
            break
        tested.add(dialog.id)
        wanted -= len(dialog.steps)
    return tested


def _instance(rules: Rules, dialog: Dialog, profile: Profile, index: int, split: str) -> Instance:
    step, history = dialog.steps[index], dialog.steps[:index]
    name, other = (table.decide(step.tool, profile) for table in (rules.table, rules.replaced))
    changed = reasoning.as_json(Call(other, step.arguments))
    return Instance(
        id=f"{rules.name}-{dialog.id}-{index}",
        split=split,
        query=(
            *(Part("image", path) for path in dialog.images),
            Part("text", _question(rules, dialog, profile, index)),
        ),
        facts={
            "family": dialog.family,
            "open": dialog.open,
            "profile": dict(profile),
            "step": msgspec.to_builtins(step),
            "history": [
                reasoning.as_json(Call(rules.table.decide(s.tool, profile), s.arguments)) for s in history
            ],
            "same_tool_in_history": any(s.tool == step.tool for s in history),
        },
        policy_id=rules.name,
        target=reasoning.as_json(Call(name, step.arguments)),
        override=Override(rules.replacement_id, changed) if other != name else None,
    )


def _question(rules: Rules, dialog: Dialog, profile: Profile, index: int) -> str:
    lines = [f"Images, in this order: {', '.join(dialog.images)}"] if dialog.images else []
    lines.append(f"User profile: {', '.join(f'{name} {value}' for name, value in profile.items())}")
    lines.append(f"Query: {dialog.query}")
    lines.append("Interaction history:" if index else "Interaction history: none")
    for number, step in enumerate(dialog.steps[:index], 1):
        call = reasoning.as_json(Call(rules.table.decide(step.tool, profile), step.arguments))
        lines.append(f"{number}. {call} returned: {step.returned}")
    lines.append(f"Which call comes next under policy {rules.name}? {FORMAT}")
    return "\n".join(lines)


def _recall(rules: Rules) -> Iterator[Instance]:
    """For each version of each tool: the condition under which the policy uses it."""
    for tool in rules.table.tools:
        for rule in tool.rules:
            name = versioned(tool.name, rule.use)
            yield Instance(
                id=f"{rules.name}-recall-{name}",
                split="recall",
                query=(Part("text", RECALL.format(policy=rules.name, name=name)),),
                facts={"recall": name},
                policy_id=rules.name,
                target=wording.condition(rule),
            )


def step_of(facts: Mapping[str, object]) -> Step:
    return msgspec.convert(facts["step"], Step)


def target_call(target: str) -> Call:
    data = json.loads(target)
    return Call(data["name"], data["arguments"])
