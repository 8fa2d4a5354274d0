"""PolicyRollout with vLLM in the same process, compared with generate() of transformers.

At a low temperature both should sample the same tokens. At temperature 1 vLLM's log-probabilities should be
those of the model's own forward pass, for policy-aware responses given (Q, I, P), up to bfloat16's rounding.
Without vLLM, generate() stands on both sides, so only the script is checked.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch
from rollouts import SETTINGS, eval_inputs, make_mixture, make_trainer, next_rows, response_logps

from training.rl.rollout import _messages

out = Path(sys.argv[1])
real = importlib.util.find_spec("vllm") is not None
mixture = make_mixture(out / "bench")
SETTINGS.update(
    use_cpu=not torch.cuda.is_available(), bf16=torch.cuda.is_available(), max_completion_length=48, seed=0
)
VLLM = {
    "use_vllm": True,
    "vllm_mode": "colocate",
    "vllm_gpu_memory_utilization": 0.2,
    "vllm_max_model_length": 8192,
}


def sampled(trainer: Any, temperature: float) -> tuple[list[Any], list[list[int]], Any]:
    """The rows of a batch, half of them with the policy, their responses and log-probabilities."""
    (trainer.vllm_generation if trainer.use_vllm else trainer.generation_config).temperature = temperature
    rows = next_rows(trainer)
    aware = trainer._policy_aware_rows(len(rows))
    prompts = [
        _messages(row, *(("policy_prompt", "policy_images") if i in aware else ("prompt", "images")))
        for i, row in enumerate(rows)
    ]
    _, responses, _, _, logps, _, _, _ = super(type(trainer), trainer)._generate(prompts)
    return rows, responses, logps


def differences(trainer: Any) -> list[float]:
    """Of every token, how far vLLM's log-probability is from the model's own."""
    rows, responses, sampling_logps = sampled(trainer, 1.0)
    aware, device = trainer._policy_aware_rows(len(rows)), trainer.accelerator.device
    found: list[float] = []
    for i, (row, response) in enumerate(zip(rows, responses, strict=True)):
        inputs = eval_inputs(trainer, mixture, row, with_policy=i in aware).to(device)
        with torch.no_grad():
            own = response_logps(trainer.model, inputs, response).cpu()
        theirs = torch.tensor(sampling_logps[i]) if sampling_logps else own
        found += (own - theirs).abs().tolist()
    return found


result: dict[str, Any] = {} if real else {"skipped": "vLLM is not installed; generate() on both sides"}
# One engine serves both comparisons: a process may not have room for a second one.
with_vllm, without = (
    make_trainer(Path("training/tiny"), mixture, out / "work", **settings)
    for settings in (VLLM if real else {}, {})
)
gaps = torch.tensor(differences(with_vllm))
result |= {"logp_difference_mean": gaps.mean().item(), "logp_difference_max": gaps.max().item()}
_, by_vllm, _ = sampled(with_vllm, 0.01)
_, by_generate, _ = sampled(without, 0.01)
result["same_responses"] = sum(a == b for a, b in zip(by_vllm, by_generate, strict=True)) / len(by_vllm)
print(json.dumps(result))
