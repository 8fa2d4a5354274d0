"""Drafts, from which a dialog and its pictures are derived.

    rng -> facts -> question -> pictures (and what is where in them) -> query and steps

A dialog and each of its pictures come from separate drafts with the same random generator. The order of
random choices must not change, because the digests of benchmarks depend on it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from gtapolicy.dataset.dialogs import Step
from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.charts import chart
from gtapolicy.pictures.documents import document
from gtapolicy.pictures.svg import svg
from gtapolicy.scenarios.expressions import ERRORS, Evaluator, NothingToChoose
from gtapolicy.scenarios.scenario import Scenario, StepTemplate
from harness.errors import UserError

TEMPLATES = Path(__file__).parents[1] / "pictures" / "templates"
# How often facts are drawn until each choice has a value and they fulfil what the scenario requires.
ATTEMPTS = 500
NOT_FOR_TEMPLATE = ("template", "surface", "margin")


@dataclass(frozen=True, slots=True)
class Draft:
    """A dialog without its id and family, and a view for each of its images."""

    query: str
    steps: tuple[Step, ...]
    views: tuple[CameraView, ...] = ()
    open: bool = False


def draft(scenario: Scenario, rng: Random, paths: Sequence[str], in_test: bool) -> Draft:
    """The draft of a dialog whose images have these paths. Raises UserError with the place of a mistake."""
    evaluator = Evaluator(rng)
    number = _draw_facts(scenario, evaluator, rng)
    question = scenario.question[number]
    views = {}
    for name in scenario.picture:
        with _reported(scenario, f"picture.{name}"):
            views[name] = _view(scenario, name, evaluator, rng)
    with _reported(scenario, "order"):
        order = list(views if scenario.order is None else evaluator.value(scenario.order))
    evaluator.functions.update(_image_functions(views, dict(zip(order, paths, strict=True)), order[0]))
    with _reported(scenario, f"question.{number}.ask"):
        query = evaluator.text(rng.choice((in_test and question.ask_in_test) or question.ask))
    steps = []
    for index, template in enumerate(scenario.step):
        with _reported(scenario, f"step.{index}"):
            steps.append(_step(template, evaluator))
    return Draft(query, tuple(steps), tuple(views[name] for name in order), scenario.open)


def _draw_facts(scenario: Scenario, evaluator: Evaluator, rng: Random) -> int:
    """Draws the facts into evaluator.names, and returns the number of the question."""
    for _ in range(ATTEMPTS):
        number = rng.randrange(len(scenario.question))
        own = {f"question.{number}.facts.{n}": (n, v) for n, v in scenario.question[number].facts.items()}
        facts = {f"facts.{n}": (n, v) for n, v in scenario.facts.items()} | own
        if not all(_draw(scenario, evaluator, field, *fact) for field, fact in facts.items()):
            continue
        with _reported(scenario, "require"):
            if all(evaluator.value(condition) for condition in scenario.require):
                return number
    raise UserError(
        f"{scenario.place('require')}: require: expected facts that fulfil it, and a value for each choice, "
        f"but {ATTEMPTS} draws did not"
    )


def _draw(scenario: Scenario, evaluator: Evaluator, field: str, name: str, value: object) -> bool:
    """Draws one fact. Returns False if there is nothing to choose from, as in a scene without parts."""
    with _reported(scenario, field):
        try:
            evaluator.names[name] = evaluator.value(value)
        except NothingToChoose:
            return False
    return True


@contextmanager
def _reported(scenario: Scenario, field: str) -> Iterator[None]:
    """Turns a mistake in a field into a UserError with its place."""
    try:
        yield
    except ERRORS as error:
        message = f"{type(error).__name__}: {error}"
        raise UserError(f"{scenario.place(field)}: {field}: cannot be evaluated, {message}") from None
    except UserError as error:
        raise UserError(f"{scenario.place(field)}: {field}: {error}") from None


def _view(scenario: Scenario, name: str, evaluator: Evaluator, rng: Random) -> CameraView:
    spec = scenario.picture[name]
    values = {key: evaluator.value(v) for key, v in spec.items() if key not in NOT_FOR_TEMPLATE}
    template = evaluator.text(spec["template"])
    if template == "chart":
        drawing = chart(values)
    else:
        files = [folder / template for folder in (Path(scenario.place("")).parent, TEMPLATES)]
        file = next((file for file in files if file.exists()), None)
        if file is None:
            raise UserError(
                f"template: expected a file beside the scenario or in {TEMPLATES}, got {template!r}"
            )
        drawing = document(file, values) if file.suffix == ".typ" else svg(file, values, rng)
    surface = str(evaluator.value(spec.get("surface", "''")))
    margin = float(evaluator.value(spec.get("margin", 0.06)))
    return tilted_view(drawing, surface, rng, margin) if surface else frontal_view(drawing, rng)


def _image_functions(views: dict[str, CameraView], paths: dict[str, str], first: str) -> dict[str, Any]:
    """Functions of texts that say what is where in the pictures. Without a name, they mean the first one."""

    def lines(name: str = first) -> str:
        return "\n".join(f"{line.box} {line.text}" for line in views[name].lines)

    def box(of: str, number: int = 0, name: str = first) -> Any:
        return views[name].boxes(of)[number]

    def boxes(of: str, name: str = first) -> str:
        return "\n".join(map(str, views[name].boxes(of)))

    return {"image": lambda name=first: paths[name], "lines": lines, "box": box, "boxes": boxes}


def _step(template: StepTemplate, evaluator: Evaluator) -> Step:
    arguments = {
        name: evaluator.text(value) if isinstance(value, str) else value
        for name, value in template.arguments.items()
    }
    arguments = {name: value for name, value in arguments.items() if value != ""}
    evaluator.names["arguments"] = arguments
    returned = evaluator.text(template.returns)
    origins = {name: template.origins.get(name, "the query") for name in arguments}
    return Step(template.tool, arguments, returned, template.tool == "MathOCR", origins, template.tip)
