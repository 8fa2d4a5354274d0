"""The generated dialogs have GTA's shape, are reproducible, and agree with their own pictures."""

import ast
import hashlib
import json
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np
import pytest

from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.dataset.generate import DialogGenerator
from gtapolicy.pictures.svg import FACES, font, photograph
from gtapolicy.policy import rules
from gtapolicy.scenarios import Scenarios
from harness.errors import UserError
from harness.files import store
from harness.generation.jobs import JobResult

SEEDS = (0, 1)
SCENARIOS = Scenarios()
# GTA's families of queries (its Table 3): the tools that answer a query, in order.
FAMILIES = {
    "ocr_calc": "OCR Calculator",
    "menu_count": "ImageDescription ImageDescription OCR CountGivenObject Calculator",
    "table_chart": "ImageDescription ImageDescription OCR Plot",
    "percentage": "TextToBbox" + 3 * " RegionAttributeDescription" + " Calculator",
    "describe_count": "ImageDescription CountGivenObject Calculator",
    "maths_solve": "MathOCR Solver",
    "maths_plot": "MathOCR Plot",
    "count_calc": "CountGivenObject Calculator",
    "region": "TextToBbox RegionAttributeDescription",
    "explain": "ImageDescription OCR",
    "circle": "OCR DrawBox",
    "see_search": "ImageDescription GoogleSearch",
    "read_search": "OCR GoogleSearch",
    "imagine": "ImageDescription TextToImage",
    "style_title": "ImageDescription ImageStylization AddText",
    "style_place": "ImageDescription ImageStylization TextToBbox AddText",
    "search_calc": "ImageDescription GoogleSearch Calculator",
    "count_imagine": "ImageDescription CountGivenObject TextToImage",
    "count_search": "CountGivenObject GoogleSearch",
}
SETS = {seed: [SCENARIOS.dialog(seed, number) for number in range(229)] for seed in SEEDS}
ALL = [item for items in SETS.values() for item in items]
BOX = re.compile(r"\((\d+), (\d+), (\d+), (\d+)\)")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def steps(tool: str) -> Iterator[tuple[Dialog, int, Step]]:
    for item in ALL:
        for at, step in enumerate(item.steps):
            if step.tool == tool:
                yield item, at, step


