"""What a seed gives never changes by accident; a change on purpose renews these and is in CHANGELOG.md."""

from pathlib import Path

from harness import variants
from harness.files.benchmark import Benchmark

TEXT = "3b73b335548e06abbfccc553da11134b58a6b1bd0cba19dc9a947e03f823aed0"
VISUAL = "34e6dcc2ca965d7187c0e45eaf1a976d46a95b2cddcd0f4c41e0fc70b0c10bc8"
RULES = "4e8ab9ab52d4efd35bccb57fdb6e9c8945e2c3e12b54934d1951ded9afeedc18"
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
