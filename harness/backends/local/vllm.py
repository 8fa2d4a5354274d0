"""vLLM's offline engine, for large runs on a GPU: vllm:PATH, vllm:HUB_ID, vllm:PATH?tensor_parallel_size=2.

The part after the question mark contains options of vllm.LLM, written as in a URL, with JSON values.
"""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

# vLLM reads these when it is imported. Standard output is for the harness's table.
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
# Run the engine in this process. A separate engine process could survive a kill of this one and keep the
# GPU's memory, and this one would wait forever for an engine that was killed.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

import torch
import transformers
import vllm
from vllm import LLM, SamplingParams
from vllm.exceptions import VLLMClientError
from vllm.platforms import current_platform
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.engine.exceptions import EngineDeadError

from harness.backends import Backend, Sampling, failure
from harness.backends.local.chat import Reader, end_tokens
from harness.backends.local.checkpoint import check_location, read_processor, reported
from harness.backends.local.text_processor import TextProcessor
from harness.backends.local.tokens import decode, opening
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Json, Prompt, Response
from harness.seeds import rng

# The most requests in the engine at the same time: enough for a GPU. A kill loses at most this many.
MAX_IN_FLIGHT = 256

DEFAULT_OPTIONS: Json = {
    "enable_prefix_caching": True,
    # The longest context that fits into memory, up to the checkpoint's own.
    "max_model_len": -1,
    # No limit on images. Without the zeros vLLM would reserve memory for video and audio.
    "limit_mm_per_prompt": {"video": 0, "audio": 0},
    # JSON allows any amount of white space between tokens, so a model might never stop writing it.
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
    # Needed for the time to the first token.
    "disable_log_stats": False,
}


