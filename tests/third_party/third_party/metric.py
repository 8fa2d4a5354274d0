"""How long responses are, in words."""

from harness.metrics.metric import Metric, Unit

WORDS = Metric(
    name="words per response",
    explanation="The mean number of words in a response.",
    unit=Unit("words"),
    direction="lower",
    value=lambda _results, result: float(len((result.response.text or "").split())),
)
