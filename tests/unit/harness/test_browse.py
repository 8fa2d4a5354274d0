"""The pages of `harness browse`: what they show, that they are safe, and that they read little."""

from __future__ import annotations

import http.client
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from clevrpolicy.dataset import blocks
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import generate
from harness.browse import selection
from harness.browse.page import render
from harness.browse.selection import NOT_RIGHT, Filter, Source, read_runs, sample, select
from harness.browse.serve import make_server, respond
from harness.cli import browse
from harness.errors import UserError
from harness.external import ResponseLine, ScoreRequest, prompt_lines, score_responses
from harness.files.benchmark import Benchmark
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import INTERNALIZED, VARIANTS

HOSTILE = "<script>alert(1)</script></pre><img src=x onerror=alert(2)>'\"&amp;{{7*7}}"


class Reader(HTMLParser):
    """The elements of a page, each with its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, class_: str = "") -> list[dict[str, str]]:
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if not class_ or class_ in a.get("class", "").split()]


def page_of(benchmark: Benchmark, runs=(), limit: int = 8) -> str:
    source = Source(benchmark, read_runs(benchmark, runs))
    return render(source, [(position, instance) for _, position, instance in sample(source, limit)]).html


@pytest.fixture(scope="module")
def wrong_run(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every other response turns around its last verdict and answers another case."""
    benchmark = Benchmark(visual_folder)
    request = ScoreRequest(model="made-up", variants="internalized,override")
    lines = []
    for number, prompt in enumerate(prompt_lines(benchmark, request, inline=False)):
        variant, _, instance_id, _ = prompt["id"].split("/")
        instance = benchmark.find([instance_id])[instance_id]
        text = benchmark.family.gold(instance, VARIANTS[variant])
        if number % 2:
            head, condition, last = text.rpartition("Condition ")
            turned = re.sub("Yes|No", lambda verdict: {"Yes": "No", "No": "Yes"}[verdict[0]], last)
            text = head + condition + re.sub(r"Case \d+", "Case 99", turned) + HOSTILE
        lines.append(ResponseLine(prompt["id"], text))
    out = tmp_path_factory.mktemp("runs") / "wrong"
    score_responses(benchmark, request, lines, "here", out)
    return out


