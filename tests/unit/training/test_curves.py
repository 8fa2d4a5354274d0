"""The history of a run's log, and the page of its curves, which is safe to open."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.files import store
from training.curves.history import LOG, RECORD_FILE, LogEntry, MetricValues, read_history
from training.curves.page import MAX_VALUES, PAGE, write_curves
from training.curves.panels import PANELS

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{7*7}}{%x%}$\\frac{ ]]>-->"
LISTED = {name for panel in PANELS for names in panel.lines.values() for name in names if "*" not in name}


class PageParser(HTMLParser):
    """Tags, attributes and text of a page, titles of its plots and rows of its tables."""

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
        """Label of a line -> its figures, each with its step."""
        start = self.source.index(f'aria-label="{plot}: figures"')
        body = self.source[start : self.source.index("</table>", start)]
        cells = (
            re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
            for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)[1:]
        )
        texts = ([re.sub(r"<.*?>", "", cell, flags=re.DOTALL).split() for cell in row] for row in cells)
        return {" ".join(label): figures for label, *figures in texts}


def run(folder: Path, steps: dict[int, MetricValues], stage: str = "rl", **training: Any) -> Path:
    folder.mkdir(exist_ok=True)
    store.Log(folder / LOG, LogEntry).append(
        [
            LogEntry(stage, resumed=0),
            *(LogEntry(stage, step, 2 * len(steps), 60.0 * step, values) for step, values in steps.items()),
        ]
    )
    if training:
        store.write_json(folder / RECORD_FILE, training)
    return folder


def draw(folder: Path, steps: dict[int, MetricValues], **training: Any) -> PageParser:
    """The page of a run with these steps."""
    return PageParser(write_curves(run(folder, steps, **training)))


def same_values(*metrics: str, steps: int = 4) -> dict[int, MetricValues]:
    return {step: dict.fromkeys(metrics, step / 4) for step in range(1, steps + 1)}


def test_steps_after_the_one_that_a_session_resumed_from_are_replaced(tmp_path: Path) -> None:
    log = store.Log(run(tmp_path, {k: {"loss": float(k)} for k in (5, 10, 15)}) / LOG, LogEntry)
    log.append([LogEntry("cot-sft", 15, 15, 9.0, {"loss": 0.0})])
    log.append([LogEntry("rl", resumed=9), LogEntry("rl", 10, 20, 7.0, {"loss": -10.0})])
    log.append([LogEntry("rl", 10, 20, 8.0, {"eval_loss": -1.0})])
    history = read_history(tmp_path)
    assert history["rl"].steps == {5: {"loss": 5.0}, 10: {"loss": -10.0, "eval_loss": -1.0}}
    assert (history["rl"].total_steps, history["rl"].seconds, history["rl"].last_step) == (20, 8.0, 10)
    assert list(history["cot-sft"].steps) == [15], "another stage is unchanged"


def test_reading_a_log_does_not_change_it(tmp_path: Path) -> None:
    log = run(tmp_path, same_values("loss")) / LOG
    history = read_history(tmp_path)
    log.write_bytes(torn := log.read_bytes() + b'{"stage":"rl","st')
    assert read_history(tmp_path) == history
    assert log.read_bytes() == torn, "a run that is training may still complete this line"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ('{"stage":"rl"}\n{"stage":3}\n', "line 2: stage: expected a text"),
        ('{"stage":"rl","seconds":1e300}\n{}\n', "line 1: seconds: expected a number of at most"),
    ],
)
def test_an_unreadable_log_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / LOG).write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        write_curves(tmp_path)


@pytest.mark.parametrize("training", ['{"data": ["x"]}', '{"data": 3}', "[]"])
def test_an_unreadable_training_record_is_an_error(tmp_path: Path, training: str) -> None:
    folder = run(tmp_path, same_values("loss"))
    (folder / RECORD_FILE).write_text(training)
    with pytest.raises(UserError, match=r"training\.json: .*expected "):
        write_curves(folder)


def test_there_is_a_plot_for_each_logged_metric_and_no_other(tmp_path: Path) -> None:
    every = draw(tmp_path / "all", same_values(*LISTED, "reward/clevrpolicy", "reward/gtapolicy"))
    assert every.plots == [panel.title for panel in PANELS]
    assert len(re.findall(r'<div class="plot"[^>]*><svg ', every.source)) == len(PANELS)
    few = draw(tmp_path / "few", same_values("loss", "kl", "reward/clevrpolicy", "mine"))
    assert few.plots == ["Loss", "KL"]
    # Metrics without a plot are in a table. With a single family, its reward is the total reward.
    assert few.rows("Other logged metrics").keys() == {"reward/clevrpolicy", "mine"}


def test_policy_aware_and_policy_free_share_a_plot_and_their_difference_has_one(tmp_path: Path) -> None:
    steps: dict[int, MetricValues] = {
        1: {"reward/policy_free": 0.25, "reward/policy_aware": 0.75},
        2: {"reward/policy_free": 0.5, "reward/policy_aware": None},
        3: {"reward/policy_free": 0.75, "reward/policy_aware": 0.5},
    }
    page = draw(tmp_path, steps)
    assert page.rows("Reward") == {
        "policy-free": [["0.25", "1"], ["0.75", "3"], ["0.25", "1"], ["0.75", "3"]],
        "policy-aware": [["0.75", "1"], ["0.5", "3"], ["0.5", "3"], ["0.75", "1"]],
    }
    gain = page.rows("Reward: policy-aware less policy-free")
    assert gain == {"difference": [["0.5", "1"], ["-0.25", "3"], ["-0.25", "3"], ["0.5", "1"]]}


def test_figures_show_the_moving_mean(tmp_path: Path) -> None:
    steps: dict[int, MetricValues] = {
        k: {"kl": float(k % 2), "learning_rate": 1 / k, "num_tokens": 1000.0 * k} for k in range(1, 41)
    }
    page = draw(tmp_path, steps)
    assert page.text.count("mean of 2") == 1, "for KL, above its table"
    assert page.rows("KL") == {"KL": [["1", "1"], ["0.5", "40"], ["0.5", "2"], ["1", "1"]]}
    assert page.rows("Learning rate")["rate"][1] == ["0.025", "40"], "a metric without noise has no mean"
    assert page.rows("Other logged metrics")["num_tokens"][1] == ["40", "000", "40"]


@pytest.mark.parametrize(("values", "ranges"), [(1, 0), (MAX_VALUES, 0), (MAX_VALUES + 1, 1)])
def test_the_range_is_drawn_if_there_are_too_many_values(tmp_path: Path, values: int, ranges: int) -> None:
    steps: dict[int, MetricValues] = {k: {"kl": float(k % 7)} for k in range(1, values + 1)}
    page = draw(tmp_path, steps)
    assert page.source.count("fill-opacity: 0.25") == ranges
    assert page.rows("KL")["KL"][1][1] == str(values)


def test_a_loss_that_is_not_finite_is_reported_and_not_drawn(tmp_path: Path) -> None:
    steps: dict[int, MetricValues] = {1: {"loss": 2.0}, 2: {"loss": None}, 3: {"loss": None, "kl": None}}
    page = draw(tmp_path, steps)
    warning = "loss was not finite at 2 of 3 logged steps, first at step 2"
    assert f"{tmp_path.name}, rl: {warning}" in page.text
    assert page.plots == ["Loss"]
    assert page.rows("Loss") == {"training": [["2", "1"]] * 4}
    assert "Before you trust" not in draw(tmp_path / "good", same_values("loss")).text


def test_the_page_shows_the_training_record(tmp_path: Path) -> None:
    page = write_curves(
        run(
            tmp_path / "described",
            same_values("loss"),
            recipe="trimpi-poro-dapo",
            base="hf:base",
            data=[{"benchmark": "bench/n4", "digest": "abcd" * 16}, {}],
            stages=[{"stage": "rl", "settings": {"learning_rate": 1e-6}}],
            versions={"trl": "1.16.0"},
        )
    )
    assert page == tmp_path / "described" / PAGE
    source = PageParser(page).source
    chips = ("trimpi-poro-dapo", "hf:base", "bench/n4 <code>abcdabcdabcd</code>", "4 of 8 steps, 0:04:00")
    assert all(text in source for text in chips)
    assert "<dt>stages.0.settings.learning_rate</dt><dd>1e-06</dd>" in source
    assert "<dt>versions.trl</dt><dd>1.16.0</dd>" in source


def test_a_run_without_logged_steps_has_a_page(tmp_path: Path) -> None:
    page = draw(tmp_path, {})
    assert page.plots == []
    assert "0 of 0 steps" in page.text


def test_several_runs_share_plots(tmp_path: Path) -> None:
    poro = run(tmp_path / "poro", same_values("loss", "reward/policy_free", "reward/policy_aware", "reward"))
    grpo = run(tmp_path / "grpo", same_values("loss", "reward", steps=3))
    vm = run(tmp_path / "vm", same_values("loss", "mine"), stage="vm-cpt")
    out = write_curves(poro, grpo, vm, out=tmp_path / "new" / "page.html")
    assert out == tmp_path / "new" / "page.html"
    page = PageParser(out)
    reward = ["Reward: policy-free", "Reward: policy-aware", "Reward: policy-aware less policy-free"]
    assert page.plots == ["Loss", *reward, "Loss"]
    assert list(page.rows("Loss")) == ["poro", "grpo"]
    # Without PolicyRollout all responses are policy-free.
    assert page.rows("Reward: policy-free")["grpo"][1] == ["0.75", "3"]
    assert page.rows("Reward: policy-aware").keys() == {"poro"}
    with pytest.raises(UserError, match="out: expected a file for the page of 2 runs"):
        write_curves(poro, grpo)


def test_runs_with_the_same_name_are_labeled_by_path(tmp_path: Path) -> None:
    runs = []
    for method in ("grpo", "poro"):
        (tmp_path / method).mkdir()
        runs.append(run(tmp_path / method / "seed-0", same_values("loss")))
    page = PageParser(write_curves(*runs, out=tmp_path / PAGE))
    assert list(page.rows("Loss")) == [str(path) for path in runs]


def test_lines_differ_by_color_and_dashes(tmp_path: Path) -> None:
    runs = [run(tmp_path / f"run-{k}", same_values("loss")) for k in range(16)]
    page = PageParser(write_curves(*runs, out=tmp_path / PAGE)).source
    table = page[page.index('aria-label="Loss: figures"') :]
    strokes = re.findall(r'<svg class="(stroke variant-\d)".*?<path (.*?)/>', table, re.DOTALL)
    assert len(set(strokes)) == len(strokes) == 16
    drawn = re.findall(r'<path d="[^"]*" style="(fill: none[^"]*var[^"]*)"', page)
    assert len(set(drawn)) == 16


def test_nothing_is_fetched_and_hostile_names_remain_text(tmp_path: Path) -> None:
    harmless = draw(tmp_path / "a", same_values("loss", "reward/b", "reward/c", "mine"), recipe="d")
    name = HOSTILE.replace("/", "∕")
    metrics = ("loss", f"reward/{HOSTILE}", "reward/c", HOSTILE)
    record = {"recipe": HOSTILE, "base": HOSTILE, "data": [{"benchmark": HOSTILE, "digest": HOSTILE}]}
    folder = run(
        tmp_path / name, same_values(*metrics), f"rl{HOSTILE}", **record, versions={HOSTILE: HOSTILE}
    )
    page = PageParser(write_curves(folder))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags} | {"code"}
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on") or a == "src"]
    assert page.text.count(HOSTILE) >= 6
    assert name in page.text
    for source in (page.source, harmless.source):
        assert not re.search(r"https?:|@import|url\((?!#)", source)
        assert "default-src 'none'; style-src 'unsafe-inline'" in source
