"""A user's scenarios need no Python, and mistakes are reported with file, line and field."""

import ast
import random
import re
import string
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gtapolicy import cli
from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.generate import DialogGenerator
from gtapolicy.pictures import surfaces
from gtapolicy.pictures.drawing import check
from gtapolicy.pictures.svg import svg
from gtapolicy.policy import rules
from gtapolicy.scenarios import LIBRARY, Scenarios, scenario
from gtapolicy.scenarios.draft import check_values
from gtapolicy.scenarios.expressions import OF_STEPS, Evaluator
from harness.engine import BlocksConfig
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.generation.blocks import generate_all

DOCS = Path("docs/gtapolicy_scenarios.md").read_text()
EXAMPLE = re.findall(r"```toml\n(.+?)```", DOCS, re.DOTALL)[0]
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

TABLE = msgspec.convert(tomllib.loads(RULES), rules.RuleTable)


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


def test_the_svg_of_the_documentation_can_be_drawn(tmp_path: Path) -> None:
    (template := tmp_path / "garage.svg").write_text(
        re.findall(r"`cars`:\n\n```\n(.+?)```", DOCS, re.DOTALL)[0]
    )
    drawing = svg(template, {"name": "Garage", "price": 26, "cars": 5}, random.Random(0))
    check(drawing)
    assert [line.text for line in drawing.lines] == ["Garage", "26 euros"] and len(drawing.boxes["car"]) == 5


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
    assert benchmark.manifest.config["scenarios"] == Scenarios(folder, TABLE).digest
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
            r"fine\.toml, line 8: facts\.days: .+'betwen\(.+: betwen is not defined; did you mean between\?",
        ),
        ("'{days} *", "'{day} *", r"fine\.toml, line 10: facts\.expression: .+day is not defined"),
        (
            "between(3",
            "len(rows",
            r"fine\.toml, line 8: facts\.days: .+rows is not defined yet; move it above",
        ),
        ("late. What", "late {x}. What", r"fine\.toml, line 13: question 1, ask: .+x is not defined"),
        (
            "dialogs = 20",
            'dialogs = "20"',
            r"fine\.toml, line 2: dialogs: expected a whole number, got a text",
        ),
        ("dialogs", "dialog", r"fine\.toml, line 2: dialog: unknown field; the known fields are .*dialogs"),
        ("[[question]]", "[[questions]]", r"fine\.toml, line 12: questions: unknown field; .*question"),
        (
            "[facts]",
            "picture = 3\n[facts]",
            r"fine\.toml, line 4: picture: expected a table, got a whole number",
        ),
        (
            '"board"',
            '"bord"',
            r"fine\.toml, line 1: based_on: expected a file bord\.toml beside it, or .+ did you mean board\?",
        ),
        ("the fine for", "the {x} for", r"fine\.toml, line 13: question 1, ask: .+x is not defined"),
        ("kept a", "kept {x}", r"fine\.toml, line 14: question 1, ask_in_test: .+x is not defined"),
        (
            "dialogs = 20",
            "dialogs = -2",
            r"fine\.toml, line 2: dialogs: expected a whole number of at least 1",
        ),
        (
            "expression =",
            "expresion =",
            r"fine\.toml, based on .+calculate\.toml, line \d+: step 2, arguments: .+expression is not",
        ),
        ('"board"', '"fine"', r"fine\.toml: based_on: .+ based on itself"),
        (
            "[facts]",
            """[picture.board]\nsurface = "'moon'"\n[facts]""",
            r"fine\.toml, line 5: picture\.board\.surface: expected one of .*brick.*; got 'moon'",
        ),
        ("[[question]]", "[[question]", r"fine\.toml: expected a TOML file: "),
        ("ask = [", "asks = [", r"fine\.toml, line 13: question 1, asks: .+"),
        ("dialogs", 'require = ["1 > 2"]\ndialogs', r"fine\.toml, line 2: require: expected conditions"),
        (
            "[[question]]",
            '[[question]]\nask = ["I kept a book  {days} days too long. How much is that?"]\n[[question]]',
            r"fine\.toml, line 16: question 2, ask_in_test: expected other wordings .+ got 'I kept a",
        ),
        ("ask = [", "ask = []\nfacts.all = [", r"fine\.toml, line 13: question 1, ask: .+ that is not empty"),
    ],
)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "fine.toml").write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"SizeReader"', '"SizeReadr"', r"line 12: step 1, tool: expected one of .*OCR.*; got 'SizeReadr'"),
        ("color = ", "colour = ", r"line 13: step 1, arguments: expected one of image, color; got 'colour'"),
        (', color = "{color}"', "", r"line 13: step 1, arguments: expected color of type text, got none"),
        ('"{color}"', '""', r"line 13: step 1, arguments: expected color of type text, got none"),
        ("{image()}", "{image}", r"line 13: step 1, arguments: .+ got the function image; write image\(\)"),
        ("{image()}", "{color}", r"line 13: step 1, arguments: expected image to be image\(\) or .+ got '"),
        ('"{color}"', "true", r"line 13: step 1, arguments: expected color of type text, got True"),
        ('"{color}"', "[]", r"line 13: step 1, arguments: expected true or false, a whole .*, got a list"),
        ("origins.color", "origins.hue", r"line 14: step 1, origins: expected one of image, .*; got 'hue'"),
        ('"{lines()}"', '""', r"line 15: step 1, returns: expected a text, got an empty one"),
        ('"{lines()}"', "3", r"line 15: step 1, returns: expected a text, got a whole number"),
        ("lines()", "lines('cat')", r"line 15: step 1, returns: expected one of card; got 'cat'"),
        ("lines()", "box('cat')", r"line 15: step 1, returns: expected one of .+; got 'cat'"),
        ("returns", 'tip = "nope"\nreturns', r"line 15: step 1, tip: expected one of .*order.*; got 'nope'"),
    ],
)
def test_a_call_that_does_not_fit_the_rules_is_reported(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    before, after = OWN.split("[[step]]")
    (tmp_path / "card.toml").write_text(f"{before}[[step]]{after.replace(old, new, 1)}")
    (tmp_path / "card.typ").write_text(CARD)
    with pytest.raises(UserError, match=rf"card\.toml, {message}"):
        Scenarios(tmp_path, TABLE)


def test_arguments_get_the_types_of_the_rules(tmp_path: Path) -> None:
    """An argument is a text in a scenario, because its value is drawn."""
    table = RULES.replace('{ name = "color" }', '{ name = "size", type = "int" }, { name = "color" }')
    (tmp_path / "card.toml").write_text(OWN.replace('color = "{color}" }', 'size = "{size}", color = 3 }'))
    (tmp_path / "card.typ").write_text(CARD)
    scenarios = Scenarios(tmp_path, msgspec.convert(tomllib.loads(table), rules.RuleTable))
    for number in numbers(scenarios, "card"):
        arguments = scenarios.dialog(0, number).steps[0].arguments
        assert arguments["size"] in range(2, 10) and arguments["color"] == "3"
    (tmp_path / "card.toml").write_text(OWN.replace('color = "{color}" }', 'size = "{color}", color = "x" }'))
    with pytest.raises(UserError, match=r"expected size of type int, got '(red|blue)'"):
        Scenarios(tmp_path, msgspec.convert(tomllib.loads(table), rules.RuleTable))


TITLE = "title = \"f'{town()} Library'\""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # Texts that do not fit.
        (
            "Library'",
            "Library of a name that no board can show'",
            r"line 6: facts\.title: .* 600 x 1000 .*board can show",
        ),
        (
            "[['Book', ",
            "[['Line', str(n)] for n in range(50)] + [['Book', ",
            r"line 9: facts\.rows: .+Lost card",
        ),
        (TITLE, "title = \"''\"", r"line 6: facts\.title: expected texts that are not empty, got ''"),
        # Characters that the fonts lack.
        ("Library'", "图书馆'", r"line 6: facts\.title: .+DejaVuSans, which has no '图' \(CJK.*56FE\)"),
        ("Library'", "\N{ROCKET}'", r"line 6: facts\.title: .+DejaVuSans, which has no '.' \(ROCKET\)"),
        # Wrong values of a template.
        (
            "'Lost card', '3.00'",
            "'Lost card'",
            r"line 9: facts\.rows: expected 2 texts in each row, got ..Lost",
        ),
        (
            "'Lost card', '3.00'",
            "'Card', 3",
            r"line 9: facts\.rows: expected 2 texts .+, got ..Card., 3",
        ),
        (TITLE, "title = 3", r"title: expected a text, got 3"),
        (TITLE, "title = nan", r"picture\.board: cannot be evaluated: .* JSON compliant"),
        (
            "[['Book', f'{fine} a day'], ['Lost card', '3.00']]",
            "[]",
            r"line 9: facts\.rows: expected at least one",
        ),
        (
            "[facts]",
            "picture.board.header = ['Item']\n[facts]",
            r"line 4: picture\.board\.header: expected 2 texts in each row",
        ),
        (
            "[facts]",
            "picture.board.notes = [3]\n[facts]",
            r"line 4: picture\.board\.notes: expected texts, got 3",
        ),
        # Expressions.
        (TITLE, "titel = \"'x'\"", r"board\.toml, line \d+: picture\.board\.title: .+; did you mean titel\?"),
        (TITLE, "", r"picture\.board\.title: .+: title is not defined; define it above, under \[facts\]"),
        (
            "choice(['paper', 'enamel'])",
            "choice(entities.bok)",
            r"expected one of book, .+; did you mean book\?",
        ),
        (TITLE, 'title = "{town()} Library"', r"line 6: facts\.title: .+ write \"f'\{town\(\)\} Library'\""),
        (
            "[facts]",
            "[facts]\nplace = \"'Oak'\"\nsign = \"'{place} Shop'\"",
            r"sign: expected an f before .+'\{place\} Shop'",
        ),
        ("between(3, 40)", "between(60, 20)", r"between: expected .+ the smaller one first, got 60 and 20"),
        ("between(3, 40)", "between(0.5, 9)", r"between: expected two whole numbers, .+ got 0\.5 and 9"),
        (
            "between(3, 40)",
            "between(3)",
            r"line 8: facts\.days: .+'between\(3\)': between\(...\) needs also 'most'",
        ),
        ("between(3, 40)", "sample([1], 2)", r"line 8: facts\.days: sample: expected at most 1, .+ got 2"),
        (
            "between(3, 40)",
            "chance(50)",
            r"line 8: facts\.days: chance: expected a share from 0 to 1, got 50",
        ),
        (
            "do I pay",
            "is {rows}",
            r"question 1, ask: .+ number in \{rows\}, got \[\['Book.+write \{enumeration\(",
        ),
        (
            TITLE,
            'title = "Public Library"',
            r"line 6: facts\.title: expected an expression, .+ \"'Public Library'\"",
        ),
        (TITLE, 'title = "Library"', r"line 6: facts\.title: expected an expression, .+ write \"'Library'\""),
        (TITLE, 'title = ""', r"line 6: facts\.title: expected an expression, got ''"),
        (TITLE, 'title = "town"', r"line 6: facts\.title: expected a value, .+; write town\(\)"),
        ("between(3, 40)", "{'a': 1}['b']", r"line 8: facts\.days: expected one of a; got 'b'"),
        ("between(3, 40)", "[1, 2][5]", r"line 8: facts\.days: expected a position below 2, got 5"),
        ("choice(['paper', 'enamel'])", "'wood'", r"board\.style: expected one of paper, .+; got 'wood'"),
        ("do I pay", "do I pay {town}", r"line 13: question 1, ask: expected a value, .+; write town\(\)"),
        (
            "I kept a book {days} days too long. How much is that?",
            " ",
            r"ask_in_test: expected a text, got an",
        ),
        (
            "'{days} * {fine}'",
            "'{days} times {fine}'",
            r"step 2, arguments: .+ expected arithmetic, got '\d+ times \d\.\d0': invalid syntax",
        ),
        ("do I pay", "do I pay {image()}", r"line 13: question 1, ask: expected image.+ only in steps"),
        # Pictures.
        (
            "[facts]",
            "picture.board.margn = 0.2\n[facts]",
            r"line 4: picture\.board\.margn: .+ template board\.typ uses, got margn; did you mean margin",
        ),
        (
            "[facts]",
            "picture.board.surface = 'oak'\n[facts]",
            r"line 4: picture\.board\.surface: expected an expr",
        ),
        (
            "[facts]",
            "picture.board.margin = 7\n[facts]",
            r"line 4: picture\.board\.margin: expected a margin from 0 to 1",
        ),
        ("[facts]", "order = ['board', 'cat']\n[facts]", r"line 4: order: expected each of board once, got"),
        ("[facts]", "order = []\n[facts]", r"line 4: order: expected each of board once, got"),
        ("[facts]", "places = {}\n[facts]", r"line 4: places: unknown field"),
        ('"board", ', "", r"fine\.toml: picture: expected at least one, .+ got none"),
        (', "read-and-calculate"', "", r"fine\.toml: step: expected at least one, .+ got none"),
        ("[[question]]", "[[picture]]", r"line 12: picture: expected a table, got a list"),
        (
            "[facts]",
            "picture = { a = {}, b = {}, c = {} }\n[facts]",
            r"line 4: picture: expected at most 3 pictures .+, got 4",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in EXAMPLE
    (tmp_path / "fine.toml").write_text(EXAMPLE.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path)


PAGE = "{{ page(300, 200) }}{# words #}"


@pytest.mark.parametrize(
    ("words", "template", "message"),
    [
        (
            "'long ' * 30",
            "{{ text(150, 90, words, 20) }}",
            r"line 5: picture\.card\.words: expected a shorter text",
        ),
        ("'long ' * 9", "{{ text(150, 90, words, 20, room=99) }}", r"line 5: .+ expected a shorter text"),
        ("'中'", "{{ text(150, 90, words, 20) }}", r"line 5: .+ DejaVuSans, which has no '中'"),
        ("'中'", "{{ math(9, 9, words, 20, '#000', 'cm') }}", r"line 5: .+ STIXGeneral, which has no '中'"),
        (
            "'x+1' * 50",
            "{{ math(9, 9, words, 20, '#000', 'cm') }}",
            r"line 5: .+ expected shorter mathematics",
        ),
        ("'frac{1'", "{{ math(9, 9, '\\\\' ~ words, 20, '#000', 'cm') }}", r"expected LaTeX of matplotlib"),
        ("'a'", "{{ text(99, 90, words, 20) }}{{ text(99, 95, 'b', 20) }}", r"covers nothing, got 'a'"),
        ("'a'", "{{ page(9000, 200) }}", r"expected a picture of at most 600 x 1000 pixels, not 9000 x 200"),
        ("'a'", "<text x='9' y='99'>Hidden</text>", r"card\.svg: expected text\(\.\.\.\) .+, got <text>"),
        ("'a'", "<image href='/photo.png'/>", r"card\.svg: expected text\(\.\.\.\) .+, got <image>"),
        (
            "'a'",
            "{{ page(0, 0) }}",
            r"at least 1 x 1 pixels; in an SVG, \{\{ page\(width, height\) \}\} sets it",
        ),
        (
            "'a'",
            "{{ draw('car', 900, 90, 50, 'red') }}",
            r"picture\.card: expected 'car' inside of the",
        ),
        ("'a'", "{{ surface('gravel', 0, 0, 9, 9) }}", r"picture\.card: .+walnut.+; got 'gravel'"),
        ("'a'", "{{ text(9, 9, words, 20, face='comic') }}", r"expected one of sans, .+; got 'comic'"),
        ("'a'", "{{ draw('dragon', 9, 9, 9) }}", r"expected one of apple, .+; got 'dragon'"),
        (
            "'a'",
            "{{ text(9, 9, words, 20, anchor='left') }}",
            r"card\.svg, line 1: .+ one of start, .+ got 'left'",
        ),
        ("'a'", "{{ text(9, 9, words, 20, margn=3) }}", r"values: text\(...\) has no 'margn'"),
        ("'a'", "{{ photo('rockt', 0, 0, 9, 9, false, 1) }}", r"expected one of .+ did you mean rocket\?"),
        ("'a'", "{{ math(9, 9, 'x', 20, 'blak', 'cm') }}", r"unknown color specifier: 'blak'"),
        (
            "'a'",
            "\n{{ text(9, 9, word, 20) }}",
            r"card\.svg, line 2: cannot be drawn with these values: 'word' is undefined",
        ),
    ],
)
def test_an_svg_that_cannot_show_its_texts_is_reported(
    tmp_path: Path, words: str, template: str, message: str
) -> None:
    own = OWN.replace("card.typ", "card.svg").replace("f'{color} {size}'", words)
    (tmp_path / "card.toml").write_text(own)
    (tmp_path / "card.svg").write_text(PAGE + template)
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path, TABLE)


def test_a_template_with_values_in_its_name_uses_those_of_each_file_that_it_can_be(tmp_path: Path) -> None:
    own = OWN.replace("card.typ", "{color}.svg").replace(
        "picture.card.words", "picture.card.blu = 3\npicture.card.words"
    )
    (tmp_path / "card.toml").write_text(own)
    (tmp_path / "red.svg").write_text(PAGE + "{{ text(150, 90, words, 20) }}")
    (tmp_path / "blue.svg").write_text(PAGE + "{{ text(150, 90, words, 20) }}{# blu #}")
    Scenarios(tmp_path, TABLE)
    (tmp_path / "blue.svg").write_text(PAGE + "{{ text(150, 90, words, 20) }}")
    with pytest.raises(
        UserError, match=r"line 5: picture\.card\.blu: .+ that the template \*\.svg uses, got blu"
    ):
        Scenarios(tmp_path, TABLE)


def test_the_pictures_of_the_library_have_no_value_that_their_templates_do_not_use() -> None:
    for path in LIBRARY.glob("*.toml"):
        check_values(scenario.read(path))


def test_a_text_of_an_svg_is_written_smaller_if_it_hardly_needs_more_than_its_room(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(OWN.replace("card.typ", "card.svg"))
    (tmp_path / "card.svg").write_text(PAGE + "{{ text(150, 90, 'MMMMMMMMMM', 20, room=160) }}")
    scenarios = Scenarios(tmp_path, TABLE)
    (view,) = scenarios.views(0, numbers(scenarios, "card")[0]).values()
    (line,) = view.drawing.lines
    assert 155 < line.box.x2 - line.box.x1 <= 160


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("chart_kind = \"'donut'\"", r"kind: expected one of bar, barh, line, pie, got 'donut'"),
        ("chart_title = \"'中'\"", r"line 4: facts\.chart_title: .+DejaVuSans-Bold, which has no '中'"),
        ("chart_title = \"'long ' * 30\"", r"line 4: facts\.chart_title: expected a shorter text"),
        (
            "points = \"[{'label': 'a', 'number': n} for n in range(9)]\"",
            r"line 4: facts\.points: expected two or more different labels, got \[.a., .a",
        ),
        (
            "points = \"[{'label': f'a long label {n}', 'number': n} for n in range(9)]\"",
            r"facts\.points: .+ shorter",
        ),
        ("points = \"[{'label': n, 'number': 3} for n in range(9)]\"", r"expected a text, got 0"),
        (
            "points = \"[{'label': str(n), 'number': 'x'} for n in range(9)]\"",
            r"line 4: facts\.points: expected 9 numbers, one for each label, got \['x', 'x'",
        ),
    ],
)
def test_a_wrong_chart_is_reported(tmp_path: Path, fact: str, message: str) -> None:
    text = 'based_on = ["chart", "read-and-calculate"]\n[facts]\nexpression = "\'1 + 1\'"\n'
    (tmp_path / "mean.toml").write_text(f'{text}{fact}\n[[question]]\nask = ["What is the mean?"]\n')
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path)


