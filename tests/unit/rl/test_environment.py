"""Dialogs in TRL's GRPOTrainer: two updates, in which TRL itself reads the calls and makes them."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from gta_dialogs import write_dialogs
from small_models import text_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from gtapolicy.grading.calls import Call
from harness.dialogs.dialog import MAX_WRONG
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.variants import IN_CONTEXT, OVERRIDE
from training.rl.environment import FORM, OVER, DialogEnvironment, DialogEnvironments


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_dialogs(tmp_path_factory.mktemp("dialogs") / "bench")


@pytest.fixture(scope="module")
def dialogs(bench: Benchmark) -> DialogEnvironments:
    return DialogEnvironments(bench)


def gold_calls(dialogs: DialogEnvironments, id_: str) -> list[Call]:
    return [Call.from_json(target) for target in dialogs.rollout(id_).targets]


def begin(dialogs: DialogEnvironments, id_: str) -> DialogEnvironment:
    environment = dialogs.environment()
    environment.reset(**next(row for row in dialogs.dataset() if row["dialog"] == id_))
    return environment


def test_the_gold_calls_get_the_whole_reward(dialogs: DialogEnvironments) -> None:
    for id_ in dialogs.dialogs:
        environment, calls = begin(dialogs, id_), gold_calls(dialogs, id_)
        steps = dialogs.rollout(id_).steps
        for call, step in zip(calls, steps, strict=True):
            assert environment.call(call.name, dict(call.arguments)).startswith(
                step.facts["step"]["returned"]
            )
        assert environment.get_reward() == 1
        assert environment.call(calls[-1].name, dict(calls[-1].arguments)) == OVER
        environment.reset(id_)
        assert environment.get_reward() == 0


def test_the_reward_counts_the_final_state_and_each_call(dialogs: DialogEnvironments) -> None:
    id_ = "GTA-Test-two-train-Ulm"
    environment, calls = begin(dialogs, id_), gold_calls(dialogs, id_)
    environment.call(calls[0].name, dict(calls[0].arguments))
    assert environment.get_reward() == 0.25  # not solved, one of two calls
    environment.call("Calculator", {"expression": "1 + 1"})
    assert environment.get_reward() == pytest.approx(0.375)  # the tool is right
    environment.call(calls[1].name, dict(calls[1].arguments))
    assert environment.get_reward() == pytest.approx((1 + (1 + 0.5 + 1) / 3) / 2)
    environment.reset(id_)
    for _ in range(MAX_WRONG):
        environment.call("", {})
    assert environment.call(calls[0].name, dict(calls[0].arguments)) == OVER
    assert environment.get_reward() == 0


def test_a_user_who_asks_again_is_heard(dialogs: DialogEnvironments) -> None:
    id_ = "GTA-Test-long-train-Ulm"
    environment, calls = begin(dialogs, id_), gold_calls(dialogs, id_)
    first, second, _ = (environment.call(call.name, dict(call.arguments)) for call in calls)
    assert "Query: And how large is it?" in first
    assert "Query" not in second


def test_rows_ask_for_the_tool_and_show_the_policy_of_the_variant(bench: Benchmark) -> None:
    for variant, shown in ((IN_CONTEXT, "GTA-Test"), (OVERRIDE, "GTA-Test.r0")):
        shows = DialogEnvironments(bench, variant)
        for row in shows.dataset():
            (message,) = row["prompt"]
            assert message["content"].startswith(bench.policies[shown].content[0].value)
            assert FORM in message["content"]
            assert "boxed" not in message["content"]
    tested = DialogEnvironments(bench, split="test")
    assert all("-test-" in row["dialog"] for row in tested.dataset())
    marked = DialogEnvironments(bench, as_text=lambda text: text.replace("Ulm", "U-l-m"))
    assert "U-l-m" in marked.dataset()[0]["prompt"][0]["content"]
    assert "U-l-m" in begin(marked, "GTA-Test-two-train-Ulm").call(
        *((c := gold_calls(marked, "GTA-Test-two-train-Ulm")[0]).name, dict(c.arguments))
    )


def test_a_benchmark_without_dialogs_is_refused(mmlu_folder: Path) -> None:
    with pytest.raises(UserError, match="expected a benchmark of dialogs"):
        DialogEnvironments(Benchmark(mmlu_folder), split="test")


class SpeakingTrainer(GRPOTrainer):  # type: ignore[misc]
    """A random model makes no calls, so this sets its responses: the first half of each group is correct.

    TRL still applies the chat template, reads the calls in the tokens, makes them, and asks for what follows.
    """

    def _generate(self, prompts: Any) -> Any:
        self.live = list(range(len(prompts)))
        return super()._generate(prompts)

    def _generate_single_turn(self, prompt_ids: Any, *args: Any, **kwargs: Any) -> Any:
        """The responses of the dialogs that called a tool in the round before."""
        texts = [self._text(place) for place in self.live]
        assert len(texts) == len(prompt_ids)
        self.live = [place for place, text in zip(self.live, texts, strict=True) if "<tool_call>" in text]
        return [self._tokenizer.encode(f"{text}<|im_end|>") for text in texts], None

    def _text(self, place: int) -> str:
        rollout = self.environments[place]._rollout
        if place % 2 or rollout.is_over:
            return "Done."
        call = {"name": "call", "arguments": json.loads(rollout.answer)}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def test_two_updates_of_grpo_in_which_trl_makes_the_calls(
    dialogs: DialogEnvironments, tmp_path: Path
) -> None:
    template = (resources.files("trl") / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
    folder = text_model(tmp_path / "model", template)
    model = AutoModelForCausalLM.from_pretrained(folder)
    before = model.get_input_embeddings().weight.detach().clone()
    trainer = SpeakingTrainer(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(folder),
        args=GRPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=2,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=4096,
            learning_rate=1e-3,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=dialogs.dataset(),
        environment_factory=dialogs.environment,
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == 2
    for entry in logged:
        # Of each group, one dialog is solved, and the other ends without a call.
        assert entry["rewards/DialogEnvironment/mean"] == entry["reward"] == 0.5
        assert entry["frac_reward_zero_std"] == 0
        assert entry["tools/failure_frequency"] == 0
        assert entry["tools/call_frequency"] >= 0.5
    assert not before.equal(model.get_input_embeddings().weight)
