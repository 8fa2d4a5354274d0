"""Prompts for base models, which have no chat template and continue a text.

    Question:
    Policy L2-Pokubo. ... The objects in the scene, from left to right: ...      a worked example
    Answer: <think> ... </think> \\boxed{Case 1}

    Question:
    Policy L2-Stuvabe. ... The objects in the scene, from left to right: ...     the prompt
    Answer:

If the prompt contains a policy, worked examples under up to EXAMPLES other policies come first, so that the
model sees the form of an answer. A prompt without a policy has none: their answers would be those of another
policy. A prompt that ends with the beginning of an answer, after worked examples as in MMLU-Pro, is sent as
it is. A base model does not stop after its answer, but writes the next question. So a response ends before
STOP.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from harness import variants
from harness.files.benchmark import Benchmark
from harness.records import Instance, Part, Prompt
from harness.variants import OVERRIDE, VARIANTS

STOP = "Question:"
EXAMPLES = 2
# The split of the worked examples.
SPLIT = "train"
# A chat template, whose messages have texts as their contents.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' or 'Answer:' in m.content.split('\\n') | last %}{{ m.content }}"
    "{% else %}{{ 'Question:\\n' + m.content + '\\nAnswer:' }}{% endif %}{% endfor %}"
)


class WorkedExamples:
    """Puts worked examples from a benchmark's training split before prompts that contain a policy."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self._before = cache(lambda policy: tuple(self._parts(policy)))

    def add(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        shown = {p.instance for p in prompts if _shows_policy(p)}
        if not shown or SPLIT not in self.benchmark.splits:
            return list(prompts)
        instances = self.benchmark.find(shown)
        return [self._with_examples(p, instances) if _shows_policy(p) else p for p in prompts]

    def _with_examples(self, prompt: Prompt, instances: Mapping[str, Instance]) -> Prompt:
        governing = variants.policy_id(instances[prompt.instance], VARIANTS[prompt.variant])
        return replace(prompt, parts=(*self._before(governing), *prompt.parts))

    def _parts(self, governing: str) -> Iterator[Part]:
        """Examples under other policies than the governing one. The template adds what is around them."""
        for instance, prompt in islice(self._of_policies(governing), EXAMPLES):
            gold = self.benchmark.family_of(instance).gold(instance, OVERRIDE)
            yield from (*prompt.parts, Part("text", f"\nAnswer: {gold}\n\nQuestion:\n"))

    def _of_policies(self, governing: str) -> Iterator[tuple[Instance, Prompt]]:
        """One instance for each policy that replaces another, without images."""
        seen = {governing}
        for instance in self.benchmark.instances(SPLIT):
            policy = variants.policy_id(instance, OVERRIDE)
            prompt = variants.prompt(instance, OVERRIDE, self.benchmark.policies)
            if policy in seen or prompt is None or any(part.kind == "image" for part in prompt.parts):
                continue
            seen.add(policy or "")
            yield instance, prompt


def _shows_policy(prompt: Prompt) -> bool:
    variant = VARIANTS.get(prompt.variant)
    return variant is not None and variant.shown


def plain_prompt(text: str) -> str:
    """The text as a base model reads it, without the token that begins a text."""
    return str(_template().render(messages=[{"role": "user", "content": text}]))


def response_before_stop(text: str) -> str | None:
    """The response in a text that continues with the next question; None if it does not."""
    response, stop, _ = text.partition(STOP)
    return response.rstrip() if stop else None


@cache
def _template() -> Any:
    from jinja2 import Template

    return Template(TEMPLATE)
