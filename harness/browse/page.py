"""The page of `harness browse`: one file that loads nothing, as it is served and as it is written with --out.

All data is escaped, and the page's content security policy allows only the page's own script.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader

from harness.browse.selection import NOT_RIGHT, Filter, Source
from harness.drawing.instance import Drawings, Shown
from harness.drawing.svg import Drawing
from harness.metrics.metric import natural
from harness.records import Instance, Part
from harness.report.gallery import OUTCOMES, outcome
from harness.report.page import environment, packaged, script_hash
from harness.results import Result, Results
from harness.variants import INTERNALIZED, OVERRIDE

# Width in pixels of the widest embedded image.
WIDTH = 640
# The most choices of a filter. Without trees, they are those of the first instances.
MOST_CHOICES = 500
FIRST_INSTANCES = 1000


@dataclass(frozen=True, slots=True)
class ResponseView:
    """A response with the path that it claims."""

    run: str
    result: Result
    outcome: str
    tree: Drawing | None


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows of an instance."""

    instance: Instance
    position: int
    leaf: str
    groups: Mapping[str, str]
    question: Sequence[tuple[Part, Shown]]
    tree: Drawing | None
    gold: str
    # The same under the replacement policy; None if the instance has none.
    other_tree: Drawing | None
    responses: Sequence[ResponseView]

    @property
    def outcomes(self) -> list[str]:
        return sorted({response.outcome for response in self.responses})


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy, as a tree and as a model reads it."""

    id: str
    tree: Drawing | None
    content: Sequence[tuple[Part, Shown]]


@dataclass(frozen=True, slots=True)
class Navigation:
    """Where a served page is within the split; addresses are empty if there is no such page."""

    split: str
    wanted: Filter
    start: int
    end: int
    total: int
    before: str
    after: str


def render(
    source: Source,
    shown: Sequence[tuple[int, Instance]],
    navigation: Navigation | None = None,
) -> str:
    """The page with these instances. Without navigation, its script filters them."""
    results = Results(source.benchmark)
    drawings = Drawings(results, WIDTH)
    views = [_view(source, drawings, position, instance) for position, instance in shown]
    policies = [_policy_view(drawings, policy) for policy in _policies_of(shown)]
    script = packaged("drawing.js", "harness.drawing") + packaged("browse.js", "harness.browse")
    style = packaged("report.css") + packaged("drawing.css", "harness.drawing")
    splits = list(dict.fromkeys(view.instance.split for view in views))
    if navigation is None:
        leaves = sorted({view.leaf for view in views} - {""}, key=natural)
        names = sorted({view.instance.policy_id or "" for view in views} - {""})
    else:
        leaves = leaf_choices(source, navigation.split, navigation.wanted.policy)
        names = policy_choices(source)
    return (
        _environment()
        .get_template("browse.html")
        .render(
            manifest=source.benchmark.manifest,
            name=source.benchmark.folder.resolve().name,
            runs=source.runs,
            views=views,
            policies=policies,
            navigation=navigation,
            # Drawn last, because these are the images of everything above.
            symbols=drawings.symbols(),
            warnings=list(results.failure_messages()),
            splits=splits if navigation is None else list(source.splits),
            policy_names=names[:MOST_CHOICES],
            leaves=leaves[:MOST_CHOICES],
            outcomes=[NOT_RIGHT, *OUTCOMES] if source.runs else [],
            style=style + packaged("browse.css", "harness.browse"),
            script=script,
            script_hash=script_hash(script),
        )
    )


def _view(source: Source, drawings: Drawings, position: int, instance: Instance) -> View:
    family = source.benchmark.family_of(instance)
    attempt, kind = drawings.results.attempt, type(family).__name__
    return View(
        instance=instance,
        position=position,
        leaf=source.leaf(instance),
        groups=attempt(f"`groups` of {kind}", None, lambda: family.groups(instance, INTERNALIZED)) or {},
        question=drawings.question(instance, INTERNALIZED),
        tree=drawings.tree(instance, INTERNALIZED),
        gold=attempt(f"`gold` of {kind}", None, lambda: family.gold(instance, INTERNALIZED)) or "",
        other_tree=drawings.tree(instance, OVERRIDE) if instance.override else None,
        responses=[
            ResponseView(run.name, result, outcome(result), drawings.tree(instance, result.variant, result))
            for run, result in source.results(instance)
        ],
    )


def _policies_of(shown: Sequence[tuple[int, Instance]]) -> list[str]:
    return list(dict.fromkeys(i.policy_id for _, i in shown if i.policy_id is not None))


def _policy_view(drawings: Drawings, policy: str) -> PolicyView:
    content = drawings.benchmark.policies[policy].content
    return PolicyView(policy, drawings.whole_tree(policy), [(part, drawings.part(part)) for part in content])


def policy_choices(source: Source) -> list[str]:
    return [policy.id for policy in source.benchmark.policies.values() if policy.replaces is None]


def leaf_choices(source: Source, split: str, policy: str) -> list[str]:
    """The leaves of a policy, or of the first policies; without trees, those of the first instances."""
    names: set[str] = set()
    for name in [policy] if policy else policy_choices(source)[:MOST_CHOICES]:
        try:
            tree = source.benchmark.family.tree(name)
        # A family is third-party code. Without its tree, there are fewer choices.
        except Exception:
            tree = None
        names |= {leaf.name for leaf in tree.leaves()} if tree else set()
    if not names:
        names = {source.leaf(instance) for instance in islice(source.splits[split], FIRST_INSTANCES)}
    return sorted(names, key=natural)


def address(split: str, wanted: Filter, **position: int) -> str:
    """The address of a served page."""
    fields = {"split": split, **asdict(wanted), **position}
    return "/?" + urlencode({name: value for name, value in fields.items() if value != ""}, errors="replace")


@cache
def _environment() -> Environment:
    jinja = environment()
    jinja.loader = PackageLoader("harness.browse")
    return jinja
