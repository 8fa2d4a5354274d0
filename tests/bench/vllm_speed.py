"""Measures vLLM and transformers on a shared policy: python tests/bench/vllm_speed.py ARGUMENT

ARGUMENT is the part after `vllm:`, such as PATH?dtype=float32. The prompts share a policy, which is about
2,000 tokens for the tiny checkpoint, and have one image each. Both backends get the same prompts.
"""

import sys
import time
from collections.abc import Iterable

from PIL import Image

from harness.backends import Sampling
from harness.backends.local.hf import HuggingFace
from harness.backends.local.vllm import VLLM, parse_argument
from harness.records import Part, Prompt, Response

COUNT, NEW = 64, 64
POLICY = "If there is a purple metal cylinder, go to Condition 12. " * 140


class Pictures:
    def image(self, path: str) -> Image.Image:
        return Image.new("RGB", (480, 320), tuple(map(int, path.split("-"))))


def report(name: str, loading: float, responses: Iterable[Response]) -> None:
    start = time.perf_counter()
    done = list(responses)
    seconds = time.perf_counter() - start
    read, cached, written = (
        sum(getattr(r, f) or 0 for r in done) for f in ("prompt_tokens", "cached_tokens", "completion_tokens")
    )
    print(
        f"{name}: loaded in {loading:.0f} s; {len(done)} prompts in {seconds:.1f} s, "
        f"{written / seconds:.0f} new tokens/s; {read} prompt tokens, {cached} of them cached"
    )


def main() -> None:
    parts = [
        (Part("text", POLICY), Part("image", f"{i}-0-0"), Part("text", "What now?")) for i in range(COUNT)
    ]
    prompts = [Prompt(f"p{i}", "in_context", p) for i, p in enumerate(parts)]
    sampling = Sampling(max_new_tokens=NEW)
    for name, make in (
        ("vllm", lambda: VLLM(sys.argv[1], Pictures(), sampling)),
        ("hf", lambda: HuggingFace(parse_argument(sys.argv[1])[0], Pictures(), sampling)),
    ):
        start = time.perf_counter()
        backend = make()
        report(name, time.perf_counter() - start, backend.generate(prompts))


if __name__ == "__main__":
    main()
