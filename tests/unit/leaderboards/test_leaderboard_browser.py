"""The boards in a real browser: sort, filter, open an entry, compare two."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.files.benchmark import Benchmark
from harness.run import EvalRequest, evaluate
from leaderboards.pages.serve import make_server
from leaderboards.storage.board import Boards
from leaderboards.submit import submit

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe"
).split()


class Browser:
    """Chromium with one page, controlled through two pipes that it has as file descriptors 3 and 4."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM is not None
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{requests} 4>&{answers}', CHROMIUM, *FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={folder}"], pass_fds=(requests, answers), stderr=subprocess.DEVNULL
        )
        os.close(requests)
        os.close(answers)
        self._reader = os.fdopen(self._answers, "rb")
        self._number, self._session = 0, ""
        self.errors: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(json.dumps(answer["params"]))
            if answer.get("id") == self._number:
                return answer["result"]

    def _read(self) -> bytes:
        data = b""
        while not data.endswith(b"\0"):
            piece = self._reader.read(1)
            assert piece, "the browser has ended"
            data += piece
        return data[:-1]

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Waits until an expression on the page is true, also while the page is loading."""
        for _ in range(300):
            answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
            if answer["result"].get("value") is True:
                return
            time.sleep(0.05)
        raise AssertionError(f"not true after 15 s: {script}; {self.run('document.body.innerText')}")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            code = {"Enter": 13, "Tab": 9, " ": 32}[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.close()
        os.close(self._requests)


@pytest.fixture(scope="module")
def served(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("browser")
    boards = Boards(folder / "board", create=True)
    for model in ("oracle", "random", "majority"):
        evaluate(Benchmark(text_folder), EvalRequest(model), folder / model)
        submit(boards, folder / model)
    board = next(b.id for b in boards.boards() if b.key.variant == "internalized")
    boards.close()
    server = make_server(folder / "board", "127.0.0.1", 0, quiet=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/board/{board}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "user")
    yield browser
    browser.close()


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
