"""What commands say to people who name the wrong thing, and in places where nothing can be written."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import run_command
from test_commands import refused

import clevrpolicy.cli
import gtapolicy.cli
import harness.cli
import leaderboards.cli
import training.cli

BIN = Path(sys.executable).parent


MAINS = {
    "harness": harness.cli.main,
    "clevrpolicy": clevrpolicy.cli.main,
    "gtapolicy": gtapolicy.cli.main,
    "leaderboard": leaderboards.cli.main,
    "trimpi": training.cli.main,
}
# The words of a command -> its exit code and what it prints, in one line.
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs commands in this process, which takes milliseconds."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", list(words))
        code = 0
        try:
            MAINS[words[0]]()
        except SystemExit as ended:
            code = int(ended.code or 0)
        shown = capsys.readouterr()
        return code, " ".join((shown.err + shown.out).replace("│", " ").split())

    return run


@pytest.fixture(scope="module")
def folders(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By the names that the tables below use: a benchmark, a run, a folder of runs, and files."""
    place = tmp_path_factory.mktemp("folders")
    for name in ("oracle", "random"):
        out = place / "runs" / name
        assert run_command("harness", "eval", text_folder, "--model", name, "--out", out).returncode == 0
    # Rules with many fields: checking every combination of their values would take years.
    fields = [f"f{i}" for i in range(30)]
    deep = "a." * 50_000 + "a = 1"
    files = {
        "empty.toml": "",
        "text.txt": "not TOML",
        "nested.toml": "a = " + "[" * 100_000,
        "key.toml": deep,
        "digits.toml": "a = " + "9" * 5000,
        "rules.toml": "[profile]\n"
        + "".join(f"{field} = {{least = 0, most = 9}}\n" for field in fields)
        + '[[tool]]\nname = "t"\ndescription = "d"\narguments = []\nversions = ["v1", "v2"]\n'
        + "".join(
            f'[[tool.rules]]\nuse = "{use}"\nwhen = {{{", ".join(f"{f} = {{{band}}}" for f in fields)}}}\n'
            for use, band in (("v1", "lt = 5"), ("v2", "ge = 5"))
        ),
    }
    for name, content in files.items():
        (place / name).write_text(content)
    return {
        "BENCH": str(text_folder),
        "FILE": str(text_folder / "instances.test.jsonl"),
        "RUN": str(place / "runs/oracle"),
        "RUNS": str(place / "runs"),
        "NEW": str(place / "new"),
        "GONE": str(place / "gone"),
        "PLACE": str(place),
    }


