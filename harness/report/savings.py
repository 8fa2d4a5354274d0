"""What a prompt without the policy saves in tokens and time (paper, Figure 6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import Usage
from harness.variants import IN_CONTEXT, INTERNALIZED

SAVED = {"prompt tokens": "prompt_tokens", "prefill seconds": "prefill_seconds"}


@dataclass(frozen=True, slots=True)
class Saving:
    """A mean per response with the policy in the prompt and without it."""

    what: str
    shown: float
    without: float

    @property
    def share(self) -> float:
        """The share saved: 1 - without / shown."""
        return 1 - self.without / self.shown

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.shown:.5g} with the policy, {self.without:.5g} without, "
            f"a reduction of {100 * self.share:.1f} %"
        )


def savings(usage: Sequence[Usage]) -> list[Saving]:
    """A saving for each quantity that both variants report."""
    by_variant = {u.variant: u for u in usage}
    shown, without = by_variant.get(IN_CONTEXT.name), by_variant.get(INTERNALIZED.name)
    if shown is None or without is None:
        return []
    pairs = {what: (getattr(shown, name), getattr(without, name)) for what, name in SAVED.items()}
    return [Saving(what, *pair) for what, pair in pairs.items() if pair[0] and pair[1] is not None]
