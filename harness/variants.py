"""Variants: which policy governs the answer, and whether the model is shown that policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import UserError
from harness.records import Instance, Policy, Prompt


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    # Whether the override of an instance governs instead of its own policy.
    replaced: bool
    # Whether the governing policy is in the prompt, in front of the query.
    shown: bool


INTERNALIZED = Variant("internalized", replaced=False, shown=False)
IN_CONTEXT = Variant("in_context", replaced=False, shown=True)
OVERRIDE = Variant("override", replaced=True, shown=True)
VARIANTS = {v.name: v for v in (INTERNALIZED, IN_CONTEXT, OVERRIDE)}


def parse(text: str) -> tuple[Variant, ...]:
    """Variants written as "internalized,override". Raises UserError with the existing names otherwise."""
    unknown = [name for name in text.split(",") if name not in VARIANTS]
    if unknown:
        raise UserError(f"variants: expected some of {', '.join(VARIANTS)}, got {unknown[0]!r}")
    return tuple(VARIANTS[name] for name in dict.fromkeys(text.split(",")))


def policy_id(instance: Instance, variant: Variant) -> str | None:
    """The id of the governing policy; None if the instance has no policy or no override."""
    if variant.replaced:
        return instance.override.policy_id if instance.override else None
    return instance.policy_id


def target(instance: Instance, variant: Variant) -> str | None:
    """The correct answer; None if the variant needs an override and the instance has none."""
    if variant.replaced:
        return instance.override.target if instance.override else None
    return instance.target


def prompt(
    instance: Instance, variant: Variant, policies: Mapping[str, Policy], sample: int = 0
) -> Prompt | None:
    """The prompt of an instance: (P, Q, I) if the variant shows the policy, otherwise (Q, I).

    The policy comes first, so that prompts share it as a prefix. None if the variant shows a policy and the
    instance has none.
    """
    if not variant.shown:
        return Prompt(instance.id, variant.name, instance.query, sample)
    governing = policy_id(instance, variant)
    if governing is None:
        return None
    shown = policies[governing].content
    return Prompt(instance.id, variant.name, shown + instance.query, sample)
