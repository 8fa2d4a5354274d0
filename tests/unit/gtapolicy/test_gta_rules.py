"""Version rules: total, unambiguous, told by their text, changed by overrides, extended by a user's file."""

from __future__ import annotations

import itertools
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy import scenarios
from gtapolicy.dataset import instances
from gtapolicy.dataset.config import GeneratedConfig
from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.dataset.generate import _dialogs, generate
from gtapolicy.policy import override, profiles, random_rules, rules, wording
from gtapolicy.policy.rules import Table
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.seeds import rng
from harness.variants import INTERNALIZED
from harness.verify import verify

TABLE = rules.load()
ANY = {"account_type": "ABCD", "credits": (0, 250, 251, 500, 750, 1000), "age": (13, 20, 21, 59, 60, 90)}

BOUNDARIES = [
    # credits, tool, account types, ages, the version that wins exactly on a threshold
    (250, "OCR", "ABCD", ANY["age"], "v5"),
    (250, "CountGivenObject", "ABCD", ANY["age"], "v2"),
    (500, "ImageDescription", "B", ANY["age"], "v3"),
    (500, "ImageDescription", "D", ANY["age"], "v1"),
    (500, "TextToImage", "D", ANY["age"], "v3"),
    (500, "GoogleSearch", "ABCD", (21,), "v3"),
    (499, "GoogleSearch", "ABCD", (21,), "v2"),
    (500, "CountGivenObject", "ABCD", ANY["age"], "v3"),
    (750, "OCR", "A", ANY["age"], "v4"),
    (750, "OCR", "D", ANY["age"], "v3"),
    (750, "CountGivenObject", "ABCD", ANY["age"], "v4"),
    (751, "OCR", "ABCD", (20,), "v2"),
    (751, "OCR", "ABCD", (21,), "v1"),
    (None, "GoogleSearch", "ABCD", (20,), "v1"),
    (None, "ImageStylization", "ABCD", (21, 59), "v2"),
    (None, "ImageStylization", "ABCD", (60,), "v3"),
]


@pytest.mark.parametrize(("credits", "tool", "accounts", "ages", "version"), BOUNDARIES)
def test_thresholds(credits: int | None, tool: str, accounts: str, ages, version: str) -> None:
    for account, number, age in itertools.product(
        accounts, ANY["credits"] if credits is None else (credits,), ages
    ):
        profile = {"account_type": account, "credits": number, "age": age}
        assert TABLE.decide(tool, profile) == f"{tool}_{version}"


def test_the_paper_s_policy_in_numbers() -> None:
    versioned = [tool for tool in TABLE.tools if tool.versions]
    assert (len(TABLE.tools), len(versioned), len(TABLE.callable_names)) == (14, 7, 32)
    assert sum(len(tool.versions) for tool in versioned) == 25
    assert (len(TABLE.exclusions), len(TABLE.tips)) == (1, 4)


tables = st.one_of(
    st.just(TABLE),
    st.builds(
        lambda seed, bands: override.overridden(TABLE, rng(seed, "o"), bands),
        st.integers(0, 999),
        st.booleans(),
    ),
    st.builds(
        lambda tools, each, seed: random_rules.invented(tools, tools * each, rng(seed, "i")),
        st.integers(1, 20),
        st.integers(2, 12),
        st.integers(0, 999),
    ),
)


@pytest.mark.parametrize(("tools", "rules_"), [(0, 0), (97, 200), (2, 3), (2, 25)])
def test_an_invented_size_that_cannot_be_is_named_by_its_flag(tools: int, rules_: int) -> None:
    with pytest.raises(UserError, match=r"^invented_(tools|rules): expected \d+\.\.\d+"):
        random_rules.invented(tools, rules_, rng(0, "i"))


def test_thresholds_without_room_to_move_are_refused() -> None:
    narrow = msgspec.structs.replace(TABLE, profile={**TABLE.profile, "age": rules.Span(20, 21)})
    override.overridden(narrow, rng(0, "o"))
    with pytest.raises(UserError, match="leave --override-bands out"):
        override.overridden(narrow, rng(0, "o"), bands=True)


