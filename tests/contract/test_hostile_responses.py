"""Every family grades any text: a value in [0, 1] or none, without an exception, and with bounded labels.

FUZZ_EXAMPLES sets the number of texts per benchmark, for example:

    FUZZ_EXAMPLES=4000 .venv/bin/pytest tests/contract/test_hostile_responses.py
"""

import os
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import variants
from harness.drawing.svg import draw_tree
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.variants import VARIANTS

# Texts per benchmark.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
# Pieces of responses that parsers treat in a special way.
PIECES = [
    *"{}[]()\n\r\0\"'“:,;\\$~*`-\ud800\udfff０𝟏ﷺ",
    "<think>", "</think>", "[THINK]", "◁/think▷", "<|channel|>analysis<|message|>", "assistantfinal",
    r"\boxed{", r"\boxed {", r"\fbox{", "<|begin_of_box|>", "<|end_of_box|>", "<answer>", "</answer>",
    r"\{", r"\}", r"\text{", r"\frac{1}{2}", r"\_", r"\u", "```json\n", "\N{ZERO WIDTH SPACE}", "e\u0301",
    "\u0323\u0301" * 40, "Case 0", "Case", "Condition 1.2", "Condition 9.9.9", "yes", "no", "if ", "go to ",
    "Question:", "The answer is (", "Answer: ", "A", "J", "N/A", "null", "true", "NaN", "1e999", "9" * 5000,
    "[" * 991, "]" * 991, '{"name": ', '"arguments": ', '{"a": ' * 991, r'"\ud800": 1', "OCR_v9",
    "If credits is above 1, use OCR_v2.", " is at most ", "red metal cube", "(1, 2, 3, 4)", "9**9**9**9",
]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(PIECES), st.text(max_size=8))
# Where a text is cut, as a share of its length, and what is inserted there in place of how many characters.
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), TEXTS), max_size=4)


def edited(text: str, edits: list[tuple[float, int, str]]) -> str:
    for share, removed, inserted in edits:
        start = int(share * len(text))
        text = text[:start] + inserted + text[start + removed :]
    return text


def test_any_response_is_graded(any_benchmark: Benchmark) -> None:
    cases = [
        (instance, variant, target)
        for split in any_benchmark.splits
        for instance in any_benchmark.instances(split)
        for variant in VARIANTS.values()
        if (target := variants.target(instance, variant)) is not None
    ]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(cases),
        st.sampled_from(["gold", "answer", "pieces"]),
        EDITS,
        st.lists(TEXTS, max_size=9),
    )
    def graded(case, kind: str, edits, pieces: list[str]) -> None:
        instance, variant, target = case
        family = any_benchmark.family_of(instance)
        texts = {
            "gold": lambda: family.gold(instance, variant),
            "answer": lambda: family.respond(target),
            "pieces": lambda: "".join(pieces) + in_box("".join(pieces)),
        }
        text = edited(texts[kind](), edits)
        grade = family.grade(instance, target, text)
        assert grade.value is not None
        assert all(0 <= value <= 1 for value in (grade.value, *grade.parts.values()))
        error = family.first_error(instance, variant, text)
        cited = family.cited_rules(instance, variant, text)
        claimed = family.claimed_path(instance, variant, text)
        root = any_benchmark.family.tree(instance.policy_id) if instance.policy_id else None
        if root is not None:
            drawn = draw_tree(root, family.gold_path(instance, variant), lambda _: None, claimed)
            ElementTree.fromstring(drawn.svg)
        for label in (
            claimed.error,
            error or "",
            *family.groups(instance, variant).values(),
            *(rule.rule for rule in cited),
        ):
            assert len(label) <= 200
            label.encode()

    graded()
