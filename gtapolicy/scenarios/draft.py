"""Draws a dialog and its pictures from a scenario.

    rng -> facts -> question -> pictures (and what is where in them) -> query and steps

The order of random choices must not change, because the digests of benchmarks depend on it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.grading.expression import ERRORS
from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.charts import chart
from gtapolicy.pictures.documents import document
from gtapolicy.pictures.surfaces import SURFACES
from gtapolicy.pictures.svg import TEMPLATES, svg
from gtapolicy.scenarios.expressions import Evaluator, NothingToChoose
from gtapolicy.scenarios.scenario import Scenario, StepTemplate
from harness.errors import UserError

# How often facts are drawn until each choice has a value and they fulfil what the scenario requires.
ATTEMPTS = 500
NOT_FOR_TEMPLATE = ("template", "surface", "margin")


def drawn(
    scenario: Scenario, rng: Random, dialog: Dialog, only: int | None = None
) -> tuple[Dialog, list[CameraView]]:
    """The dialog with a query and steps, and a view for each of its images.

    With `only`, it asks the question with this number, all of whose wordings are evaluated to find mistakes.
    Raises UserError with the place of a mistake.
    """
    evaluator = Evaluator(rng)
    number = _draw_facts(scenario, evaluator, rng, range(len(scenario.question)) if only is None else [only])
    question = scenario.question[number]
    views = {}
    for name in scenario.picture:
        with _reported(scenario, f"picture.{name}"):
            views[name] = _view(scenario, name, evaluator, rng)
    with _reported(scenario, "order"):
        order = list(views if scenario.order is None else evaluator.value(scenario.order))
        in_order = [views[name] for name in order]
        paths = dict(zip(order, dialog.images, strict=True))
    evaluator.functions.update(_image_functions(views, paths, order[0]))
    with _reported(scenario, f"question.{number}.ask"):
        in_test = dialog.split == "test" and question.ask_in_test
        query = evaluator.text(rng.choice(in_test or question.ask))
    for field in () if only is None else ("ask", "ask_in_test"):
        with _reported(scenario, f"question.{number}.{field}"):
            for wording in getattr(question, field):
                evaluator.text(wording)
    steps = []
    for index, template in enumerate(scenario.step):
        with _reported(scenario, f"step.{index}"):
            steps.append(_step(template, evaluator))
    return replace(dialog, query=query, steps=tuple(steps), open=scenario.open), in_order


def _draw_facts(scenario: Scenario, evaluator: Evaluator, rng: Random, numbers: Sequence[int]) -> int:
    """Draws the facts into evaluator.names, and returns the number of the question, one of `numbers`."""
    for _ in range(ATTEMPTS):
        number = rng.choice(numbers)
        tables = {"facts": scenario.facts, f"question.{number}.facts": scenario.question[number].facts}
        with suppress(NothingToChoose):  # as in a scene without parts
            for table, facts in tables.items():
                for name, value in facts.items():
                    with _reported(scenario, f"{table}.{name}"):
                        evaluator.names[name] = evaluator.value(value)
            with _reported(scenario, "require"):
                if all(evaluator.value(condition) for condition in scenario.require):
                    return number
    raise UserError(
        f"{scenario.place('require')}: require: expected facts that fulfil it, and a value for each choice, "
        f"but {ATTEMPTS} draws did not"
    )


@contextmanager
def _reported(scenario: Scenario, field: str) -> Iterator[None]:
    """Turns a mistake in a field into a UserError with its place."""
    try:
        yield
    except ERRORS as error:
        message = f"{type(error).__name__}: {error}"
        raise UserError(f"{scenario.place(field)}: {field}: cannot be evaluated, {message}") from None
    except UserError as error:
        raise type(error)(f"{scenario.place(field)}: {field}: {error}") from None


def _view(scenario: Scenario, name: str, evaluator: Evaluator, rng: Random) -> CameraView:
    spec = scenario.picture[name]
    values = {key: evaluator.value(v) for key, v in spec.items() if key not in NOT_FOR_TEMPLATE}
    template = evaluator.text(spec.get("template", ""))
    if template == "chart":
        drawing = chart(values)
    else:
        files = [folder / template for folder in (Path(scenario.place("")).parent, TEMPLATES)]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise UserError(
                f"template: expected a file beside the scenario or in {TEMPLATES}, got {template!r}"
            )
        drawing = document(file, values) if file.suffix == ".typ" else svg(file, values, rng)
    surface = str(evaluator.value(spec.get("surface", "''")))
    if surface and surface not in SURFACES:
        raise UserError(f"surface: expected one of {', '.join(SURFACES)}; got {surface}")
    margin = float(evaluator.value(spec.get("margin", 0.06)))
    return tilted_view(drawing, surface, rng, margin) if surface else frontal_view(drawing, rng)


def _image_functions(views: dict[str, CameraView], paths: dict[str, str], first: str) -> dict[str, Any]:
    """Functions of texts that say what is where in the pictures. Without a name, they mean the first one."""
    return {
        "image": lambda name=first: paths[name],
        "lines": lambda name=first: "\n".join(f"{line.box} {line.text}" for line in views[name].lines),
        "box": lambda of, number=0, name=first: views[name].boxes(of)[number],
        "boxes": lambda of, name=first: "\n".join(map(str, views[name].boxes(of))),
    }


def _step(template: StepTemplate, evaluator: Evaluator) -> Step:
    given = template.arguments.items()
    values = {name: evaluator.text(value) if isinstance(value, str) else value for name, value in given}
    arguments = {name: value for name, value in values.items() if value != ""}
    evaluator.names["arguments"] = arguments
    returned = evaluator.text(template.returns)
    origins = {name: template.origins.get(name, "the query") for name in arguments}
    return Step(template.tool, arguments, returned, origins, template.tip)
