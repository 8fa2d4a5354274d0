"""What a seed gives never changes by accident; a change on purpose renews these and is in CHANGELOG.md."""

from pathlib import Path

from harness import variants
from harness.files.benchmark import Benchmark

TEXT = "9af93f2cbb03114328d9ca23a640f5d9d781e9311248eb12c9870a1886de0c42"
VISUAL = "19905efa0b465068af052b290f8e6f08e992f0b25309b98ed0c6341dcae3a2fd"
RULES = "fcfe5658b980fd0e06bbd8fcc0e4886a95b1388163e212c0c22b10e5f2dc2d82"
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