def test_left_out_dialogs_are_counted_with_the_reason() -> None:
    scenarios = Scenarios()
    assert scenarios.for_table(scenarios.with_tips(rules.load())).left_out == ""
    table = rules.load()
    without = table.__replace__(tools=tuple(tool for tool in table.tools if tool.name != "Plot"))
    message = scenarios.for_table(scenarios.with_tips(without)).left_out
    assert message.startswith("2 of 19 families of dialogs are left out, because") and "have Plot" in message


def test_generate_prints_what_the_rules_leave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.generation.blocks.generate_chosen", lambda *_: "")
    text = Path("gtapolicy/policy/rules.toml").read_text()
    (file := tmp_path / "rules.toml").write_text(re.sub(r'\[\[tool\]\]\nname = "Plot"[^\[]+\[.+\n', "", text))
    cli.generate(tmp_path / "bench", GenerateConfig(rules=file), BlocksConfig())
    assert capsys.readouterr().err.startswith("--rules: 2 of 19 families of dialogs are left out")


def test_each_question_is_drawn(tmp_path: Path) -> None:
    others = "".join(f'[[question]]\nask = ["Question {n}?"]\n' for n in range(8))
    last = '[[question]]\nask = ["Last?"]\nfacts = { wrong = "x" }\n'
    (tmp_path / "fine.toml").write_text(EXAMPLE + others + last)
    with pytest.raises(
        UserError, match=r"fine\.toml, line 33: question 10, facts\.wrong: expected an expression, got 'x'"
    ):
        Scenarios(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("data.words)", "data.word)", r"card\.typ, line 3: cannot be typeset with these values: .+"),
        ("data.words)", 'read("/etc/passwd"))', r"card\.typ, line 3: cannot be .+ file not found"),
        ("data.words)", 'read("../card.txt"))', r"card\.typ, line 3: cannot be .+ would escape the project"),
        ("#line", "Hello!\n#line", r"card\.typ: expected all texts in line\(\.\.\.\), because OCR does not"),
        (
            "#line",
            '#import "@preview/cetz:0.2.0"\n#line',
            r"card\.typ: expected no package of Typst's registry",
        ),
        ("#line", "#pagebreak()\n#line", r"card\.typ: expected a template with one page, got several"),
        (
            "360pt",
            "900pt",
            r"expected a picture of at most 600 x 1000 pixels, .+; its template sets the size",
        ),
    ],
)
def test_a_document_with_a_mistake_is_reported(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "card.toml").write_text(OWN)
    (tmp_path / "card.typ").write_text(CARD.replace(old, new))
    (tmp_path.parent / "card.txt").write_text("outside of the folder")
    with pytest.raises(UserError, match=rf"card\.toml, line 4: picture\.card: .*{message}"):
        Scenarios(tmp_path, TABLE)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("nope.typ", r"line 4: picture\.card\.template: expected chart, or a .typ or .svg file beside"),
        ("open.svg", r"open\.svg: expected SVG elements, but"),
        ("loop.svg", r"line 4: picture\.card: .+loop\.svg, line 1: .*endfor"),
        ("chart", r"line 5: picture\.card\.words: expected a value that the template chart uses, got words"),
    ],
)
def test_a_wrong_template_is_reported(tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "card.toml").write_text(OWN.replace("card.typ", template))
    (tmp_path / "open.svg").write_text(PAGE + "{{ text(99, 90, words, 20) }}<rect")
    (tmp_path / "loop.svg").write_text("{% for x in [words] %}")
    with pytest.raises(UserError, match=message):
        Scenarios(tmp_path, TABLE)