@given(tables, st.integers(0, 999))
def test_text_and_decision_agree(table: Table, seed: int) -> None:
    read = wording.parse(wording.policy_text(table, "GTA-Test"))
    assert read == {tool.name: tool.rules for tool in table.tools if tool.rules}
    for number in range(20):
        profile = profiles.draw(table, rng(seed, number))
        for tool in table.tools:
            holding = [rule.use for rule in read.get(tool.name, ()) if rule.holds(profile)]
            expected = [f"{tool.name}_{use}" for use in holding] or [tool.name]
            assert expected == [table.decide(tool.name, profile)]


@given(st.integers(0, 999), st.booleans())
def test_an_override_changes_every_rule_and_its_notice_tells_it(seed: int, bands: bool) -> None:
    changed = override.overridden(TABLE, rng(seed, "o"), bands)
    for before, after in zip(TABLE.tools, changed.tools, strict=True):
        for one, other in zip(before.rules, after.rules, strict=True):
            assert one.use != other.use
            assert bands or one.when == other.when
    read = wording.parse(wording.notice_text(changed, "GTA-Test", ["OCR", "GoogleSearch"]))
    assert read == {name: changed.tool(name).rules for name in ("OCR", "GoogleSearch")}


def test_profiles_lie_on_thresholds_and_versions_are_used_alike() -> None:
    stratified = profiles.Stratified(TABLE, rng(0, "p"))
    drawn = [stratified.next(["OCR", "ImageDescription"]) for _ in range(200)]
    assert sum(p["credits"] in (249, 250, 251, 499, 500, 501, 749, 750, 751) for p in drawn) > 40
    for tool in ("OCR", "ImageDescription"):
        counts = Counter(TABLE.decide(tool, profile) for profile in drawn)
        assert len(counts) == 5
        assert max(counts.values()) < 1.5 * min(counts.values())


RULES_FILE = (Path(rules.__file__).parent / "rules.toml").read_text()
OWN_TOOL = """
[[tool]]
name = "Translate"
description = "Translates a text."
arguments = [{ name = "text" }, { name = "formal", type = "bool", default = false }]
versions = ["v1", "v2"]
rules = [{ use = "v1", when = { age = { lt = 40 } } }, { use = "v2", when = { age = { ge = 40 } } }]
"""


def test_a_tool_of_the_user_is_told_decided_and_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE + OWN_TOOL)
    table = rules.load(path)
    assert table.decide("Translate", {"account_type": "A", "credits": 3, "age": 40}) == "Translate_v2"
    assert "If age is below 40, use Translate_v1." in wording.policy_text(table, "GTA-Test")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            "credits = { ge = 250, lt = 500 }",
            "credits = { ge = 240, lt = 500 }",
            "credits 240 v1 and v2 both hold",
        ),
        ("credits = { ge = 250, lt = 500 }", "credits = { ge = 260, lt = 500 }", "credits 250 no rule holds"),
        ("credits = { ge = 750 }", "debts = { ge = 750 }", "got 'debts'"),
        ('account_type = ["A"] } }', 'account_type = ["E"] } }', r"out of A, B, C, D"),
        (
            'use = "v4", when = { credits = { ge = 750 } }',
            'use = "v9", when = { credits = { ge = 750 } }',
            "got 'v9'",
        ),
        ("credits = { ge = 750 }", 'credits = ["750"]', "a band such as"),
        ("credits = { ge = 750 }", "credits = { from = 750 }", "from"),
        ('name = "Plot"', 'title = "Plot"', "title"),
        ('use = "MathOCR"', 'use = "Maths"', "got 'Maths'"),
        ("[profile]", "[profile", "line"),
        (
            "age = { least = 13, most = 90 }",
            "age = { least = 90, most = 13 }",
            "least at or below most for age",
        ),
        ('["A", "B", "C", "D"]', "[]", "values for account_type"),
        ('name = "Plot"', 'name = "Solver"', "tool: expected each name once, got 'Solver' 2 times"),
        ('name = "Plot"', 'name = "Plot_v1"', "does not end in a version, got 'Plot_v1'"),
        ('name = "Plot"', 'name = "My Plot"', "letters, digits, _ and -"),
        ('versions = ["v1", "v2"]', 'versions = ["one", "v2"]', "versions such as v1, got 'one'"),
        ('versions = ["v1", "v2"]', 'versions = ["v1"]', "two versions or more"),
        ('versions = ["v1", "v2"]', 'versions = ["v1", "v1"]', "RegionAttributeDescription, versions"),
        (
            'use = "v4", when = { credits = { ge = 750 } }',
            'use = "v3", when = { credits = { ge = 750 } }',
            "v3",
        ),
        ('when = { account_type = ["C", "D"] }', "when = {}", "expected a condition for v1"),
        ("credits = { ge = 750 }", "credits = {}", "a bound or a value for credits"),
        ('{ name = "expression" }', '{ name = "expression", type = "int" }', "a text without default"),
    ],
)
def test_a_faulty_file_is_refused_and_the_fault_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in RULES_FILE
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE.replace(old, new, 1))
    with pytest.raises(UserError, match=named):
        rules.load(path)