def test_a_page_of_every_family_is_complete_and_loads_nothing(any_benchmark: Benchmark) -> None:
    source = page_of(any_benchmark)
    page = Reader(source)
    assert not re.search(r"https?:|@import|url\((?!#)", source.replace("http-equiv", ""))
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:image/jpeg;base64,")) or (tag, value) == ("link", "data:,")
    policy = next(a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")["content"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy.split("script-src")[1]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("use")} <= set(ids)
    shown = page.all("article", "instance")
    splits = [split for split in any_benchmark.splits if any_benchmark.instances(split)]
    assert {article["data-split"] for article in shown} == set(splits)
    for split in splits:
        for instance in any_benchmark.instances(split):
            if f">{instance.id}</h2>" in source:
                assert instance.target in page.text
                assert any_benchmark.family_of(instance).gold(instance, INTERNALIZED).strip() in page.text
    assert bool(any_benchmark.policies) == bool(page.all("svg", "tree"))
    assert "failed: " not in page.text


def test_the_leaf_of_an_instance_is_a_leaf_of_its_tree(any_benchmark: Benchmark) -> None:
    source = Source(any_benchmark, [])
    for split in any_benchmark.splits:
        for instance in any_benchmark.instances(split):
            tree = any_benchmark.family.tree(instance.policy_id) if instance.policy_id else None
            if tree is None or any_benchmark.family_of(instance) is not any_benchmark.family:
                continue
            names = {node.id: node.name for node in tree.walk()}
            gold = any_benchmark.family.gold_path(instance, INTERNALIZED)
            assert names[gold.steps[-1].node] == source.leaf(instance)
            assert source.leaf(instance) in {leaf.name for leaf in tree.leaves()}


def test_responses_are_drawn_with_their_first_errors(visual_folder: Path, wrong_run: Path) -> None:
    benchmark = Benchmark(visual_folder)
    runs = read_runs(benchmark, [wrong_run, wrong_run])
    assert [run.name for run in runs] == [str(wrong_run)] * 2
    source = page_of(benchmark, [wrong_run], limit=100)
    page = Reader(source)
    responses = page.all("section", "response")
    assert len(responses) == 2 * len(page.all("article")) == 24
    wrong = [a for a in responses if "wrong" in a["class"]]
    errors = re.findall(r"first error: [^<]*", source)
    assert 0 < len(wrong) == len(errors) == len(page.all("circle", "ring"))
    assert any("perception" in error for error in errors)
    # The texts of responses are shown unchanged, and add no element.
    assert page.text.count(HOSTILE) == len(wrong)
    assert len(page.all("script")) == 1 and not page.all("img")
    # The pictures of conditions are where the conditions are.
    assert page.all("use", "crop")


def test_filters_and_pages(text_folder: Path) -> None:
    benchmark = Benchmark(text_folder)
    source = Source(benchmark, read_runs(benchmark, ()))
    instances = benchmark.instances("test")
    assert next(iter(source.splits)) == "test"
    everything = select(source, "test", Filter(), 0)
    assert [i for _, i in everything.found] == instances[: selection.PAGE]
    assert (everything.start, everything.total) == (0, len(instances))
    policy, leaf = instances[-1].policy_id or "", instances[-1].target
    for wanted, fits in [
        (Filter(policy=policy), lambda i: i.policy_id == policy),
        (Filter(leaf=leaf), lambda i: i.target == leaf),
        (Filter(policy, leaf), lambda i: (i.policy_id, i.target) == (policy, leaf)),
        (Filter(text=instances[3].id.upper()), lambda i: i.id == instances[3].id),
        (Filter(text=HOSTILE), lambda _: False),
    ]:
        expected = [i for i in instances if fits(i)]
        assert [i for _, i in select(source, "test", wanted, 0).found] == expected[: selection.PAGE]
    last = select(source, "test", Filter(), len(instances), backward=True)
    assert last.found[-1][0] == len(instances) - 1 and last.end == len(instances)


def test_pages_cover_a_split_forward_and_backward(text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PAGE", 5)
    benchmark = Benchmark(text_folder)
    source = Source(benchmark, [])
    ids = [i.id for i in benchmark.instances("test")]
    found, position = [], 0
    while position < len(ids):
        page = select(source, "test", Filter(), position)
        found += [i.id for _, i in page.found]
        position = page.end
    assert found == ids
    found, position = [], len(ids)
    while position > 0:
        page = select(source, "test", Filter(), position, backward=True)
        found = [i.id for _, i in page.found] + found
        position = page.start
    assert found == ids
    # A filter that nothing passes ends after MOST_READ instances, and the next page continues there.
    monkeypatch.setattr(selection, "MOST_READ", 4)
    page = select(source, "test", Filter(text="no such text"), 2)
    assert (page.found, page.start, page.end) == ([], 2, 6)


def test_filter_by_outcome(visual_folder: Path, wrong_run: Path) -> None:
    benchmark = Benchmark(visual_folder)
    source = Source(benchmark, read_runs(benchmark, [wrong_run]))
    total = len(source.splits["test"])
    for wanted, outcomes in ((NOT_RIGHT, {"wrong"}), ("right", {"right"}), ("failed", set())):
        found = select(source, "test", Filter(outcome=(wanted,)), 0).found
        assert bool(found) == bool(outcomes)
        assert len(found) <= total


def test_filters_by_the_outcome_of_each_run_under_a_variant(
    visual_folder: Path, wrong_run: Path, tmp_path: Path
) -> None:
    benchmark = Benchmark(visual_folder)
    evaluate(benchmark, EvalRequest("oracle"), tmp_path / "gold")
    source = Source(benchmark, read_runs(benchmark, [tmp_path / "gold", wrong_run]))
    wrong = {
        i.id
        for i in source.splits["test"]
        for run, result in source.results(i, "override")
        if run.name == "wrong" and result.value == 0
    }
    wanted = Filter(variant="override", outcome=("right", "wrong"))
    assert wrong == {i.id for _, i in select(source, "test", wanted, 0).found}
    assert 0 < len(wrong) < len(source.splits["test"])
    assert not select(source, "test", Filter(outcome=("wrong", "right")), 0).found
    # The run has no response under this variant.
    assert not select(source, "test", replace(wanted, variant="in_context", outcome=("", "wrong")), 0).found
    served = respond(source, "/?variant=override&outcome=&outcome=wrong&leaf=nope").body.decode()
    chosen = re.findall(r"<option selected>([^<]*)</option>", served)
    assert chosen == ["test", "nope", "override", "wrong"]
    served = respond(source, "/?variant=override&outcome=right&outcome=wrong").body.decode()
    page = Reader(served)
    assert {a["data-variant"] for a in page.all("section", "response")} == {"override"}
    assert len(page.all("article")) == len(wrong)
    # Only outcomes of these responses are offered.
    assert "<option>right</option>" in served and "<option>unparsed</option>" not in served


def test_a_dialog_is_shown_as_text_without_a_key_of_trees(rules_folder: Path, tmp_path: Path) -> None:
    evaluate(Benchmark(rules_folder), EvalRequest("oracle", limit=2, multi_turn=True), tmp_path / "run")
    source = page_of(Benchmark(rules_folder), [tmp_path / "run"])
    page = Reader(source)
    assert "--- returned ---" in page.text and page.all("section", "response")
    assert not page.all("p", "tree-key")
    assert f"<title>{rules_folder.name} with run</title>" in source


def test_instances_without_an_image_are_counted(
    visual_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bench"
    shutil.copytree(visual_folder, folder)
    instance = Benchmark(folder).instances("test")[0]
    path = next(part.value for part in instance.query if part.kind == "image")
    (folder / path).unlink()
    browse(str(folder), out=tmp_path / "page.html", limit=100)
    page = Reader((tmp_path / "page.html").read_text())
    total = len(page.all("article"))
    count = sum(
        path in [part.value for part in i.query]
        for split in Benchmark(folder).splits
        for i in Benchmark(folder).instances(split)
    )
    message = f"{count} of {total} instances lack an image: {path}: "
    error = capsys.readouterr().err
    assert error.startswith(f"note: {message}") and error.count("\n") == 1
    assert message in page.text


def test_only_the_blocks_of_a_page_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 16)
    out = tmp_path / "bench"
    config = SceneConfig(depth=2, policies=1, train=30, test=60, scenes="words", width=160, height=112)
    generate(out, config, workers=1)
    benchmark = Benchmark(out)
    parts = list(benchmark.parts("test"))
    assert len(parts) >= 5
    read: list[str] = []
    records_of = Benchmark.records_of

    def recorded(self: Benchmark, path: str, type_: type) -> Iterator[object]:
        read.append(path)
        return records_of(self, path, type_)

    monkeypatch.setattr(Benchmark, "records_of", recorded)
    monkeypatch.setattr(selection, "PAGE", 4)
    assert respond(Source(benchmark, []), "/").status == 200
    assert {path for path in read if "instances" in path} == {parts[0]}
    assert len({path for path in read if "scenes" in path}) == 1
    read.clear()
    page = respond(Source(Benchmark(out), []), "/?split=test&from=58").body.decode()
    links = [a.get("rel") for a in Reader(page).all("a")]
    assert "59–60 of 60" in page and "prev" in links and "next" not in links
    assert {path for path in read if "instances" in path} == {parts[-1]}


@pytest.fixture(scope="module")
def address(text_folder: Path) -> Iterator[tuple[str, int]]:
    with make_server(Source(Benchmark(text_folder), []), 0, quiet=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()


def request(address: tuple[str, int], path: str, host: str | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{address[1]}")
    connection.endheaders()
    response = connection.getresponse()
    policy, body = response.headers["Content-Security-Policy"], response.read().decode()
    connection.close()
    return response.status, policy, body


def test_the_server_answers_only_its_own_pages(address: tuple[str, int]) -> None:
    status, policy, body = request(address, "/")
    assert status == 200 and body.startswith("<!doctype html>") and "default-src 'none'" in policy
    assert request(address, "/", host="localhost")[0] == 200
    assert request(address, "/", host="evil.example")[0] == 421
    status, _, body = request(address, "/?split=nope")
    assert status == 404 and "test" in body and "nope" not in body
    for path in (
        "/manifest.json",
        "/../manifest.json",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/images/x.png",
    ):
        status, _, body = request(address, path)
        assert (status, "digest" in body, "root:" in body) == (404, False, False)


@pytest.mark.parametrize(
    "query",
    [
        f"text={'x' * 3000}", "from=-1", "from=" + "9" * 4000, "before=0",
        "from=1&before=3", "policy=%00&leaf=%ff%fe", "text=%3Cscript%3Ealert(1)%3C/script%3E",
        "split=test&split=recall&unknown=1",
    ],
)  # fmt: skip
def test_any_query_has_a_page(address: tuple[str, int], query: str) -> None:
    status, _, body = request(address, f"/?{query}")
    assert status == 200
    assert "<script>alert" not in body
    assert len(Reader(body).all("script")) == 1


def test_hostile_names_and_questions_are_escaped(words_folder: Path) -> None:
    benchmark = Benchmark(words_folder)
    source = Source(benchmark, [])
    instance = benchmark.instances("test")[0]
    policy = replace(benchmark.policies[instance.policy_id or ""], id=HOSTILE)
    benchmark.policies[HOSTILE] = policy
    changed = replace(
        instance,
        id=HOSTILE,
        policy_id=HOSTILE,
        query=(instance.query[0], replace(instance.query[1], value=HOSTILE)),
        target=HOSTILE,
    )
    page = Reader(render(source, [(0, changed)]).html)
    assert len(page.all("script")) == 1 and not page.all("img")
    assert page.text.count(HOSTILE) >= 4
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("method", ["tree", "leaf", "gold_path", "groups", "gold"])
def test_a_family_that_fails_is_named_on_the_page(text_folder: Path, monkeypatch, method: str) -> None:
    def raises(*_: object) -> None:
        raise LookupError("broken")

    benchmark = Benchmark(text_folder)
    monkeypatch.setattr(type(benchmark.family), method, raises)
    page = Reader(page_of(benchmark))
    assert page.all("article")
    assert ("LookupError: broken" in page.text) == (method != "leaf")


def test_the_command_writes_a_page_and_refuses_what_it_cannot_show(
    text_folder: Path, visual_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    evaluate(Benchmark(text_folder), EvalRequest("random", limit=3), run)
    browse(str(text_folder), run=(run,), out=tmp_path / "new" / "page.html", limit=2)
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'page.html'}\n"
    page = Reader((tmp_path / "new" / "page.html").read_text())
    assert len(page.all("article")) == 2
    browse(str(text_folder), out=tmp_path / "new" / "page.html", limit=1)
    assert len(Reader((tmp_path / "new" / "page.html").read_text()).all("article")) == 1
    for arguments, message in [
        ({"out": tmp_path / "page.txt"}, "ends in .html"),
        ({"out": run / "report.html"}, "expected a new file, or a page of this command to replace"),
        ({"limit": 0}, "limit: expected 1 or more, got 0"),
        ({"run": (text_folder,)}, "expected a run, got a benchmark"),
        ({"port": 99_999}, "port: expected 0 to 65535, got 99999"),
    ]:
        with pytest.raises(UserError, match=message):
            browse(str(text_folder), **arguments)
    with pytest.raises(UserError, match="expected a run on the benchmark with digest"):
        browse(str(visual_folder), run=(run,), out=tmp_path / "page.html")


@pytest.mark.parametrize(
    "file, change, message",
    [
        ("responses.jsonl", lambda text: text.replace('"text":"', '"text":"no ', 1), "changed since"),
        ("responses.jsonl", lambda text: text[: text.index("\n") + 1], "changed since"),
        ("responses.jsonl", None, "expected a response for each score"),
        ("scores.jsonl", None, "scores.jsonl: "),
        ("report.json", lambda text: text[: len(text) // 2], "report.json: "),
        ("report.json", None, "unfinished"),
    ],
)  # fmt: skip
def test_a_run_is_refused_if_its_marks_may_be_those_of_other_responses(
    text_folder: Path, tmp_path: Path, file: str, change: Callable[[str], str] | None, message: str
) -> None:
    evaluate(Benchmark(text_folder), EvalRequest("random", limit=3), tmp_path)
    path = tmp_path / file
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=message):
        read_runs(Benchmark(text_folder), [tmp_path])


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_keys_and_filters_in_a_browser(visual_folder: Path, wrong_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(Benchmark(visual_folder), [wrong_run], limit=100), encoding="utf-8")
    source = Source(Benchmark(visual_folder), read_runs(Benchmark(visual_folder), [wrong_run]))
    everything = [instance for _, _, instance in sample(source, 100)]
    browser = Browser(tmp_path / "user")

    def press(key: str) -> None:
        event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true}})"
        browser.run(f"document.body.dispatchEvent({event})")

    def count(selector: str) -> object:
        return browser.run(f"document.querySelectorAll({selector!r}).length")

    try:
        browser.open(file.as_uri())
        press("j")
        press("j")
        assert browser.run("articles.indexOf(document.querySelector('.current'))") == 1
        press("k")
        assert browser.run("articles.indexOf(document.querySelector('.current'))") == 0
        press("/")
        assert browser.run("document.activeElement.name") == "text"
        total = count(".instance")
        for field, value in (("outcome", "not right"), ("leaf", "Case 0"), ("text", "no such text")):
            browser.run(f"form.elements.{field}.value = {value!r}; form.dispatchEvent(new Event('input'))")
            shown = count(".instance:not([hidden])")
            assert shown < total
            assert browser.run("document.getElementById('shown').textContent") == f"{shown} of {total} shown"
            browser.run("form.reset()")
        # The text filter finds what it finds in a served page, which excludes the other texts of a page.
        for text in ("Gold response", "WHAT IS", "CASE 0"):
            browser.run(f"form.elements.text.value = {text!r}; form.dispatchEvent(new Event('input'))")
            expected = [i.id for i in everything if source.fits(i, Filter(text=text))]
            assert (
                browser.run("shown().map((article) => article.querySelector('h2').textContent)") == expected
            )
        browser.run("form.elements.text.value = ''; form.elements.variant.value = 'override'")
        browser.run("form.elements.outcome.value = 'wrong'; form.dispatchEvent(new Event('input'))")
        expected = [
            i.id for i in everything if source.fits(i, Filter(variant="override", outcome=("wrong",)))
        ]
        assert browser.run("shown().map((article) => article.querySelector('h2').textContent)") == expected
        assert 0 < len(expected) < total
        assert count(".response:not([hidden])") == total
        browser.run("form.reset(); filter()")
        # Only the objects that met the condition under the pointer are emphasized.
        assert count(".dimmed") == 0
        browser.run(
            "document.querySelector('.policy .leaf.gold')"
            ".dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
        )
        assert count(".dimmed") == browser.run("articles[0].querySelectorAll('.mark').length")
        assert not browser.errors
    finally:
        browser.close()
