"""vLLM's offline engine, for whole runs on a GPU: vllm:PATH, vllm:HUB_ID, vllm:PATH?tensor_parallel_size=2.

What follows the question mark are options of vllm.LLM, written as in a URL, their values as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

from harness.backends import Sampling
from harness.errors import UserError
from harness.records import Prompt, Response
from harness.seeds import rng

# Read when vLLM is imported. Standard output is for the harness's table, and nobody is told what runs here.
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
# The engine in this process: the same schedule each time, no engine that outlives a kill and keeps the GPU's
# memory, and no waiting for ever for one that was killed.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

try:
    import torch
    import transformers
    import vllm
    from vllm import LLM, SamplingParams
    from vllm.exceptions import VLLMClientError, VLLMError
    from vllm.platforms import current_platform
    from vllm.sampling_params import StructuredOutputsParams
    from vllm.v1.engine.exceptions import EngineDeadError

    from harness.backends.chat import Images, Reader
except ImportError as error:
    raise UserError(
        "vllm: expected vllm 0.31.0; install it on a machine with a GPU with "
        f'pip install "policy-internalization[vllm]" ({error})'
    ) from error

IN_FLIGHT = 256
"""Requests that the engine holds at a time, at most: enough to keep a GPU busy, and all that a kill loses."""

OPTIONS: Mapping[str, Any] = {
    "enable_prefix_caching": True,
    # The longest context that fits into memory, not beyond the checkpoint's own.
    "max_model_len": -1,
    # Any number of images; without these, memory would be kept for what no benchmark shows.
    "limit_mm_per_prompt": {"video": 0, "audio": 0},
    # White space is JSON wherever it stands, and a model may never end it.
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    # For the time to the first token.
    "disable_log_stats": False,
}


class VLLM:
    """Keeps the engine full, and yields each response when it is done.

    What else the engine is working on can turn a near tie by the rounding of floats, as a batch can.
    With temperature > 0 each prompt has a seed of its own, made of (seed, prompt key). The size of batches is
    vLLM's affair; its option is max_num_seqs.
    """

    batched = True

    def __init__(self, argument: str, benchmark: Images, sampling: Sampling) -> None:
        path, options = parse(argument)
        if 0 < sampling.temperature < 0.01:
            raise UserError(f"temperature: vLLM takes 0, or 0.01 and more, got {sampling.temperature}")
        self.sampling = sampling
        self.llm = _load(path, options)
        config, self.tokenizer = self.llm.model_config, self.llm.get_tokenizer()
        processor = SimpleNamespace(tokenizer=self.tokenizer)
        self.reader = Reader(processor, config.hf_config, benchmark, None, sampling.max_new_tokens)
        self.width = min(IN_FLIGHT, self.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        self.description: Mapping[str, Any] = {
            "backend": "vllm",
            "checkpoint": path,
            "options": {**OPTIONS, **options},
            "architecture": config.architecture,
            "dtype": str(config.dtype).removeprefix("torch."),
            "device": current_platform.get_device_name(),
            "max_positions": config.max_model_len,
            "vllm": vllm.__version__,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """Responses as they are done; a prompt that cannot be answered comes back with its error."""
        return self._ask(prompts, None)

    def forget(self) -> None:
        """Drops the cached prefixes."""
        self.llm.reset_prefix_cache()

    def structured(self, prompts: Sequence[Prompt], schema: Mapping[str, Any]) -> Iterator[Response]:
        """As generate, but each text is JSON by this schema, unless it was cut."""
        return self._ask(prompts, StructuredOutputsParams(json=dict(schema)))

    def _ask(self, prompts: Sequence[Prompt], shape: Any) -> Iterator[Response]:
        """Prompts with the same policy follow each other, so that its cached prefix is still there."""
        flight: dict[str, Prompt] = {}
        try:
            for prompt in sorted(prompts, key=lambda p: [part.value for part in p.parts]):
                try:
                    flight[self._send(prompt, shape)] = prompt
                except (UserError, ValueError, VLLMClientError) as error:
                    yield Response(*prompt.key, text=None, error=str(error))
                while len(flight) >= self.width:
                    yield from self._receive(flight)
            while flight:
                yield from self._receive(flight)
        finally:
            if flight:
                self.llm.llm_engine.abort_request(list(flight))

    def _send(self, prompt: Prompt, shape: Any) -> str:
        """Puts one prompt into the engine's queue; the id under which its output comes."""
        content = [
            {"type": "image_pil", "image_pil": part["image"]} if part["type"] == "image" else part
            for part in self.reader.content(prompt.parts)
        ]
        [request] = self.llm.enqueue_chat(
            [{"role": "user", "content": content}],
            self._params(prompt, shape),
            use_tqdm=False,
            # The other format puts all images in front of the text.
            chat_template_content_format="openai",
        )
        return str(request).partition("-")[0]

    def _params(self, prompt: Prompt, shape: Any) -> Any:
        drawn = self.sampling.temperature > 0
        return SamplingParams(
            max_tokens=self.sampling.max_new_tokens,
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p if drawn else 1.0,
            seed=rng(self.sampling.seed, "vllm", *prompt.key).getrandbits(63) if drawn else None,
            logit_bias=dict.fromkeys(self.reader.placeholders, float("-inf")),
            structured_outputs=shape,
            # Done here, because vLLM leaves out the last bytes of a text that is cut within a character.
            detokenize=False,
        )

    def _receive(self, flight: dict[str, Prompt]) -> Iterator[Response]:
        """Waits for the engine's next outputs, and takes the finished ones out of flight."""
        try:
            outputs = [output for output in self.llm.llm_engine.step() if output.finished]
        except (EngineDeadError, RuntimeError) as error:
            raise UserError(
                f"vllm: the engine stopped: {error}; what was answered is kept, and the same command goes on"
            ) from error
        together = len(flight)
        for output in outputs:
            yield self._response(flight.pop(output.request_id), output, together)

    def _response(self, prompt: Prompt, output: Any, together: int) -> Response:
        """Seconds count from when the engine took the prompt out of its queue."""
        [completion], times = output.outputs, output.metrics
        tokens, reason = list(completion.token_ids), completion.finish_reason
        if reason == "length" and len(tokens) < self.sampling.max_new_tokens:
            error = (
                f"expected prompt and response within {self.llm.model_config.max_model_len} positions, got a "
                f"prompt of {len(output.prompt_token_ids)} tokens and a response that did not end in the rest"
            )
            return Response(*prompt.key, text=None, error=error)
        if reason not in ("stop", "length"):
            return Response(*prompt.key, text=None, error=f"vLLM ended the response with {reason!r}")
        return Response(
            *prompt.key,
            text=self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens,
            completion_tokens=len(tokens),
            prefill_seconds=times and times.first_token_ts - times.scheduled_ts,
            seconds=times and times.last_token_ts - times.scheduled_ts,
            batch=together,
            finish_reason=reason,
        )


def parse(argument: str) -> tuple[str, dict[str, Any]]:
    """PATH?NAME=VALUE&... as a path and engine options; a value that is not JSON is a string."""
    path, _, query = argument.partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=bool(query))
    except ValueError as error:
        raise UserError(
            f"vllm:{argument}: expected ?name=value&name=value behind the path: {error}"
        ) from error
    if not path:
        raise UserError("model: expected vllm:PATH with a checkpoint's folder or a hub id")
    return path, {name: _value(text) for name, text in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _load(path: str, options: Mapping[str, Any]) -> Any:
    try:
        return LLM(path, **{**OPTIONS, **options})
    except (OSError, ValueError, TypeError, RuntimeError, ImportError, VLLMError) as error:
        raise UserError(f"vllm:{path}: vLLM could not load it: {error}") from error
