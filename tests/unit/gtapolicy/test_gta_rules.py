"""Version rules: one applies to each profile, text and data agree, overrides and a user's file work."""

import itertools
import re
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy.dataset import instances
from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.dataset.generate import DialogGenerator
from gtapolicy.grading.calls import Call
from gtapolicy.policy import profiles, rules, wording
from gtapolicy.policy.conditions import Rule, parse_condition
from gtapolicy.policy.override import make_override
from gtapolicy.policy.random_rules import random_table
from gtapolicy.policy.rules import RuleTable
from gtapolicy.scenarios import Scenarios
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.generation.blocks import Block, generate_all
from harness.seeds import rng
from harness.variants import INTERNALIZED
from harness.verify import verify

TABLE = rules.load()
ANY = {"account_type": "ABCD", "credits": (0, 250, 251, 500, 750, 1000), "age": (13, 20, 21, 59, 60, 90)}

BOUNDARIES = [
    # credits, tool, account types, ages, the version that applies at the threshold
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
    amounts = ANY["credits"] if credits is None else (credits,)
    for account, number, age in itertools.product(accounts, amounts, ages):
        profile = {"account_type": account, "credits": number, "age": age}
        assert TABLE.decide(tool, profile) == f"{tool}_{version}"


def test_the_paper_s_policy_in_numbers() -> None:
    versioned = [tool for tool in TABLE.tools if tool.versions]
    assert (len(TABLE.tools), len(versioned)) == (14, 7)
    assert sum(len(tool.callable_names) for tool in TABLE.tools) == 32
    assert sum(len(tool.versions) for tool in versioned) == 25
    assert (len(TABLE.exclusions), len(TABLE.tips)) == (1, 4)


seeds = st.integers(0, 999)
tables = st.one_of(
    st.just(TABLE),
    st.builds(lambda seed, bands: make_override(TABLE, rng(seed, "o"), bands), seeds, st.booleans()),
    st.builds(
        lambda tools, each, seed: random_table(tools, tools * each, rng(seed, "i")),
        st.integers(1, 20),
        st.integers(2, 12),
        seeds,
    ),
)


@pytest.mark.parametrize(("tools", "rules_"), [(0, 0), (97, 200), (2, 3), (2, 25)])
def test_an_impossible_size_of_a_random_policy_is_rejected(tools: int, rules_: int) -> None:
    with pytest.raises(UserError, match=r"^invented_(tools|rules): expected \d+\.\.\d+"):
        random_table(tools, rules_, rng(0, "i"))


def test_thresholds_that_cannot_be_changed_are_rejected() -> None:
    narrow = msgspec.structs.replace(TABLE, profile={**TABLE.profile, "age": rules.Span(20, 21)})
    make_override(narrow, rng(0, "o"))
    with pytest.raises(UserError, match=r"^override_bands: .+omit the flag"):
        make_override(narrow, rng(0, "o"), change_bands=True)


def parse_rules(text: str) -> dict[str, tuple[Rule, ...]]:
    """The version rules of each tool in the text of a policy or an override."""
    parsed: dict[str, tuple[Rule, ...]] = {}
    for section in text.split("\nVersions of ")[1:]:
        tool, *lines = section.split("\n\n")[0].splitlines()
        rules_ = [line for line in lines if not line.endswith(", whatever the profile.")]
        matches = [re.fullmatch(rf"- If (.+), use {re.escape(tool)}_(\w+)\.", line) for line in rules_]
        parsed[tool] = tuple(Rule(match[2], parse_condition(match[1])) for match in matches)
    return parsed


@given(tables, seeds)
def test_text_and_decision_agree(table: RuleTable, seed: int) -> None:
    parsed = parse_rules(wording.policy_text(table, "GTA-Test"))
    assert parsed == {tool.name: tool.rules for tool in table.tools if tool.rules}
    for number in range(20):
        profile = profiles.ProfileSampler(table, rng(seed, number)).sample()
        for tool in table.tools:
            versions = [rule.use for rule in parsed.get(tool.name, ()) if rule.applies(profile)]
            expected = [f"{tool.name}_{use}" for use in versions] or [tool.name]
            assert expected == [table.decide(tool.name, profile)]


@given(seeds, st.booleans())
def test_an_override_changes_every_rule_and_its_text_says_so(seed: int, bands: bool) -> None:
    changed = make_override(TABLE, rng(seed, "o"), bands)
    for before, after in zip(TABLE.tools, changed.tools, strict=True):
        for one, other in zip(before.rules, after.rules, strict=True):
            assert one.use != other.use
            assert bands or one.when == other.when
    parsed = parse_rules(wording.notice_text(changed, "GTA-Test"))
    assert parsed == {tool.name: tool.rules for tool in changed.tools if tool.rules}


def test_profiles_are_near_thresholds_and_versions_are_used_equally_often() -> None:
    sampler = profiles.ProfileSampler(TABLE, rng(0, "p"))
    sampled = [sampler.next(["OCR", "ImageDescription"]) for _ in range(200)]
    assert sum(p["credits"] in (249, 250, 251, 499, 500, 501, 749, 750, 751) for p in sampled) > 40
    for tool in ("OCR", "ImageDescription"):
        counts = Counter(TABLE.decide(tool, profile) for profile in sampled)
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


def test_a_user_defined_tool_is_in_the_text_and_gets_a_version(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE + OWN_TOOL)
    table = rules.load(path)
    assert table.decide("Translate", {"account_type": "A", "credits": 3, "age": 40}) == "Translate_v2"
    assert "If age is below 40, use Translate_v1." in wording.policy_text(table, "GTA-Test")


def test_bands_that_meet_as_le_and_ge_can_be_changed() -> None:
    text = RULES_FILE + OWN_TOOL.replace("{ lt = 40 }", "{ le = 39 }")
    changed = make_override(msgspec.convert(tomllib.loads(text), RuleTable), rng(0, "o"), change_bands=True)
    below, above = (rule.when["age"] for rule in changed.tool("Translate").rules)
    assert below.le != 39
    assert above.ge == below.le + 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{ ge = 250, lt = 500 }", "{ ge = 240, lt = 500 }", "credits 240 v1 and v2 both apply"),
        ("{ ge = 250, lt = 500 }", "{ ge = 260, lt = 500 }", "credits 250 no rule applies"),
        ("credits = { ge = 750 }", "debts = { ge = 750 }", "got 'debts'"),
        ('account_type = ["A"] } }', 'account_type = ["E"] } }', r"of account_type in .+ got \('E',\)"),
        (
            'use = "v4", when = { credits = { ge',
            'use = "v9", when = { credits = { ge',
            "one rule for each of v1, v2, v3, v4, got .+ v9",
        ),
        ("credits = { ge = 750 }", 'credits = ["750"]', "a band such as"),
        ("credits = { ge = 750 }", "credits = { from = 750 }", "from"),
        ('name = "Plot"', 'title = "Plot"', "title"),
        ('use = "MathOCR"', 'use = "Maths"', "got 'Maths'"),
        ("[profile]", "[profile", "line"),
        ("least = 13, most = 90", "least = 90, most = 13", "least <= most for age, got 90 > 13"),
        ('["A", "B", "C", "D"]', "[]", r"profile.+: expected a list that is not empty"),
        ('name = "Plot"', 'name = "Solver"', "tool: expected each name once, got 'Solver' 2 times"),
        ('name = "Plot"', 'name = "Plot_v1"', "does not end in a version, got 'Plot_v1'"),
        ('name = "Plot"', 'name = "My Plot"', "letters, digits, _ and -"),
        ('versions = ["v1", "v2"]', 'versions = ["one", "v2"]', "versions.+: expected a text matching regex"),
        ('versions = ["v1", "v2"]', 'versions = ["v1"]', "two or more versions"),
        ('versions = ["v1", "v2"]', 'versions = ["v1", "v1"]', "RegionAttributeDescription, versions"),
        (
            'use = "v4", when = { credits = { ge',
            'use = "v3", when = { credits = { ge',
            "one rule for each of .+ got .+ v3, v3",
        ),
        ('when = { account_type = ["C", "D"] }', "when = {}", "when: expected a table that is not empty"),
        ("credits = { ge = 750 }", "credits = {}", "a bound for credits"),
        ('name = "expression"', 'name = "expression", type = "int"', "to be a text without a default"),
    ],
)
def test_an_invalid_file_is_rejected_with_the_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in RULES_FILE
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        rules.load(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"D"', '"D, north"'),
        ('"D"', '"D or E"'),
        ('"D"', '"above 5"'),
        ('"D"', '"D "'),
        ("account_type =", '"type, and sex" ='),
        ("account_type =", '"is is" ='),
    ],
)
def test_rules_whose_text_cannot_be_read_back_are_rejected(tmp_path: Path, old: str, new: str) -> None:
    """The oracle would cite them, and its citations would count as false."""
    path = tmp_path / "rules.toml"
    path.write_text(RULES_FILE.replace(old, new))
    with pytest.raises(
        UserError, match=r"^\w+: expected fields and values that can be distinguished .+ got '"
    ):
        rules.load(path)
    path.write_text(RULES_FILE.replace('"D"', '"Trinidad and Tobago (St. George)"'))
    rules.load(path)


