"""A user's scenarios need no Python, and mistakes are reported with file, line and field."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.generate import DialogGenerator
from gtapolicy.policy import rules
from gtapolicy.scenarios import Scenarios
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.generation.blocks import generate_all

EXAMPLE = re.findall(r"```toml\n(.+?)```", Path("docs/gtapolicy_scenarios.md").read_text(), re.DOTALL)[0]
OWN = """
dialogs = 6
facts = { color = "choice(['red', 'blue'])", size = "between(2, 9)" }
picture.card.template = "card.typ"
picture.card.words = "f'{color} {size}'"

[[question]]
ask = ["Which size is this?", "I need the size."]
ask_in_test = ["Say the size."]

[[step]]
tool = "SizeReader"
arguments = { image = "{image()}", color = "{color}" }
origins.color = "what the card shows"
returns = "{lines()}"
"""
CARD = """#import sys.inputs.library: *
#set page(width: 360pt, height: auto, margin: 40pt)
#line(data.words, text(size: 30pt, data.words))
"""
RULES = """
[profile]
account_type = ["A", "B"]

[[tool]]
name = "SizeReader"
description = "Reads the size on a card of a color."
arguments = [{ name = "image", type = "image" }, { name = "color" }]
versions = ["v1", "v2"]
rules = [{ use = "v1", when = { account_type = ["A"] } }, { use = "v2", when = { account_type = ["B"] } }]
"""


def numbers(scenarios: Scenarios, family: str) -> list[int]:
    return [n for n in range(scenarios.queries) if scenarios.outline(0, n).family == family]


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    (tmp_path / "library-fine.toml").write_text(EXAMPLE)
    scenarios = Scenarios(tmp_path)
    mine = [scenarios.dialog(0, number) for number in numbers(scenarios, "library-fine")]
    assert len(mine) == 20
    assert {dialog.split for dialog in mine} == {"train", "test"}
    for dialog in mine:
        assert [step.tool for step in dialog.steps] == ["OCR", "Calculator"]
        assert ("too long" in dialog.query) == (dialog.split == "test")
        days, fine = str(dialog.steps[1].arguments["expression"]).split(" * ")
        assert days in dialog.query and fine in dialog.steps[0].returned
    views = scenarios.views(0, numbers(scenarios, "library-fine")[0])
    assert views[mine[0].images[0]].image().width <= 640


def test_a_scenario_with_its_own_tool_and_template(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "card.toml").write_text(OWN)
    (folder / "card.typ").write_text(CARD)
    own_rules = tmp_path / "rules.toml"
    own_rules.write_text(RULES)
    config = GenerateConfig(rules=own_rules, scenarios=folder, train=5, test=1)
    generate_all(tmp_path / "bench", DialogGenerator(config), workers=1)
    benchmark = Benchmark(tmp_path / "bench")
    instances = [*benchmark.instances("train"), *benchmark.instances("test")]
    assert len(instances) == 6
    assert benchmark.manifest.config["scenarios"] == Scenarios(folder).digest
    for instance in instances:
        step = instance.facts["step"]
        box, words = re.fullmatch(r"(\(.+\)) (.+)", step["returned"]).groups()  # type: ignore[union-attr]
        assert words.startswith(step["arguments"]["color"]) and box.startswith("(40, ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "between(3",
            "betwen(3",
            r"fine\.toml, line 8: facts\.days: cannot be evaluated, FunctionNotDefined",
        ),
        ("'{days} *", "'{day} *", r"fine\.toml, line 10: facts\.expression: .+'day' is not defined"),
        ("late. What", "late {x}. What", r"fine\.toml, line 13: question\.0\.ask: .+'x' is not defined"),
        ("dialogs = 20", 'dialogs = "20"', r"fine\.toml, line 2: dialogs: Expected `int`, got `str`"),
        ("dialogs", "dialog", r"fine\.toml, line 2: dialog: .+unknown field `dialog`"),
        ("[[question]]", "[[questions]]", r"fine\.toml, line 12: questions: .+unknown field `questions`"),
        ("[facts]", "picture = 3\n[facts]", r"fine\.toml, line 4: picture: Expected `object`, got `int`"),
        ('"board"', '"bord"', r"fine\.toml: based_on: expected a file bord\.toml beside it, or one of board"),
        ("the fine for", "the {x} for", r"fine\.toml, line 13: question\.0\.ask: .+'x' is not defined"),
        ("kept a", "kept {x}", r"fine\.toml, line 14: question\.0\.ask_in_test: .+'x' is not defined"),
        ("dialogs = 20", "dialogs = -2", r"fine\.toml, line 2: dialogs: Expected `int` >= 1"),
        (
            "expression =",
            "expresion =",
            r"fine\.toml, based on .+calculate\.toml, line \d+: step\.1: .+'expression' is not defined",
        ),
        ('"board"', '"fine"', r"fine\.toml: based_on: .+ based on itself"),
        (
            "[facts]",
            """[picture.board]\nsurface = "'moon'"\n[facts]""",
            r"fine\.toml, line 4: picture\.board: surface: expected one of .*brick.*; got moon",
        ),
        ("[[question]]", "[[question]", r"fine\.toml: expected a TOML file, but"),
        ("ask = [", "asks = [", r"fine\.toml, line 13: question\.0\.asks: .+"),
        ("dialogs", 'require = ["1 > 2"]\ndialogs', r"fine\.toml, line 2: require: expected facts"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "fine.toml").write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"SizeReader"', '"SizeReadr"', r"line 12: step\.0\.tool: expected one of .*OCR.*; got SizeReadr"),
        ("color = ", "colour = ", r"line 13: step\.0\.arguments: expected one of color, image; got colour"),
        ("origins.color", "origins.hue", r"line 14: step\.0\.origins: expected one of color, image; got hue"),
        (
            "returns",
            'tip = "none such"\nreturns',
            r"line 15: step\.0\.tip: expected one of .*; got none such",
        ),
    ],
)
def test_a_tool_argument_or_tip_that_does_not_exist_is_reported(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    before, after = OWN.split("[[step]]")
    (tmp_path / "card.toml").write_text(f"{before}[[step]]{after.replace(old, new, 1)}")
    (tmp_path / "card.typ").write_text(CARD)
    own_rules = tmp_path / "rules.txt"
    own_rules.write_text(RULES)
    scenarios = Scenarios(tmp_path)
    with pytest.raises(UserError, match=rf"card\.toml, {message}"):
        scenarios.for_table(rules.load(own_rules))


def test_each_question_is_drawn(tmp_path: Path) -> None:
    others = "".join(f'[[question]]\nask = ["Question {n}?"]\n' for n in range(8))
    last = '[[question]]\nask = ["Last?"]\nfacts = { wrong = "x" }\n'
    (tmp_path / "fine.toml").write_text(EXAMPLE + others + last)
    with pytest.raises(
        UserError, match=r"fine\.toml, line 33: question\.9\.facts\.wrong: .+'x' is not defined"
    ):
        Scenarios(tmp_path)


def test_a_template_with_a_mistake_is_reported(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(OWN)
    (tmp_path / "card.typ").write_text(CARD.replace("data.words)", "data.word)"))
    with pytest.raises(UserError, match=r"card\.toml, line 4: picture\.card: .+card\.typ: expected a Typst"):
        Scenarios(tmp_path)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("nope.typ", r"line 4: picture\.card: template: expected a file beside the scenario or in"),
        ("open.svg", r"open\.svg: expected SVG elements, but"),
        ("loop.svg", r"line 4: picture\.card: .+loop\.svg, line 1: .*endfor"),
        ("chart", r"line 4: picture\.card: kind: expected one of bar, barh, line, pie, got None"),
    ],
)
def test_a_wrong_template_is_reported(tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "card.toml").write_text(OWN.replace("card.typ", template))
    (tmp_path / "open.svg").write_text("{{ page(300, 200) }}<rect")
    (tmp_path / "loop.svg").write_text("{% for x in [1] %}")
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path)


def test_facts_are_drawn_again_if_there_is_nothing_to_choose_from(tmp_path: Path) -> None:
    """A scene without parts has no part to ask about, whether or not the scenario requires some."""
    (tmp_path / "card.toml").write_text(
        OWN.replace("between(2, 9)", "choice([n for n in [5] if color == 'red'])")
    )
    (tmp_path / "card.typ").write_text(CARD)
    scenarios = Scenarios(tmp_path)
    own = [scenarios.dialog(0, number) for number in numbers(scenarios, "card")]
    assert len(own) == 6 and all(dialog.steps[0].returned.endswith("red 5") for dialog in own)
    (tmp_path / "card.toml").write_text(OWN.replace("between(2, 9)", "choice([])"))
    with pytest.raises(UserError, match=r"card\.toml: require: .+ a value for each choice"):
        [Scenarios(tmp_path).dialog(0, number) for number in range(229)]


def test_a_folder_without_scenarios_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="scenarios: expected a folder with TOML files"):
        Scenarios(tmp_path)


def test_the_harder_scenarios_have_errors_and_images_that_are_not_needed() -> None:
    folder = Path("gtapolicy/scenarios/harder")
    scenarios = Scenarios(folder)
    tips = {tip.name for tip in scenarios.with_tips(rules.load()).tips}
    names = [path.stem for path in folder.glob("*.toml") if path.name != "tips.toml"]
    assert len(names) == 5
    for name in names:
        for number in numbers(scenarios, name)[:4]:
            dialog = scenarios.dialog(0, number)
            read = {step.arguments["image"] for step in dialog.steps if step.tool == "OCR"}
            assert len(read) < 2
            assert all(step.tip in tips for step in dialog.steps if step.tip)
            for before, step in pairwise(dialog.steps):
                same = (before.tool, before.arguments) == (step.tool, step.arguments)
                assert same == (step.tip == "retry")
                assert before.returned.startswith("Error") == (step.tip in ("retry", "fallback"))