def dialogs_digest(seed: int) -> str:
    data = json.dumps([asdict(item) for item in SETS[seed]], sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()


def digest(seed: int) -> str:
    """The digest of the dialogs and of one picture."""
    first = next(iter(SCENARIOS.views(seed, 7).values()))
    return dialogs_digest(seed) + hashlib.sha256(first.image().tobytes()).hexdigest()


def test_the_dialogs_of_a_seed_never_change() -> None:
    """Changing a random choice, word list or phrasing changes dialogs, and thus benchmark digests."""
    assert dialogs_digest(0) == "ed2fc91b46ed24da2c295d9be666c6b7ed77653e6ba48e82d7a0577cefbf0723"


def test_the_instances_of_the_default_benchmark_never_change(tmp_path: Path) -> None:
    generator = DialogGenerator(GenerateConfig())
    results = [JobResult("", {}, msgspec.Raw(msgspec.json.encode(item))) for item in SETS[0]]
    generator.write(tmp_path, generator.block(0), results)
    digests = {path.name: store.sha256(path)[:8] for path in tmp_path.iterdir()}
    assert digests == {
        "policies.jsonl": "5746b24a",
        "instances.train.jsonl": "ce694628",
        "instances.test.jsonl": "e8dc3226",
        "instances.recall.jsonl": "2a4162b0",
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_set_has_the_shape_of_gta(seed: int) -> None:
    items = SETS[seed]
    calls, images = sum(len(d.steps) for d in items), sum(len(d.images) for d in items)
    assert (len(items), calls, images) == (229, 557, 252)
    assert Counter(d.family for d in items) == SCENARIOS.families
    for item in items:
        assert [step.tool for step in item.steps] == FAMILIES[item.family].split()
        assert len(item.images) == (2 if item.family in ("menu_count", "table_chart") else 1)
    lengths = Counter(len(d.steps) for d in items)
    assert lengths == {2: 172, 3: 31, 4: 10, 5: 16}
    assert {step.tool for d in items for step in d.steps} == {tool.name for tool in rules.load().tools}
    assert sum(d.open for d in items) == 16  # GTA's subjective queries


def test_image_names_are_unique_and_sparse() -> None:
    for items in SETS.values():
        paths = [path for item in items for path in item.images]
        assert len(set(paths)) == len(paths)
        assert all(re.fullmatch(r"image/image_\d+\.jpg", path) for path in paths)
        assert max(int(NUMBER.findall(path)[0]) for path in paths) > len(paths) + 100


def test_every_round_has_the_families_of_gta_and_other_images() -> None:
    outlines = [SCENARIOS.outline(0, number) for number in range(2000 * 229, 2001 * 229)]
    assert Counter(outline.family for outline in outlines) == SCENARIOS.families
    assert sum(outline.scenario.calls for outline in outlines) == 557
    assert 100 < sum(outline.scenario.calls for outline in outlines if outline.split == "test") < 112
    far = SCENARIOS.dialog(0, 2000 * 229)
    assert far.split == outlines[0].split and len(far.steps) == outlines[0].scenario.calls
    assert not {path for item in SETS[0] for path in item.images} & set(far.images)


def test_another_process_generates_the_same() -> None:
    code = "from test_scenarios import digest; print(digest(0))"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest(0)


def test_no_two_seeds_share_a_dialog() -> None:
    keys = [{(d.query, *(step.returned for step in d.steps)) for d in items} for items in SETS.values()]
    assert not keys[0] & keys[1]
    for items, known in zip(SETS.values(), keys, strict=True):
        assert len(known) == len(items)


def test_every_call_fits_the_table() -> None:
    table = rules.load()
    for item in ALL:
        for step in item.steps:
            known = {argument.name: argument for argument in table.tool(step.tool).arguments}
            assert set(step.arguments) <= set(known), step
            assert {name for name, a in known.items() if a.required} <= set(step.arguments), step
            assert set(step.origins) == set(step.arguments), step
            for name, given in step.arguments.items():
                assert given != known[name].default, step
            assert step.returned and all(step.origins.values())
            assert not re.search(r"\b[Aa] [aeio]", f"{item.query} {step.returned}")


def test_searches_ask_for_as_many_results_as_the_question_needs() -> None:
    seen = set()
    for item, _, step in steps("GoogleSearch"):
        assert step.arguments["k"] == (4 if item.open else 1)
        assert len(step.returned.splitlines()) == step.arguments["k"]
        seen.add(item.open)
    assert seen == {True, False}


def test_expressions_are_valid_and_use_known_numbers() -> None:
    for item, at, step in steps("Calculator"):
        expression = str(step.arguments["expression"])
        assert not {type(node).__name__ for node in ast.walk(ast.parse(expression))} & {"Attribute", "Name"}
        # Checked with Python's eval, because the project's evaluator computed the result.
        expected = eval(expression, {"__builtins__": {}, "round": round})
        assert math.isfinite(expected), item
        assert float(step.returned) == pytest.approx(expected, abs=1e-6)
        known = " ".join([item.query, *(earlier.returned for earlier in item.steps[:at])])
        numbers = {float(number) for number in NUMBER.findall(known)}
        # Constants: minutes per hour, percent, there and back, one more person.
        numbers |= {60, 100, 2, 1}
        # The count of numbers in a mean, and the number of regions with the same color.
        numbers |= {expression.count("+") + 1}
        described = [earlier.returned for earlier in item.steps[:at] if earlier.tool.startswith("Region")]
        numbers |= {len(described), *Counter(described).values()}
        assert {float(number) for number in NUMBER.findall(expression)} <= numbers, (item, step)


def test_calls_use_images_that_exist_or_were_returned() -> None:
    for item in ALL:
        known = set(item.images)
        for step in item.steps:
            assert str(step.arguments.get("image", item.images[0])) in known
            known.add(step.returned)


def test_later_calls_use_boxes_that_were_returned_before() -> None:
    for tool in ("DrawBox", "RegionAttributeDescription"):
        for item, at, step in steps(tool):
            assert str(step.arguments["bbox"]) in "\n".join(s.returned for s in item.steps[:at]), item


def boxed(number: int) -> list[tuple[str, tuple[int, ...]]]:
    """The path and box of each box that is returned in a dialog of seed 0."""
    found = []
    for step in SETS[0][number].steps:
        if step.tool in ("OCR", "TextToBbox"):
            path = str(step.arguments["image"]).replace("generated_", "image_")
            found += [(path, tuple(map(int, box))) for box in BOX.findall(step.returned)]
    return found


@pytest.mark.parametrize("family", sorted({d.family for d in ALL} - {"imagine", "see_search"}))
def test_boxes_are_not_empty(family: str) -> None:
    """The pixels in a box have more contrast than those of an empty surface."""
    numbers = [i for i, d in enumerate(SETS[0]) if d.family == family][:3]
    for number in numbers:
        pictures = {
            path: np.asarray(view.image().convert("L"), float)
            for path, view in SCENARIOS.views(0, number).items()
        }
        for path, (x1, y1, x2, y2) in boxed(number):
            height, width = pictures[path].shape
            assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
            dark, bright = np.percentile(pictures[path][y1:y2, x1:x2], (2, 98))
            assert bright - dark > 25, (SETS[0][number].query, (x1, y1, x2, y2))


def test_text_is_large_enough_to_read_and_inside() -> None:
    """Small letters are at least 8 pixels tall before the tilt, which changes sizes by a few percent."""
    for number in range(229):
        for view in SCENARIOS.views(0, number).values():
            assert 320 <= view.size[0] <= 640
            for line in view.drawing.lines:
                assert line.box.y2 - line.box.y1 >= 8, line
                assert min(line.box.x1, line.box.y1) >= 0, line
                assert line.box.x2 <= view.drawing.width and line.box.y2 <= view.drawing.height, line


def test_calculations_use_the_count() -> None:
    for item, at, step in steps("CountGivenObject"):
        assert int(step.returned) >= 1
        if item.family == "count_calc":
            assert step.returned in NUMBER.findall(str(item.steps[at + 1].arguments["expression"]))


def test_solver_commands_give_what_the_solver_returned() -> None:
    """The commands are safe to run, because the scenarios wrote them."""
    sympy = pytest.importorskip("sympy")
    for item, _, step in steps("Solver"):
        printed: list[str] = []
        names = {name: getattr(sympy, name) for name in ("symbols", "solve", "Eq", "diff", "integrate")}
        lines = str(step.arguments["command"]).splitlines()
        assert lines[0] == "from sympy import *"
        exec("\n".join(lines[1:]), {**names, "print": lambda value, to=printed: to.append(str(value))})
        wanted = step.returned if step.returned.startswith(("[", "{")) else str(sympy.sympify(step.returned))
        assert printed == [wanted], item


def test_missing_photographs_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    photograph.cache_clear()
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(UserError, match="expected the package scikit-image"):
        photograph("coffee")


def test_no_wording_is_in_both_splits_and_every_family_has_twelve() -> None:
    wordings: dict[str, set[str]] = {name: set() for name in FAMILIES}
    for name, scenarios in SCENARIOS._turns.items():
        for scenario in scenarios:
            for question in scenario.question:
                assert question.ask_in_test, scenario.where("question.0")
                assert not set(question.ask) & set(question.ask_in_test)
                wordings[name] |= {*question.ask, *question.ask_in_test}
    assert {name: len(texts) for name, texts in wordings.items() if len(texts) < 12} == {}


def test_fonts_have_all_special_characters() -> None:
    """A character that a font lacks would be drawn as a box."""
    missing = font("sans", 40).getmask("\U0010ffff").getbbox()
    for sign in "€£°%":
        for face in FACES:
            assert font(face, 40).getmask(sign).getbbox() != missing
