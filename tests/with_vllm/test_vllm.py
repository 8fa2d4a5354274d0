"""The vllm backend against a real vLLM: `make test-vllm`, or pytest on this folder where vLLM is installed.

The folder is not called vllm: pytest puts its parent on sys.path, and `import vllm` would import the folder.
"""

import copy
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pictures import Pictures, parts

pytest.importorskip(
    "vllm", reason="vLLM is not installed here; make test-vllm creates its own virtual environment"
)

from harness import backends, variants
from harness.backends import Endpoint, Sampling
from harness.backends.local.hf import HuggingFace
from harness.backends.local.vllm import VLLM, parse_argument
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log
from harness.judge.prompt import schema as judge_schema
from harness.records import Prompt, Response
from harness.variants import VARIANTS
from training.base.model.tokenizer import SPECIAL_TOKENS, train_tokenizer

BIN = Path(sys.executable).parent
POSITIONS = 2048
OPTIONS = f"enforce_eager=true&dtype=float32&max_model_len={POSITIONS}"
NEW = 24
# Seconds in which an engine surely starts. It takes half a minute, but ten times that on a busy machine.
STARTED = 1200


def prompt(name: str, *values: str) -> Prompt:
    return Prompt(name, "in_context", parts(*values))


def mixed(count: int) -> list[Prompt]:
    """Prompts of two texts of 1 to 60 words with 0, 1 or 2 images before, between or after them."""
    draw = random.Random(7)
    words = ("if", "there", "is", "a", "purple", "metal", "cylinder", "go", "to", "section", "12", "answer")
    prompts = []
    for i in range(count):
        values = [" ".join(draw.choices(words, k=draw.randint(1, 60))) for _ in range(2)]
        for k in range(i % 3):
            values.insert(draw.randint(0, len(values)), f"{i}-{k}.png")
        prompts.append(prompt(f"p{i}", *values))
    return prompts


