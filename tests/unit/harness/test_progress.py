"""Progress is a bar on a terminal, and whole lines elsewhere."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from harness import progress

COUNT = """
from harness.progress import Bar, note
with Bar(total=3, desc="responses", unit="") as bar:
    bar.set_postfix_str("loss 2")
    for _ in range(3):
        bar.update(1)
        note("a remark")
"""


def test_a_file_gets_lines() -> None:
    text = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, check=True).stderr.decode()
    lines = text.splitlines()
    assert lines.count("a remark") == 3
    assert lines[0].startswith("responses: 0 of 3 ")
    assert lines[-1].startswith("responses: 3 of 3 ") and lines[-1].endswith(", loss 2")
    assert "\r" not in text and "" not in lines


def test_nothing_to_do_has_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Bar(total=0, desc="pictures", unit=""):
        pass
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", COUNT], stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:
        pass  # Linux reports the end of a terminal's output as an error.
    assert process.wait() == 0
    assert b"\r" in shown and b"100%" in shown


def test_lines_follow_at_the_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL", 0.0)
    assert list(progress.Bar(range(3), desc="files", unit="")) == [0, 1, 2]
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["0", "1", "2", "3", "3"]


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress.Bar, "quiet", True)
    assert list(progress.Bar(range(3), desc="files", unit="")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
