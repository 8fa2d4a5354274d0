"""What stands of a run's log, and the page of its curves: plots where there is something, safe to open."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.files import store
from training.curves.history import LOG, Line, Values, read
from training.curves.page import MOST, PAGE, TRAINING, write_curves
from training.curves.panels import PANELS

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{7*7}}{%x%}$\\frac{ ]]>-->"
TAKEN = {name for panel in PANELS for names in panel.lines.values() for name in names if "*" not in name}


class Reader(HTMLParser):
    """Tags, attributes and text of a page; the titles of its plots, and the rows of its tables."""

    def __init__(self, file: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.source = file.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)
        self.plots = [
            (name or "").partition(" by step")[0]
            for tag, attributes in self.tags
            if attributes.get("role") == "img"
            for name in [attributes.get("aria-label")]
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def rows(self, plot: str) -> dict[str, list[list[str]]]:
        """By a line's label its figures, each with its step."""
        start = self.source.index(f'aria-label="{plot}: figures"')
        body = self.source[start : self.source.index("</table>", start)]
        cells = (
            re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
            for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)[1:]
        )
        texts = ([re.sub(r"<.*?>", "", cell, flags=re.DOTALL).split() for cell in row] for row in cells)
        return {" ".join(label): figures for label, *figures in texts}


def run(folder: Path, steps: dict[int, Values], stage: str = "rl", **training: Any) -> Path:
    folder.mkdir(exist_ok=True)
    store.Log(folder / LOG, Line).append(
        [
            Line(stage, resumed=0),
            *(Line(stage, step, 2 * len(steps), 60.0 * step, values) for step, values in steps.items()),
        ]
    )
    if training:
        store.write_json(folder / TRAINING, training)
    return folder


def alike(*metrics: str, steps: int = 4) -> dict[int, Values]:
    return {step: dict.fromkeys(metrics, step / 4) for step in range(1, steps + 1)}


def test_lines_after_the_step_that_a_sitting_went_on_from_are_superseded(tmp_path: Path) -> None:
    log = store.Log(run(tmp_path, {k: {"loss": float(k)} for k in (5, 10, 15)}) / LOG, Line)
    log.append([Line("cot-sft", 15, 15, 9.0, {"loss": 0.0})])
    log.append([Line("rl", resumed=9), Line("rl", 10, 20, 7.0, {"loss": -10.0})])
    log.append([Line("rl", 10, 20, 8.0, {"eval_loss": -1.0})])
    found = read(tmp_path)
    assert found["rl"].steps == {5: {"loss": 5.0}, 10: {"loss": -10.0, "eval_loss": -1.0}}
    assert (found["rl"].of, found["rl"].seconds, found["rl"].done) == (20, 8.0, 10)
    assert list(found["cot-sft"].steps) == [15], "another stage is untouched"


def test_reading_a_log_leaves_it_as_it_is(tmp_path: Path) -> None:
    log = run(tmp_path, alike("loss")) / LOG
    whole = read(tmp_path)
    log.write_bytes(torn := log.read_bytes() + b'{"stage":"rl","st')
    assert read(tmp_path) == whole
    assert log.read_bytes() == torn, "a run that is training may be about to end this line"


@pytest.mark.parametrize(
    ("text", "said"), [(None, "no such file"), ('{"stage":"rl"}\n{"stage":3}\n', "line 2: Expected `str`")]
)
def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / LOG).write_text(text)
    with pytest.raises(UserError, match=re.escape(said)):
        write_curves(tmp_path)


def test_a_plot_for_each_metric_that_is_logged_and_no_other(tmp_path: Path) -> None:
    every = Reader(
        write_curves(run(tmp_path / "all", alike(*TAKEN, "reward/clevrpolicy", "reward/gtapolicy")))
    )
    assert every.plots == [panel.title for panel in PANELS]
    assert len(re.findall(r'<div class="plot"[^>]*><svg ', every.source)) == len(PANELS)
    few = Reader(write_curves(run(tmp_path / "few", alike("loss", "kl", "reward/clevrpolicy", "mine"))))
    assert few.plots == ["Loss", "KL"]
    # What has no plot is not lost; one family alone is all of the reward.
    assert few.rows("What else was logged").keys() == {"reward/clevrpolicy", "mine"}


def test_policy_aware_and_policy_free_in_one_plot_and_their_difference(tmp_path: Path) -> None:
    steps: dict[int, Values] = {
        1: {"reward/policy_free": 0.25, "reward/policy_aware": 0.75},
        2: {"reward/policy_free": 0.5, "reward/policy_aware": None},
        3: {"reward/policy_free": 0.75, "reward/policy_aware": 0.5},
    }
    page = Reader(write_curves(run(tmp_path, steps)))
    assert page.rows("Reward") == {
        "policy-free": [["0.25", "1"], ["0.75", "3"], ["0.25", "1"], ["0.75", "3"]],
        "policy-aware": [["0.75", "1"], ["0.5", "3"], ["0.5", "3"], ["0.75", "1"]],
    }
    gain = page.rows("Reward: policy-aware less policy-free")
    assert gain == {"difference": [["0.5", "1"], ["-0.25", "3"], ["-0.25", "3"], ["0.5", "1"]]}


def test_figures_are_of_the_moving_mean(tmp_path: Path) -> None:
    steps: dict[int, Values] = {
        k: {"kl": float(k % 2), "learning_rate": 1 / k, "num_tokens": 1000.0 * k} for k in range(1, 41)
    }
    page = Reader(write_curves(run(tmp_path, steps)))
    assert page.text.count("mean of 2") == 1, "of KL, over its table"
    assert page.rows("KL") == {"KL": [["1", "1"], ["0.5", "40"], ["0.5", "2"], ["1", "1"]]}
    assert page.rows("Learning rate")["rate"][1] == ["0.025", "40"], "no mean of what is no noise"
    assert page.rows("What else was logged")["num_tokens"][1] == ["40", "000", "40"]


