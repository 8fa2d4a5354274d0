"""The boards in a real browser: sort, filter, compare two entries, open one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from submissions import serving

from harness.files.benchmark import Benchmark
from harness.request import EvalRequest
from harness.run import evaluate
from leaderboards.storage.board import Boards
from leaderboards.submit import submit


@pytest.fixture(scope="module")
def served(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("browser")
    boards = Boards(folder / "board", create=True)
    for model in ("oracle", "random", "majority"):
        evaluate(Benchmark(text_folder), EvalRequest(model), folder / model)
        submit(boards, folder / model)
    board = next(b.id for b in boards.boards() if b.key.variant == "internalized")
    boards.close()
    with serving(folder / "board") as port:
        yield f"http://127.0.0.1:{port}/board/{board}"


MODELS = "[...document.querySelectorAll('#table tbody tr:not([hidden]) th a')].map((a) => a.textContent)"
HEAD = "[...document.querySelectorAll('#table thead button')].find((b) => b.textContent === '{}')"


def test_sort_filter_compare_and_open(browser: Browser, served: str) -> None:
    browser.open(served.rpartition("/board/")[0] + "/")
    browser.run("document.querySelector('main a').click()")
    browser.wait("location.pathname.startsWith('/board/') && document.readyState === 'complete'")
    browser.open(served)
    ranked = browser.run(MODELS)
    assert ranked[0] == "oracle"
    assert sorted(ranked) == ["majority", "oracle", "random"]

    browser.run(HEAD.format("model") + ".focus()")
    browser.press("Enter")
    assert browser.run(MODELS) == ["majority", "oracle", "random"]
    browser.press("Enter")
    assert browser.run(MODELS) == ["random", "oracle", "majority"]
    assert browser.run("document.querySelector('[aria-sort]').ariaSort") == "descending"

    browser.run("document.getElementById('text').focus()")
    browser.call("Input.insertText", text="MAJ")
    assert browser.run(MODELS) == ["majority"]
    assert browser.run("document.getElementById('shown').textContent") == "1 of 3 shown"
    assert browser.run("location.hash") == "#sort=model&down=1&text=MAJ"
    browser.run("document.getElementById('text').select()")
    browser.call("Input.insertText", text="r")
    assert browser.run(MODELS) == ["random", "oracle", "majority"]

    assert browser.run("document.getElementById('compare').disabled")
    browser.run("document.querySelector('input[type=checkbox]').focus()")
    browser.press(" ")
    browser.run("document.querySelectorAll('input[type=checkbox]')[1].click()")
    assert browser.run("document.querySelectorAll('input[type=checkbox]')[2].disabled")
    assert not browser.run("document.getElementById('compare').disabled")
    browser.run("document.getElementById('compare').click()")
    browser.wait("location.pathname === '/compare' && document.readyState === 'complete'")
    assert "random and oracle" in browser.run("document.querySelector('h1').innerText")
    assert "better" in browser.run("document.querySelector('main').innerText")

    browser.run("[...document.querySelectorAll('main a')].find((a) => a.textContent === 'oracle').click()")
    browser.wait("location.pathname.startsWith('/entry/') && document.readyState === 'complete'")
    assert "oracle" in browser.run("document.querySelector('h1').innerText")
    browser.run("document.querySelector('a.button').click()")
    browser.wait("location.pathname.endsWith('/report.html') && document.readyState === 'complete'")
    assert browser.run("window.origin") == "null", "the report must not have access to the boards"
    browser.run("document.querySelector('[name=variant]').value = 'override'")
    browser.run("document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert browser.run("document.getElementById('shown').textContent") == "12 of 36 shown"
    assert browser.errors == []


BOXES = "[...document.querySelectorAll('table')].map((table) => table.parentElement)"
STYLE = "getComputedStyle(e)"


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_is_wider_than_the_screen(browser: Browser, served: str, width: int) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True
    )
    browser.open(served)
    paths = ["/", "/reported", browser.run("document.querySelector('#table a').pathname")]
    for path in (served, *paths):
        browser.open(path if "://" in path else served.rpartition("/board/")[0] + path)
        assert browser.run("document.documentElement.scrollWidth") <= width, path
        # A table that is wider scrolls in its box, and a shadow shows that it does.
        assert browser.run(f"{BOXES}.every((e) => {STYLE}.overflowX === 'auto')"), path
        assert browser.run(f"{BOXES}.every((e) => {STYLE}.backgroundImage.match(/gradient/g).length === 4)")
