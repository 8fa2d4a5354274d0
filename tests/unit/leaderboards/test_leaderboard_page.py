"""The display of boards: figures, hostile names, the server, exports, and pages in a browser."""

import csv
import http.client
import io
import itertools
import json
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from browser import Browser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submissions import serving

from harness.errors import UserError
from harness.metrics import metric
from harness.metrics.metric import Metric, Unit
from harness.paper.tables import tables
from harness.records import Report, Response, Run, Score
from harness.server import PAGE_POLICY, SANDBOX_POLICY
from harness.variants import VARIANTS
from leaderboards.pages.export import as_csv, as_json, as_markdown, export, terminal
from leaderboards.pages.page import EXPORTED, SERVED, Pages
from leaderboards.pages.plots import bars
from leaderboards.pages.ranking import RankedBoard, rank, reported_scores
from leaderboards.pages.serve import respond
from leaderboards.storage.board import Boards
from leaderboards.storage.bundles import SUBMISSIONS, Bundle
from leaderboards.storage.records import Board, BoardKey, Figures

HOSTILE = "<script>alert(1)</script></style></title><img src=x onerror=alert(2)>'\"&amp;{{7*7}}{%x%}|`"
REPORT_PAGE = b"<!doctype html><p>Report</p><script>top.location = 'http://evil.test'</script>"
N = 40


@dataclass(frozen=True)
class Model:
    name: str
    right: int
    tokens: float = 100.0
    training: str | None = None


MODELS = (Model("hf:alpha", 36), Model("hf:beta", 34), Model("hf:gamma", 12, 900.0), Model("=1+1", 4, 2500.0))


def board_of(variant: str, tail: str = "", depth: int = 6, governed: bool = True) -> Board:
    """A board without entries. The tail is appended to its names."""
    digest = f"{depth}{int(governed)}".ljust(64, "d")
    key = BoardKey(digest, "test", variant, f"exact/1{tail}", "")
    return Board(key, "clevrpolicy", f"bench-{depth}{tail}", {"depth": depth, "visual": False}, governed)


def add(
    folder: Path, model: Model, depth: int = 6, tail: str = "", governed: bool = True, **more: object
) -> str:
    """Adds a bundle with `model.right` correct responses under each variant, and returns its sha256."""
    scores = [Score(f"i{k}{tail}", v, 0, float(k < model.right)) for v in VARIANTS for k in range(N)]
    digest = board_of("override", tail, depth, governed).key.digest
    run = Run(
        f"bench{tail}",
        digest,
        "i" * 64,
        "clevrpolicy",
        model.name + tail,
        "test",
        tuple(VARIANTS),
        None,
        1,
        {},
    )
    report = Report(run, {"backend": f"toy{tail}"}, {"python": f"3{tail}"}, (), {}, (), None, None)
    lines = msgspec.json.Encoder().encode_lines
    files = {
        "run.json": msgspec.json.encode(run),
        "responses.jsonl": lines([Response(s.instance, s.variant, 0, f"no{tail}") for s in scores]),
        "scores.jsonl": lines(scores),
        "report.json": msgspec.json.encode(report),
        "report.html": REPORT_PAGE,
    }
    if model.training is not None:
        files["training.json"] = model.training.encode()
    mean = model.right / N
    figures = Figures(
        *(mean, max(0.0, mean - 0.1), min(1.0, mean + 0.1), N, 2, 0, 1),
        columns={"internalized": mean, "override": mean, "prompt tokens": model.tokens},
        **{"leak": "no leak", "prompts_known": True, **more},
    )
    with closing(Boards(folder, create=True)) as boards:
        attempt = boards.begin_attempt(f"run{tail}")
        boards.name_attempt(attempt, run.model, run.digest)
        bundle = Bundle(files)
        entries = [(board_of(variant, tail, depth, governed), figures) for variant in VARIANTS]
        boards.add(attempt, bundle, f"r{bundle.sha256}", f"run {model.right}{tail}", run.model, entries)
    return bundle.sha256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("boards") / "board"
    for model in MODELS:
        add(out, model)
    add(out, MODELS[0], depth=4)
    return out


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("boards") / "hostile"
    training = msgspec.json.encode({f"note{HOSTILE}": HOSTILE}).decode()
    for model in MODELS:
        trained = replace(model, training=training)
        add(out, trained, tail=HOSTILE, method=HOSTILE, leak=f"leak{HOSTILE}", leaks=True)
    with closing(Boards(out)) as boards:
        boards.refuse(boards.begin_attempt(f"refused{HOSTILE}"), [f"reason{HOSTILE}"])
    return out