def test_facts_are_drawn_again_if_there_is_nothing_to_choose_from(tmp_path: Path) -> None:
    """A scene without parts has no part to ask about, whether or not the scenario requires some."""
    (tmp_path / "card.toml").write_text(
        OWN.replace("between(2, 9)", "choice([n for n in [5] if color == 'red'])")
    )
    (tmp_path / "card.typ").write_text(CARD)
    scenarios = Scenarios(tmp_path, TABLE)
    own = [scenarios.dialog(0, number) for number in numbers(scenarios, "card")]
    assert len(own) == 6 and all(dialog.steps[0].returned.endswith("red 5") for dialog in own)
    (tmp_path / "card.toml").write_text(OWN.replace("between(2, 9)", "choice([])"))
    with pytest.raises(
        UserError, match=r"card\.toml, line 3: facts\.size: choice: expected at least one value, got none"
    ):
        [Scenarios(tmp_path, TABLE).dialog(0, number) for number in range(229)]


def test_a_dialog_is_drawn_again_if_a_picture_cannot_show_its_texts(tmp_path: Path) -> None:
    long = "W" * 99
    (tmp_path / "card.typ").write_text(CARD)
    (tmp_path / "card.toml").write_text(OWN.replace("'red', 'blue'", f"'{long}', 'red'"))
    scenarios = Scenarios(tmp_path, TABLE)
    own = [scenarios.dialog(0, number) for number in numbers(scenarios, "card")]
    assert len(own) == 6 and {dialog.steps[0].arguments["color"] for dialog in own} == {"red"}
    (tmp_path / "card.toml").write_text(OWN.replace("'red', 'blue'", f"'{long}'"))
    with pytest.raises(UserError, match=r"card\.toml, line 3: facts\.color: expected a shorter text"):
        Scenarios(tmp_path, TABLE)


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


