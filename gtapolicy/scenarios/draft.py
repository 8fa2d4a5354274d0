"""Draws a dialog and its pictures from a scenario.

    rng -> facts -> question -> pictures (and what is where in them) -> query and steps

The order of random choices must not change, because the digests of benchmarks depend on it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from difflib import SequenceMatcher
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from string import Formatter
from typing import Any

from gtapolicy.dataset.dialogs import Argument, Dialog, Step
from gtapolicy.grading.calls import convert
from gtapolicy.grading.expression import ERRORS, evaluate
from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.charts import VALUES, chart
from gtapolicy.pictures.documents import document
from gtapolicy.pictures.drawing import Drawing, check
from gtapolicy.pictures.draws import NothingToChoose
from gtapolicy.pictures.mistakes import CannotShow, Named, in_words, nearest
from gtapolicy.pictures.surfaces import SURFACES
from gtapolicy.pictures.svg import TEMPLATES, svg
from gtapolicy.policy import rules
from gtapolicy.policy.rules import Tool
from gtapolicy.scenarios.expressions import Evaluator
from gtapolicy.scenarios.scenario import Scenario, StepTemplate
from harness.errors import UserError

# How often facts are drawn until each choice has a value and they fulfil what the scenario requires.
ATTEMPTS = 500
# How often a dialog is drawn until its pictures can show all texts.
TEXT_ATTEMPTS = 20
# The types of arguments in a table of rules.
TYPES = {"text": str, "image": str, "int": int, "bool": bool}
SUFFIXES = (".typ", ".svg")
# Values of a picture that its template does not use.
OF_VIEW = ("template", "surface", "margin")


def drawn(
    scenario: Scenario, rng: Random, dialog: Dialog, tools: Named[Tool], only: int | None = None
) -> tuple[Dialog, list[CameraView]]:
    """The dialog with a query and steps, and a view for each of its images.

    With `only`, it asks the question with this number, all of whose wordings are evaluated to find mistakes.
    Raises UserError with the place of a mistake. Without `only`, the dialog is drawn again if a picture
    cannot show a text, because a long one may be rare.
    """
    for _ in range(TEXT_ATTEMPTS - 1 if only is None else 0):
        with suppress(CannotShow):
            return _drawn_once(scenario, rng, dialog, tools, only)
    return _drawn_once(scenario, rng, dialog, tools, only)


def _drawn_once(
    scenario: Scenario, rng: Random, dialog: Dialog, tools: Named[Tool], only: int | None
) -> tuple[Dialog, list[CameraView]]:
    evaluator = Evaluator(rng)
    number = _draw_facts(scenario, evaluator, rng, range(len(scenario.question)) if only is None else [only])
    question = scenario.question[number]
    views = Named({name: _view(scenario, name, evaluator, rng) for name in scenario.picture})
    with _reported(scenario, "order"):
        order = list(views if scenario.order is None else evaluator.value(scenario.order))
        if sorted(order) != sorted(views):
            raise UserError(f"expected each of {', '.join(views)} once, got {order}")
    with _reported(scenario, f"question.{number}.ask"):
        in_test = dialog.split == "test" and question.ask_in_test
        query = evaluator.text(rng.choice(in_test or question.ask))
    for field in () if only is None else ("ask", "ask_in_test"):
        with _reported(scenario, f"question.{number}.{field}"):
            for wording in getattr(question, field):
                if not evaluator.text(wording).strip():
                    raise UserError("expected a text, got an empty one")
    # Only now, because users see the images and not their paths.
    paths = Named(zip(order, dialog.images, strict=True))
    evaluator.functions.update(_image_functions(views, paths, order[0]))
    steps = tuple(_steps(scenario, evaluator, tools, dialog.images))
    return replace(dialog, query=query, steps=steps, open=scenario.open), [views[name] for name in order]


def _draw_facts(scenario: Scenario, evaluator: Evaluator, rng: Random, numbers: Sequence[int]) -> int:
    """Draws the facts into evaluator.names, and returns the number of the question, one of `numbers`."""
    problem = UserError(
        f"{scenario.where('require')}: expected conditions that some facts fulfil, but those of {ATTEMPTS} "
        "draws do not; change the conditions or the facts"
    )
    for _ in range(ATTEMPTS):
        number = rng.choice(numbers)
        tables = {"facts": scenario.facts, f"question.{number}.facts": scenario.question[number].facts}
        evaluator.fields = {name: f"{table}.{name}" for table, facts in tables.items() for name in facts}
        try:
            for table, facts in tables.items():
                for name, value in facts.items():
                    with _reported(scenario, f"{table}.{name}"):
                        evaluator.names[name] = evaluator.value(value)
            with _reported(scenario, "require"):
                if all(evaluator.value(condition) for condition in scenario.require):
                    return number
        except NothingToChoose as error:  # as in a scene without parts
            problem = error
    raise problem


@contextmanager
def _reported(scenario: Scenario, field: str) -> Iterator[None]:
    """Turns a mistake in a field into a UserError with its place."""
    try:
        yield
    except CannotShow:
        raise  # _view finds the field
    except ERRORS as error:
        raise UserError(f"{scenario.where(field)}: cannot be evaluated: {in_words(error)}") from None
    except UserError as error:
        raise type(error)(f"{scenario.where(field)}: {error}") from None


def _view(scenario: Scenario, name: str, evaluator: Evaluator, rng: Random) -> CameraView:
    spec, field = scenario.picture[name], f"picture.{name}"

    def value(key: str, default: object = None) -> Any:
        with _reported(scenario, f"{field}.{key}"):
            return evaluator.value(spec.get(key, default))

    values = {key: value(key) for key in spec if key not in OF_VIEW}
    with _reported(scenario, f"{field}.template"):
        file = _template(scenario, evaluator.text(spec.get("template", "")))
    try:
        with _reported(scenario, field):
            drawing = _drawing(file, values, rng)
            check(drawing)
    except CannotShow as error:
        origin = _origin(error, field, spec, values, evaluator)
        raise CannotShow(f"{scenario.where(origin)}: {error}") from None
    surface, margin = value("surface", "''"), value("margin", 0.06)
    if not surface:
        return frontal_view(drawing, rng)
    with _reported(scenario, f"{field}.surface"):
        SURFACES[surface]  # is known
    with _reported(scenario, f"{field}.margin"):
        return tilted_view(drawing, surface, rng, margin)


def _origin(
    error: CannotShow, picture: str, spec: Mapping[str, Any], values: Mapping[str, Any], evaluator: Evaluator
) -> str:
    """The field of what a picture cannot show: of a fact if possible, else of a value of the picture."""
    text, fields = error.text, evaluator.fields
    if isinstance(text, str) and text.strip():
        # The one that has most in common with the text.
        drawn = {fields[name]: evaluator.names[name] for name in fields}
        drawn |= {f"{picture}.{key}": expression for key, expression in spec.items()}
        match = {field: SequenceMatcher(None, str(drawn[field]), text, False) for field in drawn}
        return max(match, key=lambda field: match[field].find_longest_match().size)
    equal = (key for key, value in values.items() if type(value) is type(text) and value == text)
    if not (key := error.key or next(equal, "")):
        return picture
    facts = {fields[name] for name in re.findall(r"\w+", str(spec.get(key))) if name in fields}
    return facts.pop() if len(facts) == 1 else f"{picture}.{key}"


def check_values(scenario: Scenario) -> None:
    """Raises UserError if a picture has a value that its template does not use."""
    for name, spec in scenario.picture.items():
        # With expressions in braces, the template can be several files.
        with _reported(scenario, f"picture.{name}.template"):
            parts = Formatter().parse(str(spec.get("template", "")))
            pattern = "".join(literal + "*" * (field is not None) for literal, field, _, _ in parts)
        files = {
            file
            for folder in (scenario.folder, TEMPLATES)
            for file in folder.rglob("*")
            if file.suffix in SUFFIXES and fnmatch(str(file.relative_to(folder)), pattern)
        }
        if not files and pattern != "chart":
            continue  # `drawn` reports it
        known = set(OF_VIEW).union(VALUES if pattern == "chart" else (), *map(_words, files))
        for key in sorted(spec.keys() - known):
            where, advice = scenario.where(f"picture.{name}.{key}"), nearest(key, known) or "; remove it"
            raise UserError(f"{where}: expected a value that the template {pattern} uses, got {key}{advice}")


def _words(template: Path) -> set[str]:
    """The words in a template and in the files that it names, among which are the values that it uses."""
    text = template.read_text(encoding="utf-8")
    named = (template.with_name(name) for name in re.findall(r"[\w.-]+\.(?:svg|typ)", text))
    texts = (file.read_text(encoding="utf-8") for file in named if file.is_file())
    return set(re.findall(r"[\w-]+", " ".join([text, *texts])))


def _template(scenario: Scenario, name: str) -> Path:
    """The file of a template; its name alone if it is "chart"."""
    for file in (scenario.folder / name, TEMPLATES / name):
        if file.is_file() and file.suffix in SUFFIXES:
            return file
    if name == "chart":
        return Path(name)
    expected = f"chart, or a .typ or .svg file beside the scenario or in {TEMPLATES}"
    raise UserError(f"expected {expected}, got {name!r}")


def _drawing(template: Path, values: Mapping[str, Any], rng: Random) -> Drawing:
    if template.suffix == ".svg":
        return svg(template, values, rng)
    return document(template, values) if template.suffix == ".typ" else chart(values)


def _image_functions(views: Named[CameraView], paths: Named[str], first: str) -> dict[str, Any]:
    """Functions of texts that say what is where in the pictures. Without a name, they mean the first one."""
    return {
        "image": lambda name=first: paths[name],
        "lines": lambda name=first: "\n".join(f"{line.box} {line.text}" for line in views[name].lines),
        "box": lambda of, number=0, name=first: views[name].boxes(of)[number],
        "boxes": lambda of, name=first: "\n".join(map(str, views[name].boxes(of))),
    }


def _steps(
    scenario: Scenario, evaluator: Evaluator, tools: Named[Tool], images: Sequence[str]
) -> Iterator[Step]:
    known_images = set(images)
    for number, template in enumerate(scenario.step):
        with _reported(scenario, f"step.{number}.tool"):
            known = Named({argument.name: argument for argument in tools[template.tool].arguments})
        with _reported(scenario, f"step.{number}.arguments"):
            evaluator.names["arguments"] = arguments = _arguments(template, evaluator, known)
            for name, value in arguments.items():
                if known[name].type == "image" and value not in known_images:
                    raise UserError(
                        f"expected {name} to be image() or what an earlier call returned, got {value!r}"
                    )
                if name == "expression":
                    evaluate(str(value))
        with _reported(scenario, f"step.{number}.origins"):
            for name in template.origins:
                known[name]  # is known
        with _reported(scenario, f"step.{number}.returns"):
            if not (returned := evaluator.text(template.returns)).strip():
                raise UserError("expected a text, got an empty one")
        known_images.update(returned.split())
        origins = {name: template.origins.get(name, "the query") for name in arguments}
        yield Step(template.tool, arguments, returned, origins, template.tip)


def _arguments(
    template: StepTemplate, evaluator: Evaluator, known: Named[rules.Argument]
) -> dict[str, Argument]:
    """The arguments of a call in the types that its tool expects. One whose text is empty is omitted."""
    arguments = {}
    for name, text in template.arguments.items():
        kind, value = known[name].type, evaluator.text(text) if isinstance(text, str) else text
        if value != "":
            arguments[name] = convert(value, kind)
    for name, argument in known.items():
        right = type(arguments.get(name)) is TYPES[argument.type]
        if not right and (argument.required or name in arguments):
            given = repr(arguments[name]) if name in arguments else "none"
            raise UserError(f"expected {name} of type {argument.type}, got {given}")
    return arguments