def test_a_table_without_versions_and_a_folder_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('profile = {}\n[[tool]]\nname = "Plot"\ndescription = "Draws."\narguments = []\n')
    with pytest.raises(UserError, match="expected at least one tool with versions"):
        rules.load(path)
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        rules.load(tmp_path)


def test_a_benchmark_with_user_defined_rules_verifies(tmp_path: Path) -> None:
    """A tool with an underscore in its name, a tool of GTA, and a tool of GTA with other arguments."""
    path = tmp_path / "rules.toml"
    head, *tools = RULES_FILE.split("[[tool]]")
    kept = "[[tool]]".join([head, *(t for t in tools if '"Calculator"' in t or '"RegionAttribute' in t)])
    own = OWN_TOOL.replace("Translate", "web_search_2").replace('"text"', '"bbox", optional = true')
    path.write_text(kept.replace('{ name = "bbox" }, ', "") + own)
    generator = DialogGenerator(GenerateConfig(rules=path, train=60, test=12))
    manifest = generate_all(tmp_path / "bench", generator, workers=1)
    assert generate_all(tmp_path / "bench", generator, workers=1) == manifest
    benchmark = Benchmark(tmp_path / "bench")
    assert verify(benchmark).endswith("gold responses score 1")
    by_tool = {i.facts["step"]["tool"]: i for i in benchmark.instances("train")}
    assert by_tool.keys() == {"Calculator", "RegionAttributeDescription", "web_search_2"}
    instance = by_tool["web_search_2"]
    gold = benchmark.family.gold(instance, INTERNALIZED)
    (cited,) = benchmark.family.cited_rules(instance, INTERNALIZED, gold)
    assert (cited.exists, dict(cited.parts)) == (True, {"condition": True})


