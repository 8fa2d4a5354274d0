"""The Python API: the code of docs/python.md, settings, and that `import harness` imports little."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import UserError
from harness.files import store
from harness.records import Response

ROOT = Path(__file__).parents[2]


def test_the_code_of_the_docs_runs_in_order(text_folder: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    (tmp_path / "bench").symlink_to(text_folder)
    (tmp_path / "training").symlink_to(ROOT / "training")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("max_new_tokens=192", "max_new_tokens=8")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "external:respond  override" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("responses: missing ids (1 of 12): internalized/0/")
    assert (tmp_path / "runs/tiny/report.html").is_file()
    assert (tmp_path / "runs/always-0/report.html").is_file()


def test_importing_the_package_imports_none_of_its_modules() -> None:
    code = "import harness, sys; print(*(m for m in sys.modules if m.startswith(('harness', 'numpy'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["harness"]
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        harness.evalute  # type: ignore[attr-defined]  # noqa: B018


def test_settings_are_the_flags_of_the_command(text_folder: Path, tmp_path: Path) -> None:
    bench = harness.load(text_folder)
    settings = {"variants": "override", "samples": 2, "temperature": 0.5, "seed": 3, "batch_check": False}
    report = harness.evaluate(bench, "random", out=tmp_path / "run", **settings)
    run = report.figures.run
    assert (run.variants, run.samples, run.sampling["temperature"]) == (("override",), 2, 0.5)
    assert list(report.accuracy) == ["override"] and report.table() == repr(report)
    assert report.rows()[0]["variant"] == "override"
    with pytest.raises(UserError, match=r"^temprature: expected one of the settings address, base_url,"):
        harness.evaluate(bench, "random", temprature=1)
    for setting, value in (("variants", 3), ("limit", "4"), ("temperature", "hot"), ("model", 5), ("out", 5)):
        with pytest.raises(UserError, match=rf"^{setting}: expected (a|the path)"):
            harness.evaluate(text_folder, **{"model": "majority", setting: value})
    with pytest.raises(UserError, match=r"^model: expected a model"):
        harness.evaluate(bench)


def test_a_function_gets_texts_and_images_and_may_fail(text_folder: Path, tmp_path: Path) -> None:
    bench, got = harness.load(text_folder), []

    def broken(messages: list[dict[str, Any]]) -> Any:
        got.append(messages)
        if len(got) == 1:
            raise RuntimeError("out of memory")
        return None if len(got) == 2 else r"\boxed{A}"

    def evaluate() -> Any:
        return harness.evaluate(bench, respond=broken, variants="internalized", out=tmp_path / "run")

    report = evaluate()
    assert report.figures.run.model == "external:broken"
    (row,) = (r for r in report.figures.rows if r.label == "accuracy" and not r.group)
    assert (row.errors, row.n) == (2, 10)
    responses = list(store.read_lines(tmp_path / "run/responses.jsonl", Response))
    errors = [r.error for r in responses if r.error]
    assert errors == ["RuntimeError: out of memory", "expected a text from the function, got NoneType"]
    image, text = got[0][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,") and "?" in text["text"]
    # The same call sends only what failed.
    assert evaluate().figures.rows and len(got) == 12 + 2
    # The name may have the prefix that a report shows.
    with pytest.raises(UserError, match="external:broken', but 'external:mine' was requested"):
        harness.evaluate(bench, "external:mine", respond=broken, out=tmp_path / "run")


def test_a_batch_needs_a_folder(text_folder: Path) -> None:
    with pytest.raises(UserError, match="out: expected a folder, in which a batch can be resumed, got none"):
        harness.evaluate(text_folder, model="anthropic:claude", batch=True)


def test_a_function_with_async_is_refused(text_folder: Path) -> None:
    async def respond(_: object) -> str:
        return ""

    with pytest.raises(
        UserError, match="respond: expected a function that returns the text, got one with async"
    ):
        harness.evaluate(text_folder, respond=respond)


def test_variants_may_be_a_list(text_folder: Path) -> None:
    report = harness.evaluate(text_folder, "oracle", variants=["override", "internalized"], limit=2)
    assert set(report.accuracy) == {"override", "internalized"}


def test_a_function_that_always_fails_is_explained_without_a_folder(text_folder: Path) -> None:
    def broken(_messages: list[dict[str, Any]]) -> str:
        raise RuntimeError("out of memory")

    with pytest.raises(UserError) as error:
        harness.evaluate(text_folder, respond=broken, limit=2)
    assert str(error.value) == "every request failed, most of them with: RuntimeError: out of memory"


def test_arguments_of_another_type_are_refused(text_folder: Path) -> None:
    with pytest.raises(UserError, match=r"^responses: expected the path of a file, or dictionaries, got 3"):
        harness.score(text_folder, 3, model="mine")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^response: expected a text, got None"):
        harness.grade("{}", None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^split: expected one of .*, cloze, got 'foo'"):
        harness.evaluate(text_folder, "oracle", split="foo")


def test_a_wrong_line_is_named(text_folder: Path) -> None:
    bench = harness.load(text_folder)
    lines = list(harness.prompts(bench))
    with pytest.raises(UserError, match=r"^responses: 'internalized/0/.*: expected a text or else an error"):
        harness.score(bench, lines, model="mine")
