"""The HTML report of an invented family: its figures and warnings, its safety, and its filters."""

import base64
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scoring import results_of

from harness import variants
from harness.backends import CHANGED
from harness.files import store
from harness.files.benchmark import POLICIES, Benchmark, BenchmarkSpec, instances_file, seal
from harness.metrics.errors import FIRST_ERRORS
from harness.records import (
    BatchCheck,
    CitedRule,
    Grade,
    Instance,
    Override,
    Part,
    Policy,
    Report,
    Response,
    Run,
)
from harness.report.figures import make_report
from harness.report.gallery import SHOWN, WIDTH, choose, outcome
from harness.report.page import render_page, warnings
from harness.results import Results
from harness.tree import Mark, Node, Step
from harness.tree import Path as Path_
from harness.variants import VARIANTS, Variant

COLORS = {"red": (200, 40, 40), "green": (40, 160, 60), "blue": (40, 70, 210), "gray": (120, 120, 120)}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@dataclass
class Colors:
    """A family whose policy maps the color of a square to an answer."""

    hostile: str = ""

    scorer = "colors/1"
    recall = cloze = None

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        if "⇒" not in text:
            return Grade(0.0, "unparsed", {"form" + self.hostile: 0.0})
        return Grade(float(text.rpartition("⇒ ")[2] == target), parts={"form" + self.hostile: 1.0})

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return [f"Case {k}{self.hostile}" for k in range(len(COLORS))]

    def respond(self, answer: str) -> str:
        return f"⇒ {answer}"

    def gold(self, instance: Instance, variant: Variant) -> str:
        return (
            f"The square is {instance.facts['color']}{self.hostile}. ⇒ {variants.target(instance, variant)}"
        )

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {
            f"hue{self.hostile}": f"{instance.facts['color']}{self.hostile}",
            "depth": instance.facts["depth"],
        }

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        """A response that sees a color cites its condition; any other response cites a nonexistent one."""
        if "I see" in text:
            return [CitedRule(self._rule(instance), True, {"color": True, "leads to": "17" not in text})]
        return [CitedRule(f"Condition 9{self.hostile}", False)]

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return [self._rule(instance)]

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        return f"misread{self.hostile}" if "I see" in text else f"rambling{self.hostile}"

    def tree(self, policy: str) -> Node:
        """A decision for the color, with a picture and a branch to each case."""
        cases = tuple(
            (f"{color}{self.hostile}", Node(f"{color}{self.hostile}", f"Case {k}{self.hostile}"))
            for k, color in enumerate(COLORS)
        )
        tail = re.sub(r"[/\\]", "", self.hostile)
        return Node(
            f"root{self.hostile}",
            f"Color{self.hostile}",
            f"which?{self.hostile}",
            f"images/crop{tail}.png",
            cases,
        )

    def gold_path(self, instance: Instance, variant: Variant) -> Path_:
        steps = (
            Step(f"root{self.hostile}", f"seen{self.hostile}"),
            Step(f"{instance.facts['color']}{self.hostile}"),
        )
        return Path_(steps, (Mark(0, (180, 60, 300, 180), (f"root{self.hostile}",)),))

    def claimed_path(self, instance: Instance, variant: Variant, text: str) -> Path_:
        invented = f"Case 17{self.hostile}"
        steps = Step(f"root{self.hostile}", f"says{self.hostile}"), Step(invented)
        return Path_(steps, error=f"misread{self.hostile}", error_at=invented)

    def _rule(self, instance: Instance) -> str:
        return f"Condition {list(COLORS).index(instance.facts['color'])}{self.hostile}"