def test_dialogs_with_pictures_are_kept_if_the_table_has_their_tools_with_gta_s_arguments() -> None:
    scenarios = Scenarios()
    all_tools = scenarios.for_table(scenarios.with_tips(TABLE))
    assert [all_tools.outline(0, n) for n in range(229)] == [scenarios.outline(0, n) for n in range(229)]
    renamed = tomllib.loads(RULES_FILE.replace('{ name = "color",', '{ name = "ink",'))
    changed = scenarios.with_tips(msgspec.convert(renamed, RuleTable))
    others = scenarios.for_table(changed)
    dialogs = [others.dialog(0, number) for number in range(others.queries)]
    assert {d.family == "plain" for d in dialogs if "AddText" in {step.tool for step in d.steps}} == {True}
    assert {step.tool for d in dialogs for step in d.steps} == {tool.name for tool in TABLE.tools}
    assert sum(d.family != "plain" for d in dialogs) > 200


def test_a_question_contains_the_calls_before_it() -> None:
    steps = tuple(Step("OCR", {"image": "image/image_1.jpg"}, f"line {n}") for n in range(3))
    dialog = Dialog("d", "x", "What is written here?", ("image/image_1.jpg",), steps)
    pair = instances.PolicyPair("GTA-Test", TABLE, make_override(TABLE, rng(0, "o")))
    profile = {"account_type": "A", "credits": 100, "age": 30}
    instance = instances._instance(pair, dialog, profile, 2, Block(0, "", {}))
    text = instance.query[-1].value
    assert "line 0" in text
    assert "line 1" in text
    assert "line 2" not in text
    assert instance.facts["same_tool_in_history"]
    assert Call.from_json(instance.target).name == "OCR_v5"
    assert msgspec.json.decode(msgspec.json.encode(instance.facts)) == instance.facts
