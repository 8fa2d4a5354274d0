"""The page of `harness browse`: one file that loads nothing, as it is served and as it is written with --out.

All data is escaped, and the page's content security policy allows only the page's own script.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain, islice, repeat
from typing import BinaryIO
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader

from harness.browse.selection import Filter, ShownRun, Source, outcome_choices
from harness.drawing.instance import Drawings, Shown
from harness.drawing.svg import Drawing
from harness.metrics.metric import natural
from harness.records import Instance, Part
from harness.report.gallery import outcome
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
    # What the text filter searches.
    text: str


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy, as a tree and as a model reads it."""

    id: str
    tree: Drawing | None
    content: Sequence[tuple[Part, Shown]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page with what is missing from it."""

    html: str
    warnings: Sequence[str]


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
) -> Page:
    """The page with these instances. Without navigation, its script filters them."""
    results = Results(source.benchmark)
    drawings = Drawings(results, WIDTH)
    wanted = navigation.wanted if navigation else Filter()
    views = [_view(source, drawings, position, instance, wanted.variant) for position, instance in shown]
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
    warnings = [*_missing_images(drawings, shown), *results.failure_messages()]
    html = (
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
            warnings=warnings,
            splits=splits if navigation is None else list(source.splits),
            policy_names=names[:MOST_CHOICES],
            leaves=leaves[:MOST_CHOICES],
            variants=list(dict.fromkeys(v for run in source.runs for v in run.run.variants)),
            outcomes=[
                (run.name, _outcomes(run, None if navigation else shown), chosen)
                for run, chosen in zip(source.runs, chain(wanted.outcome, repeat("")), strict=False)
            ],
            has_trees=any(view.tree for view in views),
            style=style + packaged("browse.css", "harness.browse"),
            script=script,
            script_hash=script_hash(script),
        )
    )
    return Page(html, warnings)


def is_page(file: BinaryIO) -> bool:
    """Whether this is a page that `render` made, in this or an earlier version."""
    return b'<body class="browse">' in file.read()


def _outcomes(run: ShownRun, shown: Sequence[tuple[int, Instance]] | None) -> list[str]:
    """The outcomes by which some instance can be found."""
    found = run.results.values() if shown is None else [run.results.get(i.id, ()) for _, i in shown]
    return outcome_choices(chain.from_iterable(found))


def _missing_images(drawings: Drawings, shown: Sequence[tuple[int, Instance]]) -> Iterator[str]:
    """How many instances lack an image of their question or policy, and why the first image is missing."""
    policies = drawings.benchmark.policies
    count = 0
    for _, instance in shown:
        policy = policies[instance.policy_id].content if instance.policy_id is not None else ()
        count += any(part.value in drawings.missing for part in (*instance.query, *policy))
    if count:
        yield f"{count} of {len(shown)} instances lack an image: {next(iter(drawings.missing.values()))}"


def _view(source: Source, drawings: Drawings, position: int, instance: Instance, variant: str) -> View:
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
            for run, result in source.results(instance, variant)
        ],
        text=source.text(instance),
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
    return "/?" + urlencode(
        {name: value for name, value in fields.items() if value != ""}, doseq=True, errors="replace"
    )


@cache
def _environment() -> Environment:
    jinja = environment()
    jinja.loader = PackageLoader("harness.browse")
    return jinja