def test_a_table_without_versions_and_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('profile = {}\n[[tool]]\nname = "Plot"\ndescription = "Draws."\narguments = []\n')
    with pytest.raises(UserError, match="expected one with versions"):
        rules.load(path)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        rules.load(tmp_path)


def test_a_benchmark_on_a_table_of_the_user_verifies(tmp_path: Path) -> None:
    """A tool with an underscore in its name, one of GTA's alone, and one of GTA's with other arguments."""
    path = tmp_path / "rules.toml"
    head, *tools = RULES_FILE.split("[[tool]]")
    kept = "[[tool]]".join([head, *(t for t in tools if '"Calculator"' in t or '"RegionAttribute' in t)])
    own = OWN_TOOL.replace("Translate", "web_search_2").replace('"text"', '"bbox", optional = true')
    path.write_text(kept.replace('{ name = "bbox" }, ', "") + own)
    manifest = generate(tmp_path / "bench", GeneratedConfig(rules=path))
    assert generate(tmp_path / "bench", GeneratedConfig(rules=path)) == manifest
    benchmark = Benchmark(tmp_path / "bench")
    assert verify(benchmark).endswith("gold responses score 1")
    asked = {i.facts["step"]["tool"]: i for i in benchmark.instances("train")}
    assert asked.keys() == {"Calculator", "RegionAttributeDescription", "web_search_2"}
    instance = asked["web_search_2"]
    (claim,) = benchmark.family.cited_rules(
        instance, INTERNALIZED, benchmark.family.gold(instance, INTERNALIZED)
    )
    assert (claim.exists, dict(claim.parts)) == (True, {"condition": True})


def test_gta_s_kinds_of_query_are_kept_where_the_table_has_their_tools_as_gta_has() -> None:
    assert _dialogs(GeneratedConfig(), TABLE) == scenarios.dialogs(0)
    changed = msgspec.convert(
        tomllib.loads(RULES_FILE.replace('{ name = "color",', '{ name = "ink",')), Table
    )
    made = _dialogs(GeneratedConfig(), changed)
    assert {d.family == "plain" for d in made if "AddText" in {step.tool for step in d.steps}} == {True}
    assert {step.tool for d in made for step in d.steps} == {tool.name for tool in TABLE.tools}
    assert sum(d.family != "plain" for d in made) > 200


def test_a_gold_call_in_a_long_dialog_keeps_its_history() -> None:
    steps = tuple(Step("OCR", {"image": "image/image_1.jpg"}, f"line {n}") for n in range(3))
    dialog = Dialog("d", "x", "What is written here?", ("image/image_1.jpg",), steps)
    named = instances.Rules("GTA-Test", TABLE, override.overridden(TABLE, rng(0, "o")))
    profile = {"account_type": "A", "credits": 100, "age": 30}
    instance = instances._instance(named, dialog, profile, 2, "train")
    text = instance.query[-1].value
    assert "line 0" in text
    assert "line 1" in text
    assert "line 2" not in text
    assert instance.facts["same_tool_in_history"]
    assert instances.target_call(instance.target).name == "OCR_v5"
    assert msgspec.json.decode(msgspec.json.encode(instance.facts)) == instance.facts