def with_embeddings(checkpoint: Path, folder: Path, rows: Mapping[str, tuple[float, str]]) -> Path:
    """A copy in which the embedding of a special token is that of another token times a factor.

    Embedding and output layer share their weights. So a token with twice the embedding of another is more
    likely than that one wherever its logit is positive, and a token with embedding 0 is never the most
    likely.
    """
    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    [name] = [name for name in weights if name.endswith("embed_tokens.weight")]
    for special, (times, word) in rows.items():
        [like] = train_tokenizer()(word)["input_ids"]
        weights[name][SPECIAL_TOKENS.index(special)] = times * weights[name][like]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def tempting(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Often prefers the image token, and sometimes the end token."""
    rows = {"<|image_pad|>": (2, " rubber"), "<|endoftext|>": (2, " a")}
    return with_embeddings(checkpoint, tmp_path_factory.mktemp("checkpoints") / "tempting", rows)


@pytest.fixture(scope="module")
def sober(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never prefers a placeholder, even if nothing bans it."""
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    rows = {f"<|{name}|>": (0, "on") for name in names}
    return with_embeddings(checkpoint, tmp_path_factory.mktemp("checkpoints") / "sober", rows)


@pytest.fixture(scope="module")
def engine(tempting: Path) -> VLLM:
    return VLLM(f"{tempting}?{OPTIONS}", Pictures(), Sampling(max_new_tokens=NEW))


def sampled(engine: VLLM, **settings: float) -> VLLM:
    """The same engine with other sampling; loading another engine takes half a minute."""
    other = copy.copy(engine)
    other.sampling = Sampling(**{"max_new_tokens": NEW, **settings})  # type: ignore[arg-type]
    return other


def texts(responses: Iterator[Response]) -> dict[str, str | None]:
    return {r.instance: r.text for r in responses}


# Responses


def test_greedy_responses_equal_those_of_transformers(engine: VLLM, tempting: Path) -> None:
    """Tests the order of parts, the images, the end tokens, the counts and the ban on placeholders."""
    prompts = mixed(48)
    hf = HuggingFace(str(tempting), Pictures(), Sampling(max_new_tokens=NEW))
    expected = {r.instance: r for r in hf.generate(prompts)}
    responses = {r.instance: r for r in engine.generate(prompts)}
    assert responses.keys() == expected.keys()
    facts = ("text", "prompt_tokens", "completion_tokens", "finish_reason")
    differ = [n for n, r in responses.items() if any(getattr(r, f) != getattr(expected[n], f) for f in facts)]
    print(f"{len(differ)} of {len(responses)} greedy responses differ from those of transformers: {differ}")
    # Floats are added in another order, which may decide between two almost equally likely tokens.
    assert len(differ) <= 2
    assert all(r.prompt_tokens == expected[n].prompt_tokens for n, r in responses.items())
    assert {r.finish_reason for r in responses.values()} == {"stop", "length"}
    assert len({r.text for r in responses.values()}) > 30


def test_without_the_ban_placeholders_are_generated(engine: VLLM) -> None:
    """So the test above does test the ban."""
    unbanned = copy.copy(engine)
    unbanned.reader = copy.copy(engine.reader)
    prompts = mixed(12)
    banned = texts(engine.generate(prompts))
    unbanned._sampling_params = lambda p, s: _without_bias(engine._sampling_params(p, s))  # type: ignore[method-assign]
    assert texts(unbanned.generate(prompts)) != banned


def _without_bias(params: object) -> object:
    params.logit_bias = None  # type: ignore[attr-defined]
    return params


def test_the_time_to_the_first_token_is_part_of_the_time(engine: VLLM) -> None:
    for response in engine.generate(mixed(6)):
        assert response.prefill_seconds is not None and response.seconds is not None
        assert 0 < response.prefill_seconds <= response.seconds
        assert 1 <= response.batch <= 6


def test_prompts_of_the_same_policy_share_its_prefix_with_images(engine: VLLM) -> None:
    rules = "If there is a metal cylinder go to section 12. " * 40
    first, second, third, other_image, other_rules = (
        next(engine.generate([prompt("q", *policy, image, "Which response?")]))
        for policy, image in (
            (("policy.png", rules), "0.png"),
            (("policy.png", rules), "1.png"),
            (("policy.png", rules), "2.png"),
            (("another.png", rules), "0.png"),
            (("policy.png", "Another policy. " + rules), "0.png"),
        )
    )
    # The cache contains whole blocks, of 128 tokens on a CPU.
    assert second.cached_tokens == third.cached_tokens == 512
    assert first.cached_tokens == other_image.cached_tokens == other_rules.cached_tokens == 0
    engine.forget()
    assert next(engine.generate([prompt("q", "policy.png", rules, "3.png", "Which?")])).cached_tokens == 0


def test_samples_depend_on_the_seed_and_not_on_other_prompts(engine: VLLM) -> None:
    prompts = mixed(12)
    first = texts(sampled(engine, temperature=1.0, top_p=0.9, seed=1).generate(prompts))
    alone = {}
    for p in prompts:
        alone |= texts(sampled(engine, temperature=1.0, top_p=0.9, seed=1).generate([p]))
    other = texts(sampled(engine, temperature=1.0, top_p=0.9, seed=2).generate(prompts))
    assert first == alone
    assert sum(first[name] == other[name] for name in first) <= 1


def test_structured_responses_fit_their_schema(engine: VLLM) -> None:
    schema = {
        "type": "object",
        "properties": {"verdict": {"enum": ["right", "wrong"]}, "score": {"enum": [0, 5, 10]}},
        "required": ["verdict", "score"],
        "additionalProperties": False,
    }
    for response in sampled(engine, max_new_tokens=200).structured(mixed(6), schema):
        assert response.text is not None
        verdict = json.loads(response.text)
        assert verdict.keys() == {"verdict", "score"}
        assert verdict["verdict"] in ("right", "wrong") and verdict["score"] in (0, 5, 10)


def test_the_schema_of_the_judge_is_supported(engine: VLLM) -> None:
    """A random model writes a text that does not end, but in the form of the schema."""
    for response in engine.structured(mixed(3), judge_schema()):
        assert response.text is not None and response.text.startswith('{"citations": [')


# Failures


def test_a_bad_prompt_does_not_affect_the_others(engine: VLLM) -> None:
    good = mixed(5)
    bad = {
        "broken": (prompt("broken", "broken.png"), r"broken\.png: not a readable image"),
        "long": (prompt("long", "word " * POSITIONS), r"maximum context length is 2048 tokens"),
        "cut": (
            prompt("cut", "7" * (POSITIONS - NEW)),
            r"got a prompt of 20\d\d tokens and a response that did not",
        ),
    }
    prompts = [*good[:2], *(p for p, _ in bad.values()), *good[2:]]
    responses = {r.instance: r for r in engine.generate(prompts)}
    for name, (_, sentence) in bad.items():
        response = responses.pop(name)
        assert response.text is None and response.error is not None
        assert re.search(sentence, response.error), response.error
    assert {n: r.text for n, r in responses.items()} == texts(engine.generate(good))


def test_a_special_token_in_a_question_is_text(engine: VLLM) -> None:
    (response,) = engine.generate([prompt("placeholder", "Say <|image_pad|>")])
    assert response.error is None


def test_requests_of_a_closed_generator_are_aborted(engine: VLLM) -> None:
    narrow = copy.copy(engine)
    narrow.max_in_flight = 2
    responses = narrow.generate(mixed(6))
    next(responses)
    responses.close()  # type: ignore[attr-defined]
    assert len(list(engine.generate(mixed(3)))) == 3


def test_an_engine_that_stops_is_an_error(engine: VLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="the engine stopped: CUDA error"):
        patch.setattr(engine.llm.llm_engine, "step", stop)
        list(engine.generate(mixed(2)))
    assert len(list(engine.generate(mixed(3)))) == 3


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("nowhere/at/all", "expected a checkpoint's folder, .* found no such folder"),
        ("{folder}?no_such_option=1", "no_such_option"),
        ("{folder}?data_parallel_size=2", "data_parallel_size=2"),
        ("{folder}?tensor_parallel_size", "expected PATH.name=value"),
        ("?dtype=float32", "expected vllm:PATH"),
    ],
)
def test_a_bad_argument_is_an_error_of_one_sentence(tempting: Path, argument: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        VLLM(argument.format(folder=tempting), Pictures(), Sampling())


def test_options_are_json_or_strings() -> None:
    path, options = parse_argument(
        "org/name?tensor_parallel_size=2&gpu_memory_utilization=0.8&enforce_eager=true&dtype=float32"
        "&mm_processor_kwargs=%7B%22max_pixels%22%3A1000%7D"
    )
    assert path == "org/name"
    assert options == {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.8,
        "enforce_eager": True,
        "dtype": "float32",
        "mm_processor_kwargs": {"max_pixels": 1000},
    }
    assert parse_argument("a/folder") == ("a/folder", {})


def test_without_vllm_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "harness.backends.local.vllm")
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"pip install -e '.*\[vllm\]'"):
        backends.make("vllm:any", Pictures(), Sampling())  # type: ignore[arg-type]