class VLLM(Backend):
    """Keeps the engine full, and yields each response as soon as it is complete.

    Other requests in the engine can change a response only through the rounding of floats. For sampling,
    each prompt has its own seed. vLLM chooses the batch size; its option is max_num_seqs.
    """

    batched = True
    runs_code = True
    at_once = MAX_IN_FLIGHT

    def __init__(
        self, argument: str, benchmark: Benchmark, sampling: Sampling, trust_remote_code: bool = False
    ) -> None:
        path, options = parse_argument(argument)
        self.name, code = f"vllm:{path}", {"trust_remote_code": trust_remote_code}
        if 0 < sampling.temperature < 0.01:
            raise UserError(f"temperature: vLLM expects 0, or 0.01 and more, got {sampling.temperature}")
        self.sampling = sampling
        files = check_location(self.name, path)
        _, processor = read_processor(self.name, path, files | code)
        self.reads_images = not isinstance(processor, TextProcessor)
        if isinstance(processor, TextProcessor) and processor.plain:
            raise UserError(
                f"{self.name}: expected a chat template (chat_template.jinja), got none; use "
                f"hf:{path}, which asks a base model with a plain prompt"
            )
        with reported(self.name, "vLLM"):
            self.llm = LLM(path, **{**DEFAULT_OPTIONS, **code, **options})
        config, self.tokenizer = self.llm.model_config, self.llm.get_tokenizer()
        processor.tokenizer = self.tokenizer
        self.reader = Reader(processor, config.hf_config, benchmark, None, sampling.max_new_tokens)
        self.reader.check(self.name, ())
        try:
            generation_config = transformers.GenerationConfig.from_pretrained(path, **files)
        except OSError:  # it has none
            generation_config = None
        self.end_tokens = end_tokens(self.name, processor, generation_config)
        self.max_in_flight = min(MAX_IN_FLIGHT, self.llm.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        self.description: Json = {
            "backend": "vllm",
            "checkpoint": path,
            "revision": files.get("revision"),
            "options": {**DEFAULT_OPTIONS, **options},
            "architecture": config.architecture,
            "dtype": str(config.dtype).removeprefix("torch."),
            "device": current_platform.get_device_name(),
            "max_positions": config.max_model_len,
            "vllm": vllm.__version__,
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        }

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        return self._respond(prompts, None)

    def structured(self, prompts: Sequence[Prompt], schema: Json) -> Iterator[Response]:
        return self._respond(prompts, StructuredOutputsParams(json=dict(schema)))

    def forget(self) -> None:
        self.llm.reset_prefix_cache()

    def _respond(self, prompts: Sequence[Prompt], constraint: Any) -> Iterator[Response]:
        self.reader.check(self.name, prompts)
        in_flight: dict[str, Prompt] = {}
        try:
            # Prompts of the same policy follow each other, so that its prefix is still in the engine's cache.
            for prompt in sorted(prompts, key=lambda p: [part.value for part in p.parts]):
                try:
                    in_flight[self._enqueue(prompt, constraint)] = prompt
                except (UserError, ValueError, VLLMClientError) as error:
                    yield failure(prompt, str(error))
                while len(in_flight) >= self.max_in_flight:
                    yield from self._receive(in_flight, constraint)
            while in_flight:
                yield from self._receive(in_flight, constraint)
        finally:
            if in_flight:
                self.llm.llm_engine.abort_request(list(in_flight))

    def _enqueue(self, prompt: Prompt, constraint: Any) -> str:
        """Puts a prompt into the engine's queue. Returns the request id of its output."""
        content = [
            {"type": "image_pil", "image_pil": part["image"]} if part["type"] == "image" else part
            for part in self.reader.content(prompt.parts)
        ]
        # vLLM uses the checkpoint's own template, and most of those for text take one text.
        as_parts = self.reads_images and self.reader.takes_parts
        [request] = self.llm.enqueue_chat(
            [{"role": "user", "content": content if as_parts else "".join(part["text"] for part in content)}],
            self._sampling_params(prompt, constraint),
            use_tqdm=False,
            # The format "string" would move all images in front of the text.
            chat_template_content_format="openai" if as_parts else "string",
        )
        return str(request).partition("-")[0]

    def _sampling_params(self, prompt: Prompt, constraint: Any) -> Any:
        greedy = self.sampling.temperature == 0
        return SamplingParams(
            max_tokens=self.sampling.max_new_tokens,
            temperature=self.sampling.temperature,
            top_p=1.0 if greedy else self.sampling.top_p,
            seed=None if greedy else rng(self.sampling.seed, "vllm", *prompt.key).getrandbits(63),
            logit_bias=dict.fromkeys(self.reader.placeholders, float("-inf")),
            stop_token_ids=sorted(self.end_tokens),
            structured_outputs=constraint,
            # Decoded in _response: vLLM drops the last bytes of a text that is cut within a character.
            detokenize=False,
        )

    def _receive(self, in_flight: dict[str, Prompt], constraint: Any) -> Iterator[Response]:
        """Waits for the engine's next outputs, and removes the finished ones from `in_flight`."""
        try:
            outputs = [output for output in self.llm.llm_engine.step() if output.finished]
        except (EngineDeadError, RuntimeError) as error:
            raise UserError(f"vllm: the engine stopped: {error}; rerun the command to resume") from error
        batch = len(in_flight)
        for output in outputs:
            # A response of forced form has no thought, even if the prompt opens one.
            begins = opening(self.tokenizer, output.prompt_token_ids) if constraint is None else ""
            yield self._response(in_flight.pop(output.request_id), output, begins, batch)

    def _response(self, prompt: Prompt, output: Any, begins: str, batch: int) -> Response:
        """The seconds count from the moment at which the engine takes the prompt out of its queue."""
        [completion], times = output.outputs, output.metrics
        tokens, reason = list(completion.token_ids), completion.finish_reason
        if reason == "length" and len(tokens) < self.sampling.max_new_tokens:
            positions, length = self.llm.model_config.max_model_len, len(output.prompt_token_ids)
            got = f"a prompt of {length} tokens and a response that did not end in the rest"
            return failure(prompt, f"expected prompt and response within {positions} positions, got {got}")
        if reason not in ("stop", "length"):
            return failure(prompt, f"vLLM ended the response with {reason!r}")
        return Response(
            *prompt.key,
            text=begins + decode(self.tokenizer, tokens),
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens,
            completion_tokens=len(tokens),
            prefill_seconds=times and times.first_token_ts - times.scheduled_ts,
            seconds=times and times.last_token_ts - times.scheduled_ts,
            batch=batch,
            finish_reason=reason,
        )


def parse_argument(argument: str) -> tuple[str, dict[str, Any]]:
    """PATH?NAME=VALUE&... as a path and engine options. A value that is not JSON is a string."""
    path, _, query = argument.partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=bool(query))
    except ValueError as error:
        raise UserError(f"vllm:{argument}: expected PATH?name=value&name=value: {error}") from error
    if not path:
        raise UserError("vllm: expected vllm:PATH with a checkpoint's folder or a hub id")
    options: dict[str, Any] = {}
    for name, value in pairs:
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return path, options
