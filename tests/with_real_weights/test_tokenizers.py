"""The converted tokenizers read a text as llama.cpp does with the same file."""

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from checkpoints import smollm2_gguf
from llama_server import llama_cpp
from transformers import AutoTokenizer

CHECKPOINTS = Path(__file__).parents[2] / ".venv-real" / "checkpoints"
if not CHECKPOINTS.is_dir():
    pytest.skip("make test-real converts the models", allow_module_level=True)

TEXTS = (
    "The objects in the scene, from left to right: a large cyan metal cylinder and a small cube.",
    "Condition 1.1.2: If so, go to Condition 1.1.2.1.\n\nPolicy L2-Stuvabe. <think></think>",
    "Hello  World 12345 (A)\n\n\n x don't ümlaut 🙂 \\boxed{Case 3}",
    "  \tdef f(x):\n        return x**2  # 3.14159\r\n你好",
)


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_a_text_has_the_tokens_of_llama_cpp(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINTS / name)
    gguf = smollm2_gguf() if name == "smollm2" else CHECKPOINTS / "gemma3.gguf"
    with llama_cpp(gguf) as url:
        for text in TEXTS:
            body = json.dumps({"content": text, "add_special": False}).encode()
            request = Request(f"{url}/tokenize", body, {"content-type": "application/json"})
            tokens = json.loads(urlopen(request).read())["tokens"]
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == tokens
            assert tokenizer.decode(tokens) == text
