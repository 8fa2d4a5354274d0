"""Worked examples for base models: under other policies, and only before prompts with a policy."""

from pathlib import Path

import pytest

from harness import variants
from harness.backends import plain_prompt
from harness.backends.plain_prompt import EXAMPLES, WorkedExamples
from harness.files.benchmark import Benchmark
from harness.records import Prompt
from harness.variants import IN_CONTEXT, INTERNALIZED, OVERRIDE, Variant


def prompts(benchmark: Benchmark, variant: Variant) -> list[Prompt]:
    found = (variants.prompt(i, variant, benchmark.policies) for i in benchmark.instances("test"))
    return [prompt for prompt in found if prompt]


def text(prompt: Prompt) -> str:
    return "".join(part.value for part in prompt.parts)


@pytest.mark.parametrize("variant", [IN_CONTEXT, OVERRIDE])
def test_examples_have_other_policies_than_the_prompt(variant: Variant, words_folder: Path) -> None:
    benchmark = Benchmark(words_folder)
    instances = {i.id: i for i in benchmark.instances("test")}
    own = prompts(benchmark, variant)
    for prompt, extended in zip(own, WorkedExamples(benchmark).add(own), strict=True):
        assert extended.key == prompt.key and text(extended).endswith(text(prompt))
        examples = text(extended).removesuffix(text(prompt))
        questions = examples.split("Question:\n")[:-1]
        assert len(questions) == EXAMPLES and all("</think>\n\\boxed{Case" in one for one in questions)
        governing = variants.policy_id(instances[prompt.instance], variant)
        assert benchmark.policies[governing or ""].content[0].value not in examples


def test_a_prompt_without_policy_has_no_examples(words_folder: Path, mmlu_folder: Path) -> None:
    for folder in (words_folder, mmlu_folder):
        benchmark = Benchmark(folder)
        own = prompts(benchmark, INTERNALIZED)
        assert WorkedExamples(benchmark).add(own) == own


def test_a_plain_prompt_is_a_question_and_its_answer() -> None:
    assert plain_prompt.plain_prompt("Which?") == "Question:\nWhich?\nAnswer:"
    assert plain_prompt.plain_prompt("1?\nAnswer: Let's") == "1?\nAnswer: Let's"
    assert plain_prompt.response_before_stop(" 3\n\nQuestion:\n4?") == " 3"
    assert plain_prompt.response_before_stop(" 3") is None
