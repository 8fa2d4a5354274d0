"""What a seed gives never changes by accident; a change on purpose renews these and is in CHANGELOG.md."""

from pathlib import Path

from harness import variants
from harness.files.benchmark import Benchmark

TEXT = "9c0904b10bb49319114ef4020da00be2963e8a42d9c185e2f352b175a140f43a"
VISUAL = "fb3b21926f6bf19106c6f35ed3afbbddb55d390b251499fbfddb584951742d59"
RULES = "95ac5d909983b6f3102905b9c533f444696c4ad01375eda721c874881400b016"
PROMPT = Path(__file__).with_name("prompt.txt")


def test_text_digest(text_folder: Path) -> None:
    assert Benchmark(text_folder).manifest.digest == TEXT


def test_visual_digest(visual_folder: Path) -> None:
    assert Benchmark(visual_folder).manifest.digest == VISUAL


def test_rules_digest(rules_folder: Path) -> None:
    assert Benchmark(rules_folder).manifest.digest == RULES


def test_prompt_and_gold_response(visual_folder: Path) -> None:
    benchmark = Benchmark(visual_folder)
    instance = benchmark.instances("test")[0]
    prompt = variants.prompt(instance, variants.OVERRIDE, benchmark.policies)
    assert prompt is not None
    shown = "".join(p.value if p.kind == "text" else f"[{p.value}]" for p in prompt.parts)
    gold = benchmark.family.gold(instance, variants.OVERRIDE)
    assert f"{shown}\n\n{gold}\n" == PROMPT.read_text()
