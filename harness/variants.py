"""A variant is a pair: which policy governs the answer, and whether the model is shown it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UserError
from harness.records import Instance, Policy, Prompt


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    replaced: bool
    """The instance's override governs, not its own policy."""
    shown: bool
    """The governing policy stands in front of the query."""


INTERNALIZED = Variant("internalized", replaced=False, shown=False)
IN_CONTEXT = Variant("in_context", replaced=False, shown=True)
OVERRIDE = Variant("override", replaced=True, shown=True)
VARIANTS = {v.name: v for v in (INTERNALIZED, IN_CONTEXT, OVERRIDE)}


def parse(text: str) -> tuple[Variant, ...]:
    """Variants written as "internalized,override"; UserError lists the names that exist."""
    unknown = [name for name in text.split(",") if name not in VARIANTS]
    if unknown:
        raise UserError(f"variants: expected names out of {', '.join(VARIANTS)}, got {unknown[0]!r}")
    return tuple(VARIANTS[name] for name in dict.fromkeys(text.split(",")))


def policy_id(instance: Instance, variant: Variant) -> str | None:
    """The policy that governs; None where there is none, or no override."""
    if variant.replaced:
        return instance.override.policy_id if instance.override else None
    return instance.policy_id


def target(instance: Instance, variant: Variant) -> str | None:
    if variant.replaced:
        return instance.override.target if instance.override else None
    return instance.target


def prompt(
    instance: Instance, variant: Variant, policies: Mapping[str, Policy], sample: int = 0
) -> Prompt | None:
    """A = M(Q, I, P) with the policy first, so that prompts share it as a prefix; or A = M(Q, I).

    None where the variant would show a policy and the instance has none.
    """
    if not variant.shown:
        return Prompt(instance.id, variant.name, instance.query, sample)
    governing = policy_id(instance, variant)
    if governing is None:
        return None
    shown = policies[governing].content
    return Prompt(instance.id, variant.name, shown + instance.query, sample)