# The command and the server


def processes_of(session: int) -> list[int]:
    """The processes of a session, without zombies."""
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            processes.append(int(stat.parent.name))
    return processes


def wait(seconds: float, done: object) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.1)


def test_eval_resumes_after_kill_9_and_leaves_no_process(
    text_folder: Path, tempting: Path, engine: VLLM, tmp_path: Path
) -> None:
    """With two workers, as on two GPUs."""
    log = Log(tmp_path / "run" / "responses.jsonl", Response)
    model = f"vllm:{tempting}?{OPTIONS}&max_num_seqs=2&tensor_parallel_size=2"
    command = [BIN / "harness", "eval", text_folder, "--model", model]
    command += ["--max-new-tokens", "8", "--out", tmp_path / "run"]
    process = subprocess.Popen(command, start_new_session=True)
    wait(STARTED, lambda: process.poll() is not None or (log.path.exists() and len(log.read()) >= 4))
    assert len(processes_of(process.pid)) > 2
    process.kill()
    process.wait()
    stored = log.read()
    assert 4 <= len(stored) < 18
    wait(200, lambda: not processes_of(process.pid))
    assert processes_of(process.pid) == []

    assert subprocess.run(command, check=False, timeout=STARTED).returncode == 0
    benchmark = Benchmark(text_folder)
    undisturbed = sampled(engine, max_new_tokens=8)
    undisturbed.reader = copy.copy(engine.reader)
    undisturbed.reader.benchmark = benchmark
    expected = {r.key: r.text for r in undisturbed.generate(all_prompts(benchmark))}
    responses = log.read()
    assert responses[: len(stored)] == stored
    assert len(responses) == len(expected)
    assert {r.key: r.text for r in responses} == expected
    assert (tmp_path / "run" / "report.html").exists()


def all_prompts(benchmark: Benchmark) -> list[Prompt]:
    test = benchmark.instances("test")
    by_variant = [variants.prompt(i, v, benchmark.policies) for v in VARIANTS.values() for i in test]
    return [p for p in by_variant if p is not None]


@pytest.fixture
def server(sober: Path) -> Iterator[str]:
    """vllm serve on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [BIN / "vllm", "serve", sober, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--served-model-name", "tiny", "--enforce-eager", "--dtype", "float32"]
    command += ["--max-model-len", str(POSITIONS), "--enable-prompt-tokens-details"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)

    def up() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return process.poll() is not None

    wait(STARTED, up)
    yield f"http://127.0.0.1:{port}/v1"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def test_vllm_serve_answers_the_openai_backend(server: str, text_folder: Path, sober: Path) -> None:
    from harness.backends.remote.openai import OpenAI

    benchmark, sampling = Benchmark(text_folder), Sampling(max_new_tokens=NEW)
    prompts = all_prompts(benchmark)
    expected = {r.key: r for r in HuggingFace(str(sober), benchmark, sampling).generate(prompts)}
    backend = OpenAI("tiny", benchmark, sampling, Endpoint(base_url=server), None)
    got = {r.key: r for r in backend.generate(prompts)}
    assert [r.error for r in got.values() if r.error] == []
    assert {k: r.prompt_tokens for k, r in got.items()} == {k: r.prompt_tokens for k, r in expected.items()}
    differ = [k for k in got if complete_characters(got[k]) != complete_characters(expected[k])]
    print(f"{len(differ)} of {len(got)} responses of the server differ from those of transformers")
    assert len(differ) <= 2
    # The cache contains whole blocks, of 128 tokens on a CPU.
    long = prompt("long", "If there is a metal cylinder go to section 12. " * 40)
    assert [bool(r.cached_tokens) for _ in range(2) for r in backend.generate([long])] == [False, True]


def complete_characters(response: Response) -> str:
    """The text without an incomplete last character, whose bytes the server drops."""
    return (response.text or "").rstrip("\ufffd")