def names_in(value: Any, is_text: bool) -> set[str]:
    """The names that expressions or texts use."""
    if isinstance(value, dict | list):
        members = value.values() if isinstance(value, dict) else value
        return {name for member in members for name in names_in(member, is_text)}
    if not isinstance(value, str):
        return set()
    if is_text:
        fields = [field for _, field, _, _ in string.Formatter().parse(value) if field is not None]
        return names_in(fields, False)
    nodes = [node for node in ast.walk(ast.parse(value, mode="eval")) if isinstance(node, ast.Name)]
    return {node.id for node in nodes} - {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def row_of_part(path: Path) -> str:
    """The row of the documentation: what the part draws or calls, the facts that it needs, and its facts."""
    part = scenario._merged(path)
    steps = [scenario._override(scenario.TOOLS[step["tool"]], step) for step in part.get("step", ())]
    pictures, facts = part.get("picture", {}), part.get("facts", {})
    values = [{k: v for k, v in spec.items() if k != "template"} for spec in pictures.values()]
    texts = [[step["arguments"], step["returns"]] for step in steps]
    used = names_in([facts, values], False) | names_in(texts, True)
    evaluator = Evaluator(random.Random(0))
    given = used - {*facts, *evaluator.functions, *evaluator.names, *OF_STEPS, "arguments"}
    cells = [path.stem], [*pictures, *(step["tool"] for step in steps)], sorted(given), facts
    return f"| {' | '.join(', '.join(f'`{name}`' for name in cell) for cell in cells)} |"


def test_the_documentation_lists_all_surfaces_and_parts() -> None:
    for path in sorted(scenario.PARTS.glob("*.toml")):
        assert row_of_part(path) in DOCS
    for names in (surfaces.DESKS, surfaces.WALLS):
        assert ", ".join(f"`{name}`" for name in names) in DOCS
    assert {*surfaces.DESKS, *surfaces.WALLS, "grass"} == {*surfaces.SURFACES}
