"""Sums over the responses of a variant, from which their mean tokens and times are computed."""

from harness.records import Response


class UsageSums:
    def __init__(self) -> None:
        self.requests = 0
        # The time of a whole batch is not that of a prompt.
        self.single = True
        self.served_models: set[str] = set()
        # By quantity: how many responses report it, and the sum of what they report.
        self._reported: dict[str, tuple[int, float]] = {}

    def add(self, response: Response) -> None:
        self.requests += 1
        self.single &= response.batch == 1
        if response.served_model:
            self.served_models.add(response.served_model)
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "prefill_seconds"):
            self._add(name, getattr(response, name))
        self._add("seconds", response.seconds and response.seconds / response.batch)

    def _add(self, name: str, value: float | None) -> None:
        if value is not None:
            count, total = self._reported.get(name, (0, 0))
            self._reported[name] = count + 1, total + value

    def mean(self, name: str) -> float | None:
        count, total = self._reported.get(name, (0, 0))
        return total / count if count else None