@pytest.mark.parametrize(("values", "ranges"), [(1, 0), (MOST, 0), (MOST + 1, 1)])
def test_of_more_values_than_can_be_seen_the_range_is_drawn(tmp_path: Path, values: int, ranges: int) -> None:
    steps: dict[int, Values] = {k: {"kl": float(k % 7)} for k in range(1, values + 1)}
    page = Reader(write_curves(run(tmp_path, steps)))
    assert page.source.count("fill-opacity: 0.25") == ranges
    assert page.rows("KL")["KL"][1][1] == str(values)


def test_a_loss_that_is_no_number_is_said_and_drawn_nowhere(tmp_path: Path) -> None:
    steps: dict[int, Values] = {1: {"loss": 2.0}, 2: {"loss": None}, 3: {"loss": None, "kl": None}}
    page = Reader(write_curves(run(tmp_path, steps)))
    said = "loss was no finite number at 2 of 3 logged steps, first at step 2"
    assert f"{tmp_path.name}, rl: {said}" in page.text
    assert page.plots == ["Loss"]
    assert page.rows("Loss") == {"training": [["2", "1"]] * 4}
    assert "Before you believe" not in Reader(write_curves(run(tmp_path / "good", alike("loss")))).text


def test_what_the_run_was_is_told(tmp_path: Path) -> None:
    page = write_curves(
        run(
            tmp_path / "told",
            alike("loss"),
            recipe="trimpi-poro-dapo",
            base="hf:base",
            data=[{"benchmark": "bench/n4", "digest": "abcd" * 16}, {}],
            stages=[{"stage": "rl", "settings": {"learning_rate": 1e-6}}],
            versions={"trl": "1.16.0"},
        )
    )
    assert page == tmp_path / "told" / PAGE
    source = Reader(page).source
    for told in (
        "trimpi-poro-dapo",
        "hf:base",
        "bench/n4 <code>abcdabcdabcd</code>",
        "4 of 8 steps, 0:04:00",
    ):
        assert told in source
    assert "<dt>stages.0.settings.learning_rate</dt><dd>1e-06</dd>" in source
    assert "<dt>versions.trl</dt><dd>1.16.0</dd>" in source


def test_a_run_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    page = Reader(write_curves(run(tmp_path, {})))
    assert page.plots == []
    assert "0 of 0 steps" in page.text


def test_several_runs_over_each_other(tmp_path: Path) -> None:
    poro = run(tmp_path / "poro", alike("loss", "reward/policy_free", "reward/policy_aware", "reward"))
    grpo = run(tmp_path / "grpo", alike("loss", "reward", steps=3))
    vm = run(tmp_path / "vm", alike("loss", "mine"), stage="vm-cpt")
    out = write_curves(poro, grpo, vm, out=tmp_path / "new" / "page.html")
    assert out == tmp_path / "new" / "page.html"
    page = Reader(out)
    reward = ["Reward: policy-free", "Reward: policy-aware", "Reward: policy-aware less policy-free"]
    assert page.plots == ["Loss", *reward, "Loss"]
    assert list(page.rows("Loss")) == ["poro", "grpo"]
    # Without PolicyRollout the only reward there is is that of policy-free responses.
    assert page.rows("Reward: policy-free")["grpo"][1] == ["0.75", "3"]
    assert page.rows("Reward: policy-aware").keys() == {"poro"}
    with pytest.raises(UserError, match="expected the file to write a page of 2 runs to"):
        write_curves(poro, grpo)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = []
    for method in ("grpo", "poro"):
        (tmp_path / method).mkdir()
        runs.append(run(tmp_path / method / "seed-0", alike("loss")))
    page = Reader(write_curves(*runs, out=tmp_path / PAGE))
    assert list(page.rows("Loss")) == [str(path) for path in runs]


def test_lines_are_told_apart_by_colour_and_dashes(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"run-{k}", alike("loss")) for k in range(16)]
    page = Reader(write_curves(*runs, out=tmp_path / PAGE)).source
    table = page[page.index('aria-label="Loss: figures"') :]
    strokes = re.findall(r'<svg class="(stroke variant-\d)".*?<path (.*?)/>', table, re.DOTALL)
    assert len(set(strokes)) == len(strokes) == 16
    drawn = re.findall(r'<path d="[^"]*" style="(fill: none[^"]*var[^"]*)"', page)
    assert len(set(drawn)) == 16


def test_nothing_is_fetched_and_hostile_names_stay_text(tmp_path: Path) -> None:
    harmless = Reader(
        write_curves(run(tmp_path / "a", alike("loss", "reward/b", "reward/c", "mine"), recipe="d"))
    )
    name = HOSTILE.replace("/", "∕")
    metrics = ("loss", f"reward/{HOSTILE}", "reward/c", HOSTILE)
    told = {"recipe": HOSTILE, "base": HOSTILE, "data": [{"benchmark": HOSTILE, "digest": HOSTILE}]}
    made = run(tmp_path / name, alike(*metrics), f"rl{HOSTILE}", **told, versions={HOSTILE: HOSTILE})
    page = Reader(write_curves(made))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags} | {"code"}
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on") or a == "src"]
    assert page.text.count(HOSTILE) >= 6
    assert name in page.text
    for source in (page.source, harmless.source):
        assert not re.search(r"https?:|@import|url\((?!#)", source)
        assert "default-src 'none'; style-src 'unsafe-inline'" in source