def make_benchmark(folder: Path, n: int, hostile: str = "") -> Benchmark:
    """Squares of four colors, two questions per picture, with one policy and another that overrides it."""
    tail = re.sub(r"[/\\]", "", hostile)
    (folder / "images").mkdir(parents=True)
    noise = np.random.default_rng(0)
    for number in range((n + 1) // 2):
        pixels = noise.integers(0, 60, (240, 480, 3)).astype(np.uint8)
        pixels[60:180, 180:300] = list(COLORS.values())[number % 4]
        Image.fromarray(pixels).save(folder / f"images/{number}{tail}.png")
    Image.new("RGB", (40, 30), COLORS["gray"]).save(folder / f"images/crop{tail}.png")
    rule = "".join(f"Condition {k}: a {name} square means Case {k}.\n" for k, name in enumerate(COLORS))
    content = (Part("text", f"Policy L1-Mivaro{hostile}\n{rule}"), Part("image", f"images/crop{tail}.png"))
    p1, p2 = f"p1{hostile}", f"p2{hostile}"
    store.write_lines(
        folder / POLICIES,
        [Policy(p1, "colors", "L1-Mivaro", content, {}), Policy(p2, "colors", "L1-Mivaro", content, {}, p1)],
    )
    for split in ("train", "test"):
        instances = [
            Instance(
                f"{split}-{i:03d}{hostile}",
                split,
                (
                    Part("image", f"images/{i // 2}{tail}.png"),
                    Part("text", f"What does the policy say?{hostile}"),
                ),
                {"color": list(COLORS)[i // 2 % 4], "depth": str(8 + i % 4)},
                p1,
                f"Case {i // 2 % 4}{hostile}",
                Override(p2, f"Case {(i // 2 + 1) % 4}{hostile}"),
            )
            for i in range(n)
        ]
        store.write_lines(folder / instances_file(split), instances)
    config = {f"squares{hostile}": n, "visual": True, "note": f"written for a test{hostile}", "seed": 7}
    seal(folder, BenchmarkSpec(f"colors{hostile}", config, {f"generator{hostile}": f"1.0{hostile}"}))
    benchmark = Benchmark(folder)
    benchmark.__dict__["family"] = Colors(hostile)
    return benchmark


def answer(instance: Instance, variant: Variant, index: int, hostile: str) -> dict[str, Any]:
    """A response; over nine successive indices, every outcome occurs."""
    target = variants.target(instance, variant)
    if index % 9 == 0:
        return {"text": None, "error": f"TimeoutError: no response within 60 s{hostile}"}
    if index % 9 == 1:
        text = "I look at the square" + " and look again" * 60 + hostile
        return {"text": text, "finish_reason": "length", "completion_tokens": 1024}
    right = index % 9 < {"internalized": 4, "in_context": 8, "override": 6}[variant.name]
    given = target if right else f"Case 17{hostile}"
    text = f"<think>I see a square, {instance.facts['color']}.</think>{hostile} ⇒ {given}"
    return {"text": text, "finish_reason": "stop", "completion_tokens": 24}


def evaluated(
    benchmark: Benchmark, hostile: str = "", check: BatchCheck | None = None
) -> tuple[Report, Results]:
    instances = benchmark.instances("test")
    responses = [
        Response(
            i.id, v.name, 0, prompt_tokens=1834 if v.shown else 96, seconds=0.5, **answer(i, v, n, hostile)
        )
        for v in VARIANTS.values()
        for n, i in enumerate(instances)
    ]
    manifest = benchmark.manifest
    run = Run(
        benchmark=f"/data/colors{hostile}",
        digest=manifest.digest,
        images_digest=manifest.images_digest,
        family=manifest.family,
        model=f"hf:checkpoints/tiny{hostile}",
        split="test",
        variants=tuple(VARIANTS),
        limit=None,
        samples=1,
        sampling={"max_new_tokens": 1024, "temperature": 0.0, "top_p": 1.0, "seed": 0, "batch_size": 16},
    )
    backend = {"backend": f"hf{hostile}", "dtype": "float32", "weights": {"sha256": "ab" * 32}}
    results = results_of(benchmark, instances, responses)
    return make_report(run, backend, results, len(instances), check, []), results


HOSTILE = (
    "<script>alert(1)</script></template></pre><img src=x onerror=alert(2)>"
    "'\"&amp;{{7*7}}{%x%}$\\frac{ ]]>-->"
)


@dataclass(frozen=True)
class Element:
    tag: str
    attributes: dict[str, str]


class Reader(HTMLParser):
    """The elements of a page, its text without style and scripts, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.text, self.scripts = "", ""
        self._raw = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag in ("script", "style"):
            self._raw = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw:
            self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts += data
        elif not self._raw:
            self.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and wanted.items() <= e.attributes.items()]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Results, str]:
    benchmark = make_benchmark(tmp_path_factory.mktemp("page") / "bench", n=90)
    report, results = evaluated(benchmark, check=BatchCheck(16, 0))
    return report, results, render_page(report, results)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Results, str]:
    benchmark = make_benchmark(tmp_path_factory.mktemp("page") / "bench", n=12, hostile=HOSTILE)
    report, results = evaluated(benchmark, HOSTILE, BatchCheck(16, 3))
    return report, results, render_page(report, results)


def test_the_page_loads_nothing_from_a_network(harmless: tuple[Report, Results, str]) -> None:
    page = harmless[2]
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", page)
    for element in Reader(page).elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
            assert element.attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,")), element
    policy = Reader(page).all("meta", http_equiv="Content-Security-Policy")[0].attributes["content"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_settings_without_a_value_are_left_out(harmless: tuple[Report, Results, str]) -> None:
    report, results, _ = harmless
    run = replace(report.run, identity={"code": None, "config": "0123"}, limit=None)
    page = render_page(replace(report, run=run, backend={"revision": None}), results)
    assert "<dt>identity.config</dt><dd>0123</dd>" in page and "<dt>limit</dt><dd>none</dd>" in page
    assert "identity.code" not in page and "backend.revision" not in page


def test_hostile_data_adds_no_elements_or_scripts(
    hostile: tuple[Report, Results, str], harmless: tuple[Report, Results, str]
) -> None:
    page, harmless = Reader(hostile[2]), Reader(harmless[2])
    assert page.scripts == harmless.scripts
    assert len(page.all("script")) == 1
    assert {e.tag for e in page.elements} <= {e.tag for e in harmless.elements}
    assert not [e for e in page.elements if any(name.startswith("on") for name in e.attributes)]
    names = {name for e in page.elements for name in e.attributes}
    assert names <= {name for e in harmless.elements for name in e.attributes}


def test_hostile_data_is_shown_unchanged(hostile: tuple[Report, Results, str]) -> None:
    report, results, source = hostile
    page = Reader(source)
    found = results.full(results.scored)
    response = next(r.response for r in found if r.response.text and r.value == 1)
    expected = [report.run.model, report.run.family, response.text, found[0].response.error]
    expected += [found[0].instance.id, found[0].instance.target]
    expected += [
        part.value for p in results.benchmark.policies.values() for part in p.content if part.kind == "text"
    ]
    expected += [
        f"hue{HOSTILE}",
        f"red{HOSTILE}",
        f"form{HOSTILE}",
        f"squares{HOSTILE}",
        f"generator{HOSTILE}",
    ]
    for text in expected:
        assert text is not None
        assert text.strip() in page.text
    without_digests = page.text.replace(report.run.digest, "").replace(report.run.images_digest, "")
    # {{7*7}} is not evaluated.
    assert "49" not in without_digests.split("alert(2)")[1][:30]


def test_the_page_shows_every_figure_of_the_report(harmless: tuple[Report, Results, str]) -> None:
    report, _, source = harmless
    lines = [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", line, re.DOTALL)]
        for line in re.findall(r"<tr.*?</tr>", source, re.DOTALL)
    ]
    for row in report.rows:
        assert row.mean is not None and row.low is not None and row.high is not None
        figures = [f"{100 * row.mean:.1f}", f"{100 * row.low:.1f} to {100 * row.high:.1f}"]
        counts = [str(row.n), str(row.unparsed), str(row.truncated), str(row.errors)]
        heads = [row.member, row.variant] if row.group else [row.variant]
        if row.metric == "branching":
            assert f"{figures[0]} % ({figures[1]})" in source
        if not row.group and row.metric != "accuracy":
            heads, counts = [f"{row.label} (%)", row.variant], counts[:1]
        assert any(
            line[: len(heads)] == heads and all(value in line for value in figures + counts) for line in lines
        ), row


def test_warnings_count_failed_truncated_and_unparsed_responses(
    harmless: tuple[Report, Results, str], hostile: tuple[Report, Results, str]
) -> None:
    page = Reader(harmless[2]).text
    each = "(10 internalized, 10 in_context, 10 override)"
    assert f"30 of 270 responses failed {each}" in page
    assert (
        f"30 of 270 responses were cut off at 1024 new tokens, the limit of --max-new-tokens {each}" in page
    )
    assert f"30 of 270 responses contain no answer that could be parsed {each}" in page
    assert "The prompts of 16 responses were sent again one at a time: no response differs." in page
    assert "3 of 16 responses differ when their prompts are sent one at a time" in Reader(hostile[2]).text
    assert "TimeoutError: no response within 60 s" in page


def test_each_metric_with_a_plot_is_explained(harmless: tuple[Report, Results, str]) -> None:
    assert FIRST_ERRORS.explanation in Reader(harmless[2]).text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"skipped": {"in_context": 8}},
         "4 instances have no policy to show and therefore no prompt under in_context."),
        ({"skipped": {"override": 2}}, "1 instance has no override and therefore no prompt under override."),
        ({"backend": {CHANGED: ["seed: left out", "top_p: left out"]}},
         "The server rejected a part of the requests; seed: left out; top_p: left out."),
        ({"backend": {CHANGED: 5}}, None),
        ({"backend": {CHANGED: ["seed: left out", 5]}}, None),
    ],
)  # fmt: skip
def test_warnings_of_a_report_that_others_wrote(
    harmless: tuple[Report, Results, str], changes: dict[str, Any], expected: str | None
) -> None:
    report = replace(harmless[0], rows=(), run=replace(harmless[0].run, samples=2), **changes)
    assert list(warnings(report)) == ([] if expected is None else [expected])


def test_sections_without_content_are_omitted(harmless: tuple[Report, Results, str]) -> None:
    report, results, source = harmless
    titles = {"Other metrics", "First errors by kind", "Branching", "Efficiency"}
    assert titles <= set(re.findall(r"<h2[^>]*>(.*?)</h2>", source))
    assert "prompt tokens: 1834 with the policy, 96 without, a reduction of 94.8 %" in Reader(source).text
    assert f"{report.distributions[0].difference:.2f}</strong> responses per rule" in source
    bare = replace(
        report,
        rows=tuple(row for row in report.rows if row.metric == "accuracy"),
        distributions=tuple(replace(d, cited=(0,) * len(d.rules)) for d in report.distributions),
        usage=tuple(replace(u, prompt_tokens=None, seconds=None) for u in report.usage),
    )
    assert not titles & set(re.findall(r"<h2[^>]*>(.*?)</h2>", render_page(bare, results)))


def test_a_clean_run_has_no_warning(harmless: tuple[Report, Results, str]) -> None:
    report, results, _ = harmless
    responses = [r.response for r in results.full(results.scored) if outcome(r) == "right"]
    right = results_of(results.benchmark, list(results.instances), responses)
    rows = tuple(replace(row, errors=0, truncated=0, unparsed=0) for row in report.rows)
    page = render_page(replace(report, rows=rows), right)
    assert 'class="warnings" role="note"' not in page


def test_the_gallery_has_every_outcome_and_each_picture_once(harmless: tuple[Report, Results, str]) -> None:
    _, results, source = harmless
    page = Reader(source)
    for variant, members in results.by_variant():
        cards = page.all("article", data_variant=variant.name)
        assert len(cards) == SHOWN
        assert {c.attributes["data-outcome"] for c in cards} == {outcome(r) for r in members}
        assert choose(members) == choose(list(members))
    pictures = page.all("image")
    assert len({p.attributes["href"] for p in pictures}) == len(pictures)
    assert len(pictures) <= 45 + 1
    cards, drawn = page.all("article"), page.all("svg", class_="picture")
    assert len(drawn) >= len(cards)
    assert all(picture.attributes["aria-label"].startswith("images/") for picture in drawn)
    assert len(page.all("svg", class_="tree")) == len(cards)
    data = base64.b64decode(pictures[0].attributes["href"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (WIDTH, 160)


def test_a_prompt_is_shown_as_sent(harmless: tuple[Report, Results, str]) -> None:
    _, results, source = harmless
    (result,) = results.full(choose(dict(results.by_variant())[variants.IN_CONTEXT])[:1])
    numbers = Reader(source).all("article", data_variant="in_context")[0].attributes["data-prompt"].split()
    templates = dict(re.findall(r'<template id="part-(\d+)">(.*?)</template>', source, re.DOTALL))
    prompt = variants.prompt(result.instance, result.variant, results.benchmark.policies)
    assert prompt is not None
    for part, number in zip(prompt.parts, numbers, strict=True):
        assert (
            f'aria-label="{part.value}"' if part.kind == "image" else f"<pre>\n{part.value}</pre>"
        ) in templates[number]


def browse(page: str, folder: Path, fragment: str = "") -> str:
    """The page's document after its script ran in a browser."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    assert BROWSER is not None
    disabled = "gpu quic sync background-networking component-update".split()
    command = [BROWSER, "--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{d}" for d in disabled)]
    command += [f"--user-data-dir={folder / 'user'}", "--virtual-time-budget=5000", "--dump-dom"]
    command.append(file.as_uri() + fragment)
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("", lambda e: "data-outcome" in e),
        ("#variant=override", lambda e: e["data-variant"] == "override"),
        ("#outcome=error", lambda e: e["data-outcome"] != "right"),
        (
            "#variant=in_context&outcome=truncated",
            lambda e: e["data-variant"] == "in_context" and "data-truncated" in e,
        ),
        (
            "#outcome=wrong&text=MIVARO",
            lambda e: e["data-outcome"] == "wrong" and e["data-variant"] != "internalized",
        ),
    ],
)
def test_filters_in_a_browser(
    hostile: tuple[Report, Results, str], tmp_path: Path, wanted: str, shown: Callable[[dict[str, str]], bool]
) -> None:
    page = Reader(browse(hostile[2], tmp_path, wanted))
    cards = page.all("article")
    assert len(cards) == 36
    expected = [c.attributes for c in cards if shown(c.attributes)]
    assert expected
    assert [c.attributes for c in cards if "hidden" not in c.attributes] == expected
    assert f"{len(expected)} of 36 shown" in page.text


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_prompt_opens_in_a_browser(harmless: tuple[Report, Results, str], tmp_path: Path) -> None:
    _, results, source = harmless
    opener = "<script>document.querySelectorAll('details.prompt').forEach((d) => { d.open = true; })</script>"
    unguarded = re.sub("<meta http-equiv=.*?>", "", source).replace("</body>", f"{opener}</body>")
    opened = Reader(browse(unguarded, tmp_path)).text
    guarded = Reader(browse(source.replace("</body>", f"{opener}</body>"), tmp_path)).text
    content = results.benchmark.policies["p1"].content[0].value
    shown = sum(
        len(choose(members)) for variant, members in results.by_variant() if variant is variants.IN_CONTEXT
    )
    assert guarded.count(content) == 1, "the content security policy did not block a foreign script"
    assert opened.count(content) == 1 + 2 * shown, "once as the template, then in each prompt that shows it"
