"""The request of `trimpi cot`, whose fields are its flags."""

from dataclasses import dataclass, field
from typing import Literal

from harness.backends import Endpoint, Sampling, is_scripted
from harness.errors import UserError

CotMethod = Literal["gold", "forward", "reverse", "teacher"]


@dataclass(frozen=True)
class CotRequest:
    """The flags of `trimpi cot`."""

    how: CotMethod = "gold"
    """gold: from the benchmark itself, without a model. forward: a model answers with the policy in context,
    and right responses are kept. reverse: the model also sees the right answer and writes the reasoning.
    teacher: like forward, but wrong responses are kept too (distillation)."""
    model: str | None = None
    """Model that writes the chains, as in `harness eval`, such as hf:PATH or openai:NAME; none for gold."""
    limit: int | None = None
    """Number of instances, balanced over policies and answers; a larger limit extends a smaller one."""
    cover: float = 1.0
    """Share of each policy's answers for which there are chains. Branches of the policy are left out."""
    samples: int = 1
    """Attempts per instance, until one of them can be kept."""
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        for name in ("limit", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected 1 or more, got {value}")
        if not 0 < self.cover <= 1:
            raise UserError(f"cover: expected a share above 0 and at most 1, got {self.cover}")
        if self.how == "gold" and (self.model is not None or self.samples > 1):
            raise UserError("how: gold uses no model; omit --model and --samples, or choose another --how")
        if self.how != "gold" and self.model is None:
            raise UserError(f"model: expected a model for {self.how} chains, such as hf:PATH, got none")
        if self.how in ("reverse", "teacher") and self.model is not None and is_scripted(self.model):
            raise UserError(f"model: expected one that reads its prompt, such as hf:PATH, got {self.model}")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise UserError("samples: greedy decoding gives the same response each time; set --temperature")
