"""Chromium for tests of pages, controlled by the Chrome DevTools Protocol."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --remote-debugging-pipe"
).split()


class Browser:
    """Chromium with one page. It reads commands from file descriptor 3 and writes answers to 4."""

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
        """The result of a method of the Chrome DevTools Protocol."""
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
            assert piece, "the browser ended"
            data += piece
        return data[:-1]

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Waits until a JavaScript expression is true. The page may still be loading."""
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