REFUSED = [
    ("harness eval {GONE} --model oracle --out {NEW}", "no such folder"),
    ("harness eval {FILE} --model oracle --out {NEW}", "a file of a benchmark; name {BENCH}"),
    ("harness eval {RUN} --model oracle --out {NEW}", "got a run; `harness report {RUN}` shows its figures"),
    ("harness eval {RUNS} --model oracle --out {NEW}", "got a folder of runs; `harness report {RUNS}`"),
    ("harness eval {BENCH} --model gpt-4o --out {NEW}", "--model: expected a backend before the name"),
    ("harness eval {BENCH} --model majorty --out {NEW}", "--model: expected majority, got 'majorty'"),
    ("harness eval {BENCH} --model oracle --temperature nan --out {NEW}", "expected 0 or more, got nan"),
    ("harness eval {BENCH} --model oracle --limit 2 --out {RUN}", "run with limit none, but 2 was"),
    ("harness eval {BENCH} --model oracle --max-new-tokens 9 --out {RUN}", "--max-new-tokens: {RUN}"),
    ("harness eval {BENCH} --model hf:x --split recall --variants override --out {NEW}", "split recall has"),
    ("harness judge {RUN} --judge oracle", "error: --judge: expected a language model"),
    ("harness judge {BENCH} --judge hf:x", "got a benchmark; `harness eval {BENCH}"),
    ("harness report {GONE}", "no such folder"),
    ("harness report {BENCH}", "got a benchmark; `harness eval {BENCH} --model MODEL --out RUN`"),
    ("harness import-log {BENCH} --out {NEW}", "LOGS: expected one or more logs, got none"),
    ("harness report", "RUNS: expected the folders of one or more runs"),
    ("harness compare {RUN} {RUN}", "TUNED: expected another folder than the base"),
    ("harness compare {BENCH} {RUN}", "got a benchmark"),
    ("harness verify {RUN}", "expected a benchmark, got a run"),
    ("harness verify {GONE}", "no such folder"),
    ("harness show {RUN} x", "expected a benchmark, got a run"),
    ("leaderboard submit {BENCH} --board {NEW}", "expected a run, got a benchmark"),
    ("leaderboard submit {RUNS} --board {NEW}", "got a folder of runs; name one of them"),
    ("leaderboard submit {RUN} --board {BENCH}", "expected a folder of boards, got a benchmark"),
    ("leaderboard show --board {GONE}", "expected a folder of boards, got no such folder; submit a run"),
    ("leaderboard show --board {BENCH}", "expected a folder of boards, got a benchmark"),
    ("leaderboard export {NEW} --board {RUN}", "expected a folder of boards, got a run"),
    ("clevrpolicy generate {BENCH} --depth 3", "--depth,"),
    ("gtapolicy generate {BENCH}", "{BENCH}: contains a benchmark of clevrpolicy, but one of gtapolicy was"),
    ("clevrpolicy skills {BENCH}", "clevr-skills was requested; name another folder"),
    ("clevrpolicy scenes {BENCH} test {PLACE}/text.txt", "a file of scenes that this command wrote"),
    ("harness prompts {BENCH} --out {PLACE}", "error: {PLACE}: expected a file, got a folder"),
    ("harness prompts {BENCH} --out .", "error: .: expected a file, got a folder"),
    ("harness eval {BENCH} --model oracle --out {PLACE}/text.txt", "text.txt: expected a folder, got a file"),
    ("harness report {PLACE}/text.txt", "got a file; name a folder"),
    ("clevrpolicy generate {NEW} --width 64 --height 48", "a height of at most the --width"),
    ("clevrpolicy generate {NEW} --min-objects 2 --max-objects 3", "4 different objects"),
    ("clevrpolicy generate {NEW} --crop-share 0.2", "--crop-share: expected only with --visual"),
    ("gtapolicy rules {PLACE}/text.txt", "expected a TOML file"),
    ("gtapolicy rules {PLACE}/empty.toml", "expected the field profile, which is missing"),
    ("gtapolicy rules {PLACE}/nested.toml", "expected a TOML file"),
    ("gtapolicy rules {PLACE}/key.toml", "nested too deeply"),
    ("gtapolicy rules {PLACE}/digits.toml", "expected a TOML file"),
    ("gtapolicy rules {PLACE}/rules.toml", "use fewer fields or thresholds"),
    ("trimpi sweep nope {NEW}", "nope: expected smoke, teachers, tiny, tuning or a TOML file"),
    ("trimpi sweep {PLACE}/text.txt {NEW}", "text.txt: expected a TOML file"),
    ("trimpi train {PLACE}/text.txt --out {NEW}", "text.txt: expected a TOML file"),
    ("trimpi train nope --out {NEW}", "or a TOML file, got neither"),
    ("trimpi curves", "RUNS: expected the folders of one or more training runs"),
    ("harness eval {BENCH} --model hf:{BENCH} --out {NEW}", "found none; name a checkpoint's folder"),
    ("trimpi cot {BENCH} {NEW} --how teacher --model majority", "--model: expected one that reads its"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[line for line, _ in REFUSED])
def test_one_sentence_says_what_is_wrong(
    folders: dict[str, str], run_here: Run, line: str, said: str
) -> None:
    code, shown = run_here(*(word.format_map(folders) for word in line.split()))
    assert code == 2
    assert said.format_map(folders) in shown
    assert line.startswith("leaderboard submit") or not Path(folders["NEW"]).exists()


HELP = [
    "harness eval", "harness judge", "harness report", "harness compare", "harness show", "harness verify",
    "clevrpolicy generate", "clevrpolicy import", "clevrpolicy skills", "clevrpolicy scenes",
    "gtapolicy generate", "gtapolicy import", "gtapolicy rules", "leaderboard submit", "leaderboard show",
    "leaderboard serve", "leaderboard export", "trimpi train", "trimpi cot", "trimpi sweep", "trimpi report",
    "trimpi base", "trimpi curves", "trimpi collect",
]  # fmt: skip


def test_a_folder_of_boards_is_told_from_the_runs_that_it_stores(
    folders: dict[str, str], run_here: Run, tmp_path: Path
) -> None:
    board = str(tmp_path / "board")
    for name in ("oracle", "random"):
        assert run_here("leaderboard", "submit", f"{folders['RUNS']}/{name}", "--board", board)[0] == 0
    assert run_here("leaderboard", "show", "--board", board)[0] == 0
    code, shown = run_here("harness", "verify", board)
    assert code == 2 and "expected a benchmark, got a folder of boards" in shown


@pytest.mark.parametrize("line", HELP)
def test_help_names_arguments_and_explains_all_of_them(run_here: Run, line: str) -> None:
    code, shown = run_here(*line.split(), "--help")
    assert code == 0
    for unwanted in ("{None}", "(default: None)", "(default: )", " STR", "PATH PATH"):
        assert unwanted not in shown
    # A flag and its value, and then only the default.
    assert not re.search(r"--[a-z-]+ [A-Z{][^ ]* (?=\(default|\(required|--)", shown)


def test_a_name_that_is_too_long_is_refused(text_folder: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    assert "File name too long" in refused("harness", "eval", text_folder, "--model", "oracle", "--out", long)


def test_nothing_is_lost_where_output_cannot_be_written(folders: dict[str, str]) -> None:
    for words in (["harness", "report", folders["RUN"]], ["harness", "list"], ["harness", "eval", "--help"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [BIN / words[0], *words[1:]], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "standard output: No space left on device" in done.stderr


def test_a_terminal_without_unicode_shows_another_sign(folders: dict[str, str]) -> None:
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run(
        [BIN / "harness", "report", folders["RUN"]],
        capture_output=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"accuracy" in done.stdout and done.stdout.isascii()


def test_report_takes_a_folder_of_runs_and_names_their_benchmarks(
    folders: dict[str, str], run_here: Run, rules_folder: Path, tmp_path: Path
) -> None:
    code, together = run_here("harness", "report", folders["RUNS"])
    assert code == 0 and " on " not in together
    assert "oracle" in together and "random" in together
    other = str(tmp_path / "other")
    run_here("harness", "eval", str(rules_folder), "--model", "oracle", "--limit", "2", "--out", other)
    _, mixed = run_here("harness", "report", folders["RUN"], other)
    assert "oracle on text test" in mixed and "other on rules test" in mixed


def test_report_names_the_settings_in_which_runs_on_one_benchmark_differ(
    text_folder: Path, run_here: Run, tmp_path: Path
) -> None:
    for name, *options in (("all",), ("few", "--limit", "2", "--samples", "3", "--temperature", "1")):
        run_here(
            "harness", "eval", str(text_folder), "--model", "oracle", *options, "--out", str(tmp_path / name)
        )
    shown = run_here("harness", "report", str(tmp_path))[1]
    assert "note: the runs on text differ in limit: none (all), 2 (few) " in shown
    assert "differ in samples: 1 (all), 3 (few) " in shown and "in temperature: 0.0 (all), 1.0 (few)" in shown
    assert shown.count("note: the runs on") == 3 and "seed" not in shown
    assert "note: the runs on" not in run_here("harness", "report", str(tmp_path / "few"))[1]
    # A limit that leaves nothing out is none.
    every = (
        "harness",
        "eval",
        str(text_folder),
        "--model",
        "oracle",
        "--limit",
        "999",
        "--out",
        str(tmp_path / "every"),
    )
    run_here(*every)
    assert "note: " not in run_here("harness", "report", str(tmp_path / "all"), str(tmp_path / "every"))[1]


def test_report_gives_the_notes_of_each_run(run_here: Run, text_folder: Path, tmp_path: Path) -> None:
    notes = []
    for name in ("one", "two"):
        _, shown = run_here(
            "harness",
            "eval",
            str(text_folder),
            "--model",
            "oracle",
            "--limit",
            "2",
            "--out",
            str(tmp_path / name),
        )
        notes.append(re.search("note: (.+?) report: ", shown)[1])  # type: ignore[index]
    # The same note of several runs is given once.
    assert notes[0] == notes[1]
    assert f"note: one and two: {notes[0]}" in run_here("harness", "report", str(tmp_path))[1]
    assert f"note: one: {notes[0]}" in run_here("harness", "report", str(tmp_path / "one"))[1]


def test_report_of_a_folder_skips_unfinished_runs(run_here: Run, text_folder: Path, tmp_path: Path) -> None:
    done, begun = str(tmp_path / "done"), tmp_path / "begun"
    run_here("harness", "eval", str(text_folder), "--model", "oracle", "--out", done)
    begun.mkdir()
    (begun / "run.json").write_bytes((tmp_path / "done/run.json").read_bytes())
    code, shown = run_here("harness", "report", str(tmp_path))
    assert code == 0 and f"note: {begun}: unfinished" in shown and "done internalized" in shown
    assert run_here("harness", "report", done, str(begun))[0] == 2
    (tmp_path / "done/run.json").unlink()
    code, shown = run_here("harness", "report", str(tmp_path))
    assert code == 2 and f"error: {begun}: unfinished" in shown


def test_a_path_that_has_the_name_of_an_argument_stays_a_path(
    run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "error: run: no such folder" in run_here("leaderboard", "submit", "run", "--board", "b")[1]


def test_figures_of_changed_responses_are_not_shown(text_folder: Path, run_here: Run, tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    words = ("harness", "eval", str(text_folder), "--model", "random", "--out", run)
    run_here(*words)
    log = tmp_path / "run/responses.jsonl"
    log.write_text(log.read_text().replace("Case", "Fall"))
    for reader in (("report", run), ("compare", run, str(tmp_path))):
        code, shown = run_here("harness", *reader)
        assert code == 2 and "changed since it was scored" in shown
    assert run_here(*words)[0] == 0
    assert run_here("harness", "report", run)[0] == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"run":',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'"' + b"x" * 100,
        b"[1, 2]",
        b'{"run": NaN}',
        b"null",
    ],
)
def test_an_unreadable_file_of_a_run_is_named(folders: dict[str, str], run_here: Run, content: bytes) -> None:
    for name, words in (
        ("report.json", ("harness", "report", "{RUN}")),
        ("run.json", ("harness", "eval", "{BENCH}", "--model", "oracle", "--out", "{RUN}")),
    ):
        file = Path(folders["RUN"], name)
        kept = file.read_bytes()
        file.write_bytes(content)
        code, shown = run_here(*(word.format_map(folders) for word in words))
        file.write_bytes(kept)
        assert code == 2 and str(file) in shown