class Reader(HTMLParser):
    """The elements of a page, its text, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.scripts, self._raw = "", [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag in ("script", "style"):
            self._raw = tag
            self.scripts += [""] * (tag == "script")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw:
            self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts[-1] += data
        elif not self._raw:
            self.text += data


def words_of(page: str) -> str:
    """The text of a page, with a space between elements."""
    return " ".join(Reader(page.replace("</", " </").replace("<small", " <small")).text.split())


def internalized(boards: Boards) -> Board:
    """The internalized board of all four models."""
    return next(b for b in boards.boards() if b.key.variant == "internalized" and b.entries == 4)


def every_page(folder: Path) -> dict[str, str]:
    with closing(Boards(folder)) as boards:
        pages = Pages(boards)
        board = internalized(boards)
        one, other = (entry.bundle for entry in boards.entries(board)[:2])
        return {
            "index": pages.index(),
            "board": pages.board(board.id),
            "entry": pages.entry(one),
            "compare": pages.compare(one, other),
            "reported": pages.reported(),
            "error": pages.error(HOSTILE),
        }


@pytest.mark.parametrize("name", ["index", "board", "entry", "compare", "reported", "error"])
def test_hostile_data_stays_text(folder: Path, hostile: Path, name: str) -> None:
    source = every_page(hostile)[name]
    page, harmless = Reader(source), Reader(every_page(folder)[name])
    assert page.scripts == harmless.scripts
    assert len(page.scripts) == 1
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "base"}
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    # An address that starts with "#" is in the same page.
    assert not re.search(r"https?://|@import|url\((?!#)", source)
    if name != "reported":
        assert HOSTILE in page.text


def test_a_board_shows_figures_ranks_and_attempts(folder: Path) -> None:
    with closing(Boards(folder)) as boards:
        board = internalized(boards)
        ranked = rank(boards, board)
    assert [(place.rank, place.entry.model) for place in ranked.entries] == [
        (1, "hf:alpha"),
        (1, "hf:beta"),
        (3, "hf:gamma"),
        (3, "=1+1"),
    ]
    assert [column.name for column in ranked.columns] == ["override", "prompt tokens"]
    text = words_of(every_page(folder)["board"])
    assert "1 hf:alpha run 36 90.0 80.0 to 100.0" in text
    assert "Reported, not verified, other data" in text
    assert "TriMPI, PoRo-DAPO" in text
    assert "Score by depth N" in text
    assert "Score by prompt tokens" in text
    assert "sha256 proves" in text
    assert text.count("attempts How often") == 1 and "attempts submissions" not in text


def board_with_columns(boards: Boards, columns: dict[str, float]) -> RankedBoard:
    """A board with one entry, which was stored with these columns."""
    figures = Figures(0.5, 0.4, 0.6, N, 0, 0, 1, columns=columns, leak="no leak", prompts_known=True)
    attempt = boards.begin_attempt("run")
    boards.name_attempt(attempt, "hf:alpha", board_of("internalized").key.digest)
    bundle = Bundle({"run.json": b"{}"})
    boards.add(attempt, bundle, "run", "run", "hf:alpha", [(board_of("internalized"), figures)])
    return rank(boards, boards.boards()[0])


def test_a_metric_of_another_package_is_shown_in_its_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Metric(
        name="words per response",
        explanation="The mean number of words.",
        unit=Unit("words"),
        direction="lower",
    )
    monkeypatch.setattr(metric, "installed", lambda: {words.name: words})
    with closing(Boards(tmp_path, create=True)) as boards:
        ranked = board_with_columns(boards, {words.name: 7.0})
        page = Pages(boards).board(ranked.board.id)
        printed = terminal(boards)
    head, row = (printed.splitlines()[line].split() for line in (2, 3))
    assert " ".join(head).endswith("unparsed (%) words per response (words) attempts bundle marks")
    assert row[-3:-1] == ["7.0", "1"]
    explained = "words per response (words): The mean number of words. Lower is better."
    assert explained in printed.splitlines()
    assert '<td class="number" data-v="7.0">7.0</td>' in page
    assert "words per response (words) The mean number of words. Lower is better." in words_of(page)
    assert f"| 7.0 | 1 | {ranked.entries[0].entry.bundle[:12]} |" in as_markdown(ranked)
    assert explained in as_markdown(ranked)
    assert next(csv.DictReader(io.StringIO(as_csv(ranked))))[words.name] == "7.0"
    assert json.loads(as_json(ranked))["columns"][words.name] == {
        "title": "words per response (words)",
        "unit": "words",
        "direction": "lower",
        "explanation": "The mean number of words.",
    }


@pytest.mark.parametrize("width", [10, 60, 80, 110, 150, 1000])
def test_a_terminal_shows_the_columns_that_fit_and_names_the_others(tmp_path: Path, width: int) -> None:
    columns = {"branching": 0.2, "override": 0.7, "prompt tokens": 900.0, "cost": 1.5, "recall": 0.5}
    with closing(Boards(tmp_path, create=True)) as boards:
        board_with_columns(boards, columns)
        every, printed = terminal(boards), terminal(boards, width=width)
    head, *rows = printed.split("\n\n")[0].splitlines()[2:]
    # The narrowest table has the main columns; any wider one fits.
    names = re.split(" {2,}", head)
    assert len(names) == 4 or all(len(line) <= width for line in (head, *rows))
    assert names[:2] == ["rank", "model"] and {"score (%)", "95 % interval"} <= {*names}
    left_out = re.findall(r"do not fit into this terminal \((.+)\)\. Add `\| less -S`", printed)
    all_names = re.split(" {2,}", every.splitlines()[2])
    assert names == [n for n in all_names if not left_out or n not in re.split(", ", left_out[0])]
    assert (width == 1000) == (printed == every)


def test_entries_with_columns_of_older_versions_are_shown(tmp_path: Path) -> None:
    """In older versions, some columns had other names than their metrics."""
    stored = {"referral": 0.9, "rule recall": 0.8, "nonexistent": 0.1, "branching": 0.2, "override": 0.7}
    with closing(Boards(tmp_path, create=True)) as boards:
        ranked = board_with_columns(boards, {**stored, "tokens saved": 0.25, "cost": 1.5})
        printed = terminal(boards)
    shown = {
        column.title: column.unit.format(ranked.entries[0].columns[column.name]) for column in ranked.columns
    }
    assert shown == {
        "override (%)": "70.0",
        "branching (%)": "20.0",
        "nonexistent rules (%)": "10.0",
        "referral precision (%)": "90.0",
        "referral recall (%)": "80.0",
        "tokens saved (%)": "25.0",
        "cost (US dollars)": "1.50",
    }
    assert "Lower is better" in next(line for line in printed.splitlines() if line.startswith("nonexistent"))


def test_a_column_whose_metric_is_not_installed_is_a_plain_number(tmp_path: Path) -> None:
    with closing(Boards(tmp_path, create=True)) as boards:
        ranked = board_with_columns(boards, {"part: tool": 0.5, "no such metric": 0.5, "recall": 0.5})
    assert [(c.title, c.unit.format(0.5)) for c in ranked.columns] == [
        ("part: tool (%)", "50.0"),
        ("no such metric", "0.5"),
        ("recall (%)", "50.0"),
    ]


def test_points_of_a_plot_have_descriptions(folder: Path) -> None:
    page = every_page(folder)["board"]
    assert "<title>hf:beta, internalized: 85.0 at 100 tokens</title>" in page
    assert "<title>hf:alpha, N=4: 90.0</title>" in page


def test_models_of_one_method_have_a_bar_each(tmp_path: Path) -> None:
    for model in MODELS[:2]:
        add(tmp_path, model, method="cot-sft")
    with closing(Boards(tmp_path)) as boards:
        shown = bars(rank(boards, boards.boards()[0]))
    assert [bar.name for bar in shown if not bar.reported] == ["cot-sft, hf:alpha", "cot-sft, hf:beta"]


def test_a_comparison_shows_both_values_and_their_difference(folder: Path) -> None:
    text = words_of(every_page(folder)["compare"])
    assert "internalized accuracy (%) 90.0 85.0 -5.0" in text


def test_recall_and_forgetting_come_from_other_boards(tmp_path: Path) -> None:
    add(tmp_path, MODELS[2], depth=1, governed=False)
    tuned = replace(MODELS[0], right=8)
    add(tmp_path, tuned, depth=1, governed=False)
    add(tmp_path, tuned, base="hf:gamma")
    with closing(Boards(tmp_path)) as boards:
        board = next(b for b in boards.boards() if b.governed)
        (place,) = rank(boards, board).entries
        assert place.columns["forgetting"] == pytest.approx((8 - 12) / N)
        recall = replace(board, key=board.key._replace(split="recall", variant="internalized"))
        attempt = boards.begin_attempt("recall")
        figures = replace(place.entry.figures, mean=0.75)
        boards.add(attempt, Bundle({"run.json": b"{}"}), "recall", "recall", "hf:alpha", [(recall, figures)])
        (place,) = rank(boards, board).entries
        assert place.columns["recall"] == 0.75


def test_scores_of_the_paper_are_shown_only_on_boards_of_the_same_kind() -> None:
    assert {t.table for t in tables()} >= {2, 4, 9, 10}
    rows = [(r.method, r.score) for _, r in reported_scores(board_of("internalized"))]
    assert ("TriMPI, PoRo-DAPO", 77.8) in rows
    assert ("TriMPI, PoRo-DAPO", 85.0) not in rows, "this score is on policies with images"
    assert rows == sorted(rows, key=lambda row: -row[1])
    assert reported_scores(board_of("internalized", depth=3)) == []
    judged = board_of("internalized")
    judged = replace(judged, key=judged.key._replace(judge="someone"))
    assert {r.judge for _, r in reported_scores(judged)} == {"Claude-4"}


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[tuple[str, int]]:
    with serving(folder) as port:
        yield "127.0.0.1", port


def request(
    address: tuple[str, int], path: str, method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{address[1]}")
    connection.endheaders()
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def a_bundle(folder: Path) -> str:
    return sorted(p.name for p in (folder / SUBMISSIONS).iterdir())[0]


def test_pages_over_http(address: tuple[str, int], folder: Path) -> None:
    sha256 = a_bundle(folder)
    for path in ("/", "/reported", f"/entry/{sha256}"):
        response, data = request(address, path)
        assert (response.status, response.headers["Content-Security-Policy"]) == (200, PAGE_POLICY)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert data.startswith(b"<!doctype html>")
        head, nothing = request(address, path, "HEAD")
        assert (head.headers["Content-Length"], nothing) == (str(len(data)), b"")


def test_submitted_files_are_served_in_a_sandbox(address: tuple[str, int], folder: Path) -> None:
    sha256 = a_bundle(folder)
    response, data = request(address, f"/entry/{sha256}/report.html")
    assert data == REPORT_PAGE
    assert response.headers["Content-Security-Policy"] == SANDBOX_POLICY
    assert SANDBOX_POLICY.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in SANDBOX_POLICY
    response, data = request(address, f"/entry/{sha256}/run.json")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert json.loads(data)["split"] == "test"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/board/0123456789abcdef",
        "/entry/" + "0" * 64,
        "/entry/" + "0" * 64 + "/run.json",
        "/entry/{sha}/../../board.sqlite",
        "/entry/{sha}/..%2f..%2fboard.sqlite",
        "/entry/{sha}/board.sqlite",
        "/entry/{sha}/",
        "/../../etc/passwd",
        "//[",
        "/compare?entry={sha}&entry=" + "0" * 64,
        "/board/<script>alert(1)</script>",
    ],
)
def test_missing_pages_are_not_found(address: tuple[str, int], folder: Path, path: str) -> None:
    response, data = request(address, path.replace("{sha}", a_bundle(folder)))
    assert response.status == 404
    assert b"alert(1)" not in data


@pytest.mark.parametrize(
    "query", ["", "?entry={sha}", "?entry={sha}&entry={sha}", "?entry=a&entry=b&entry=c"]
)
def test_compare_needs_two_entries(address: tuple[str, int], folder: Path, query: str) -> None:
    response, data = request(address, "/compare" + query.replace("{sha}", a_bundle(folder)))
    assert response.status == 409
    assert b"Choose two entries" in data


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_written_over_http(address: tuple[str, int], method: str) -> None:
    assert request(address, "/", method)[0].status == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("[::1]:80", 200),
        ("evil.test", 421),
        ("", 421),
        ("a b", 421),
        ("[", 400),
        ("a]", 400),
        ("[::1", 400),
        ("[evil.test]", 400),
    ],
)
def test_requests_under_a_foreign_domain_are_rejected(
    address: tuple[str, int], host: str, status: int
) -> None:
    assert request(address, "/", host=host or " ")[0].status == status


def test_a_tampered_bundle_is_not_shown(tmp_path: Path) -> None:
    sha256 = add(tmp_path, MODELS[0])
    path = tmp_path / SUBMISSIONS / sha256 / "report.json"
    path.write_bytes(path.read_bytes() + b" ")
    with closing(Boards(tmp_path)) as boards:
        answer = respond(boards, f"/entry/{sha256}")
    assert answer.status == 409
    assert b"changed after it was stored" in answer.body


@pytest.mark.parametrize("name", ["run.json", "scores.jsonl", "report.json"])
def test_a_tampered_bundle_is_not_compared(tmp_path: Path, name: str) -> None:
    first, second = (add(tmp_path, model) for model in MODELS[:2])
    path = tmp_path / SUBMISSIONS / second / name
    path.write_bytes(path.read_bytes() + b" ")
    with closing(Boards(tmp_path)) as boards:
        answer = respond(boards, f"/compare?entry={first}&entry={second}")
    assert answer.status == 409
    assert b"changed after it was stored" in answer.body


def test_exported_files_are_complete_and_safe(hostile: Path, tmp_path: Path) -> None:
    with closing(Boards(hostile)) as boards:
        files = export(boards, tmp_path / "out")
        printed = terminal(boards)
    assert files[0].name == "index.html"
    pages = {f.name: f.read_text() for f in files}
    for name, text in pages.items():
        if name.endswith(".html"):
            page = Reader(text)
            assert len(page.scripts) == 1
            links = [a["href"] for tag, a in page.elements if tag == "a" and not a["href"].startswith("#")]
            assert links
            assert set(links) <= pages.keys(), "a static copy links only to its own pages"
    table = next(text for name, text in pages.items() if name.endswith(".csv"))
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(r["rank"], float(r["mean"])) for r in rows] == [("1", 0.9), ("1", 0.85), ("3", 0.3), ("3", 0.1)]
    assert rows[3]["model"].startswith("'=1+1"), "a spreadsheet must not evaluate it"
    assert "<script>" not in next(t for n, t in pages.items() if n.endswith(".md")).replace("\\<", "")
    data = json.loads(next(text for name, text in pages.items() if name.endswith(".json")))
    assert data["entries"][0]["row"]["model"] == "hf:alpha" + HOSTILE
    assert "reported, not verified, other data" in data
    assert printed.count("hf:alpha") == 3
    assert "2\N{NARROW NO-BREAK SPACE}500" in printed, "the tokens of the last model"


def test_names_cannot_control_the_terminal(tmp_path: Path) -> None:
    add(tmp_path, Model("hf:\x1b[31mred\n", 4))
    with closing(Boards(tmp_path)) as boards:
        assert "\x1b" not in terminal(boards)
        files = export(boards, tmp_path / "out")
    for path in files:
        if path.suffix in (".csv", ".md", ".json"):
            assert all(c.isprintable() or c in "\n\N{NARROW NO-BREAK SPACE}" for c in path.read_text()), path


HOSTILE_REQUESTS = {
    "nothing": b"",
    "no request": b"\r\n\r\n",
    "no path": b"GET\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "bytes": bytes(range(256)) * 4 + b"\r\n\r\n",
    "NUL": b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "long path": b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
    "NFKC": "GET / HTTP/1.1\r\nHost: a\u2100b\r\n\r\n".encode(),
    "not UTF-8": b"GET / HTTP/1.1\r\nHost: \xff\xfe[\r\n\r\n",
    "many fields": b"GET /compare?" + b"a=b&" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad escape": b"GET /board/%zz%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bracket": b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE_REQUESTS)
def test_hostile_requests_get_an_answer(
    address: tuple[str, int], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "Traceback" not in raw_request(address, HOSTILE_REQUESTS[name]).decode(errors="replace")
    assert request(address, "/")[0].status == 200
    assert "Traceback" not in capfd.readouterr().err


def raw_request(address: tuple[str, int], data: bytes) -> bytes:
    """Sends bytes and closes the sending side; returns the answer."""
    with socket.create_connection(address, timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return b""


@given(st.binary(max_size=200) | st.text("GET /HOST:[]%?&=\r\n \0.1", max_size=60).map(str.encode))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_as_host_get_a_status(address: tuple[str, int], host: bytes) -> None:
    line = host.replace(b"\r", b" ").replace(b"\n", b" ")
    answer = raw_request(address, b"GET / HTTP/1.1\r\nHost: " + line + b"\r\n\r\n")
    assert re.match(rb"HTTP/1.0 (200|400|421) ", answer), answer[:80]


def test_500_parallel_requests_are_all_served(address: tuple[str, int]) -> None:
    """All connections are open before the first request is sent."""
    data = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n\r\n".encode()
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(address, timeout=120)) for _ in range(500)]
        for connection in sockets:
            connection.sendall(data)
        statuses = Counter(connection.recv(15) for connection in sockets)
    assert statuses == {b"HTTP/1.0 200 OK": 500}


def test_a_page_that_fails_is_answered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise TypeError("wrong")

    monkeypatch.setattr("leaderboards.pages.page.Pages.reported", fails)
    with serving(folder) as port:
        response, data = request(("127.0.0.1", port), "/reported")
    assert (response.status, data) == (500, b"this page cannot be shown: TypeError: wrong\n")


def marks_by_model(boards: Boards) -> dict[str, list[str]]:
    return {place.entry.model: place.marks for place in rank(boards, boards.boards()[0]).entries}


def test_unusual_prompt_tokens_are_marked(tmp_path: Path) -> None:
    for model in (Model("hf:a", 20), Model("hf:b", 19, 110.0), Model("hf:c", 36, 400.0)):
        add(tmp_path, model)
    with closing(Boards(tmp_path)) as boards:
        assert marks_by_model(boards) == {"hf:a": [], "hf:b": [], "hf:c": ["prompt tokens unusual"]}
        printed, page = terminal(boards), Pages(boards).board(boards.boards()[0].id)
    assert "prompt tokens unusual: The prompts have more than 2 times as many tokens" in printed
    assert "hf:c prompt tokens unusual run 36" in words_of(page)
    for submissions in range(3):
        add(tmp_path, Model("hf:c", 30 + submissions, 400.0))
    with closing(Boards(tmp_path)) as boards:
        assert marks_by_model(boards)["hf:c"] == ["prompt tokens unusual"], "each model counts once"


def test_what_is_unknown_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = map("2026-01-01 00:00:{:02}".format, itertools.count())
    monkeypatch.setattr("leaderboards.storage.board._now", lambda: next(clock))
    add(tmp_path, Model("random", 4), leak="", images="p")
    add(tmp_path, Model("hf:a", 20), leak="", images="p")
    add(tmp_path, Model("hf:b", 20), leak="shared", leaks=True, images="other")
    add(tmp_path, Model("hf:c", 20), prompts_known=False)
    with closing(Boards(tmp_path)) as boards:
        assert marks_by_model(boards) == {
            "random": [],
            "hf:a": ["training unknown"],
            "hf:b": ["leak", "other pictures"],
            "hf:c": ["prompts unknown"],
        }
        printed, page = terminal(boards), words_of(Pages(boards).board(boards.boards()[0].id))
        ranked = rank(boards, boards.boards()[0])
    for shown in (printed, page):
        assert "The run has no training.json" in shown
        assert "How often this model was submitted on this benchmark, by its name or by its weights" in shown
        assert "named by the sha256 of their contents" in shown
    assert "training unknown" in next(line for line in printed.splitlines() if " hf:a " in line)
    assert {row["model"]: row["marks"] for row in csv.DictReader(io.StringIO(as_csv(ranked)))}["hf:b"] == (
        "leak; other pictures"
    )


def test_responses_without_a_score_are_counted_in_every_table(tmp_path: Path) -> None:
    add(tmp_path, MODELS[0], unscored=3)
    with closing(Boards(tmp_path)) as boards:
        ranked = rank(boards, boards.boards()[0])
        for table in (terminal(boards), as_markdown(ranked), words_of(Pages(boards).board(ranked.board.id))):
            assert f"{N} −3" in table


def test_a_plot_by_depth_keeps_the_first_board_of_a_depth(tmp_path: Path) -> None:
    add(tmp_path, MODELS[0])
    add(tmp_path, MODELS[1], depth=4)
    other = replace(board_of("internalized", depth=4), key=board_of("internalized", "x").key)
    with closing(Boards(tmp_path)) as boards:
        attempt = boards.begin_attempt("run")
        figures = Figures(1, 1, 1, N, 0, 0, 1)
        key = other.key._replace(digest="f" * 64, scorer="exact/1")
        boards.add(
            attempt, Bundle({"run.json": b"{}"}), "r", "r", "hf:z", [(replace(other, key=key), figures)]
        )
        page = Pages(boards).board(board_of("internalized").id)
    assert "hf:beta, N=4" in page
    assert "hf:z, N=4" not in page


@pytest.mark.parametrize("depth", [[6], {}, None, "6"])
def test_a_board_whose_depth_is_no_number_has_no_plot_by_depth(tmp_path: Path, depth: object) -> None:
    board = replace(board_of("internalized"), config={"depth": depth, "visual": False})
    with closing(Boards(tmp_path, create=True)) as boards:
        entries = [(board, Figures(1, 1, 1, N, 0, 0, 1))]
        boards.add(boards.begin_attempt("run"), Bundle({"run.json": b"{}"}), "r", "r", "hf:z", entries)
        assert "hf:z" in Pages(boards).board(board.id)


def test_a_page_lists_the_best_entries_and_another_page_all_of_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboards.pages.page.MAX_ENTRIES", 2)
    monkeypatch.setattr("leaderboards.pages.export.MAX_ENTRIES", 2)
    models = [model.name for model in MODELS]
    with closing(Boards(folder)) as boards:
        ranked = rank(boards, next(b for b in boards.boards() if len(boards.entries(b)) == len(MODELS)))
        export(boards, tmp_path / "out")
        for link, address in ((SERVED, "/board/{}/all"), (EXPORTED, "board-{}-all.html")):
            best = Pages(boards, link).board(ranked.board.id)
            every = respond(boards, address.format(ranked.board.id)).body.decode()
            if link is EXPORTED:
                every = (tmp_path / "out" / address.format(ranked.board.id)).read_text(encoding="utf-8")
            assert f'href="{address.format(ranked.board.id)}">list all' in best
            assert "list all" not in every
            for page, listed in ((best, models[:2]), (every, models)):
                table = page.partition("<tbody>")[2].partition("</tbody>")[0]
                assert [name for name in models if f">{name}<" in table] == listed


@pytest.mark.parametrize("name", ["manifest.json", "run.json", "board.sqlite"])
def test_an_export_does_not_mix_with_other_files(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with (
        closing(Boards(folder)) as boards,
        pytest.raises(UserError, match="out: expected a new or empty folder"),
    ):
        export(boards, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with closing(Boards(folder)) as boards:
        assert export(boards, tmp_path / "out") == export(boards, tmp_path / "out")


VISIBLE_MODELS = (
    "[...document.querySelectorAll('#table tbody tr:not([hidden]) th')].map((h) => h.firstChild.textContent)"
)
SHOWN = "document.getElementById('shown').textContent"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("#sort=prompt+tokens&down=1", ["=1+1", "hf:gamma", "hf:alpha", "hf:beta"]),
        ("#sort=model&down=1&text=HF", ["hf:gamma", "hf:beta", "hf:alpha"]),
    ],
)
def test_an_address_contains_sorting_and_filter(
    browser: Browser, address: tuple[str, int], folder: Path, fragment: str, expected: list[str]
) -> None:
    with closing(Boards(folder)) as boards:
        board = internalized(boards)
    browser.open(f"http://127.0.0.1:{address[1]}/board/{board.id}{fragment}")
    assert browser.run(VISIBLE_MODELS) == expected
    assert browser.run(SHOWN) == f"{len(expected)} of 4 shown"
    assert browser.errors == []


def test_hostile_names_in_a_browser(browser: Browser, hostile: Path, tmp_path: Path) -> None:
    with closing(Boards(hostile)) as boards:
        files = export(boards, tmp_path / "out")
    browser.open(next(f for f in files if f.name.startswith("board-")).as_uri())
    assert browser.run(SHOWN) == "4 of 4 shown"
    attributes = browser.run("[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())")
    assert not [name for name in attributes if name.startswith("on")]
    assert browser.errors == []


def test_exported_rows_are_in_the_order_of_their_ranks(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    with closing(Boards(folder)) as boards:
        board = internalized(boards)
        files = export(boards, tmp_path / "out")
    browser.open(next(f for f in files if f.name == f"board-{board.id}.html").as_uri())
    assert browser.run(VISIBLE_MODELS) == [model.name for model in MODELS]
