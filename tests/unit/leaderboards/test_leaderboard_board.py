"""The database of boards: no entry is incomplete, lost, duplicated or changed, even after a crash."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from leaderboards.pages.ranking import ranks
from leaderboards.storage.board import DATABASE, Boards
from leaderboards.storage.bundles import SUBMISSIONS, Bundle
from leaderboards.storage.records import Board, BoardKey, Figures, Outcome
from leaderboards.storage.schema import MIGRATIONS

FORK = multiprocessing.get_context("fork")
BOARD = Board(BoardKey("d" * 64, "test", "internalized", "exact/1", ""), "toy", "bench", {"depth": 2}, True)
FIGURES = Figures(mean=0.5, low=0.4, high=0.6, n=100, unparsed=1, truncated=0, samples=1)


def bundle(text: str = "a", page: bytes = b"<p>") -> Bundle:
    return Bundle({"run.json": text.encode(), "report.json": b"{}", "report.html": page})


def submit(folder: Path, text: str = "a", board: Board = BOARD, page: bytes = b"<p>") -> str | None:
    """Adds an entry like `leaderboard submit`, but without a run."""
    with closing(Boards(folder, create=True)) as boards:
        attempt = boards.begin_attempt("run")
        boards.name_attempt(attempt, f"model {text}", board.key.digest)
        files = bundle(text, page)
        return boards.add(attempt, files, f"run {text}", "run", f"model {text}", [(board, FIGURES)])


def intact_bundles(folder: Path) -> list[str]:
    """The bundles of all entries, after verifying the database and all files."""
    boards = Boards(folder)
    bundles = [entry.bundle for board in boards.boards() for entry in boards.entries(board)]
    for sha256 in bundles:
        stored = boards.stored_bundle(sha256)
        for name in stored.files:
            boards.bundles.read(stored, name)
    boards.close()
    check = sqlite3.connect(folder / DATABASE)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert check.execute("PRAGMA foreign_key_check").fetchall() == []
    check.close()
    return bundles


def test_an_entry_is_read_as_it_was_stored(tmp_path: Path) -> None:
    assert submit(tmp_path) is None
    boards = Boards(tmp_path)
    (board,) = boards.boards()
    assert (board.key, board.config, board.entries, board.legacy) == (BOARD.key, BOARD.config, 1, False)
    (entry,) = boards.entries(board)
    expected = (bundle().sha256, "model a", FIGURES, 1)
    assert (entry.bundle, entry.model, entry.figures, entry.attempts) == expected
    assert boards.bundles.read(boards.stored_bundle(entry.bundle), "run.json") == b"a"
    with pytest.raises(KeyError):
        boards.bundles.read(boards.stored_bundle(entry.bundle), "../../board.sqlite")


def test_the_same_run_is_stored_once_and_both_attempts_count(tmp_path: Path) -> None:
    submit(tmp_path)
    assert submit(tmp_path) == bundle().sha256
    assert len(intact_bundles(tmp_path)) == 1
    boards = Boards(tmp_path)
    assert [a.outcome for a in boards.attempts()] == [Outcome.KNOWN, Outcome.ACCEPTED]
    assert boards.entries(boards.boards()[0])[0].attempts == 2


def test_refused_attempts_are_recorded(tmp_path: Path) -> None:
    boards = Boards(tmp_path, create=True)
    attempt = boards.begin_attempt("run")
    boards.name_attempt(attempt, "model a", BOARD.key.digest)
    boards.refuse(attempt, ["one reason", "another"])
    submit(tmp_path)
    assert boards.entries(boards.boards()[0])[0].attempts == 2
    assert [(a.outcome, a.reasons) for a in boards.attempts()][1] == (
        Outcome.REFUSED,
        ["one reason", "another"],
    )


def test_attempts_are_counted_by_name_and_by_weights(tmp_path: Path) -> None:
    boards = Boards(tmp_path, create=True)
    for model, weights in (("a", "w" * 64), ("b", "w" * 64), ("a", None), ("c", None), ("d", "v" * 64)):
        attempt = boards.begin_attempt("run")
        boards.name_attempt(attempt, model, BOARD.key.digest, weights)
        boards.add(
            attempt, bundle(f"{model}{weights}"), f"{model}{weights}", "run", model, [(BOARD, FIGURES)]
        )
    counts = [(entry.model, entry.attempts) for entry in boards.entries(boards.boards()[0])]
    assert sorted(counts) == [("a", 2), ("a", 3), ("b", 2), ("c", 1), ("d", 1)]
    assert len(boards.attempts(BOARD.key.digest, "b", "w" * 64)) == 2
    assert len(boards.attempts(BOARD.key.digest, "c", None)) == 1


def test_a_database_of_the_first_version_is_migrated(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaderboards.storage.board.MIGRATIONS", MIGRATIONS[:1])
        Boards(tmp_path, create=True).close()
        db = sqlite3.connect(tmp_path / DATABASE)
        db.execute("INSERT INTO attempts (made, run, outcome) VALUES ('then', 'run', 'refused')")
        db.commit()
        db.close()
    assert [(a.run, a.weights) for a in Boards(tmp_path).attempts()] == [("run", "")]
    submit(tmp_path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("manifest.json", "expected a folder of boards, got a benchmark"),
        ("run.json", "expected a folder of boards, got a run"),
        ("notes.txt", "board: expected a new or empty folder.* which contains notes.txt"),
    ],
)
def test_the_folder_of_something_else_does_not_become_a_board(
    tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=sentence):
        Boards(tmp_path, create=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries",
        "DELETE FROM attempts",
        "UPDATE entries SET figures = '{}'",
        "UPDATE bundles SET model = 'better'",
        "UPDATE attempts SET outcome = 'refused'",
        "DELETE FROM boards",
    ],
)
def test_nothing_is_changed_or_deleted(tmp_path: Path, statement: str) -> None:
    submit(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        sqlite3.connect(tmp_path / DATABASE).execute(statement)


def test_an_entry_needs_its_bundle(tmp_path: Path) -> None:
    submit(tmp_path)
    boards = Boards(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        boards._db.execute("INSERT INTO entries VALUES (?, 'no such bundle', 'r', '{}')", (BOARD.id,))


def test_a_changed_file_is_not_shown(tmp_path: Path) -> None:
    submit(tmp_path)
    boards = Boards(tmp_path)
    stored = boards.stored_bundle(bundle().sha256)
    (tmp_path / SUBMISSIONS / stored.sha256 / "run.json").write_bytes(b"b")
    with pytest.raises(UserError, match="changed after it was stored"):
        boards.bundles.read(stored, "run.json")


def test_each_key_has_its_own_board_and_boards_of_older_scorers_become_legacy(tmp_path: Path) -> None:
    others = [
        replace(BOARD, key=BOARD.key._replace(variant="override")),
        replace(BOARD, key=BOARD.key._replace(judge="a judge")),
        replace(BOARD, key=BOARD.key._replace(split="recall")),
        replace(BOARD, key=BOARD.key._replace(digest="e" * 64), config={"depth": 6}),
    ]
    for board in (BOARD, *others):
        submit(tmp_path, board=board)
    assert [(b.entries, b.legacy) for b in Boards(tmp_path).boards()] == [(1, False)] * 5
    newly_scored = replace(BOARD, key=BOARD.key._replace(scorer="exact/2"))
    same_config = replace(BOARD, key=BOARD.key._replace(digest="f" * 64, scorer="exact/2"))
    submit(tmp_path, board=newly_scored)
    assert [b.key for b in Boards(tmp_path).boards() if b.legacy] == [BOARD.key]
    submit(tmp_path, board=same_config)
    boards = Boards(tmp_path)
    assert [b.key for b in boards.boards() if b.legacy] == [BOARD.key], "a benchmark displaces no other"
    assert len(boards.entries(boards.board(BOARD.id))) == 1, "legacy boards remain readable"


def killed_at(step: int, work: Callable[[], Any], folder: Path) -> int:
    """The exit code of a process that is killed before its step-th operation on files or the database."""

    def run() -> None:
        left = step

        def count(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            writes = event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove") or (
                event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax"
            )
            if writes and str(folder) in str(arguments[0]):
                count()

        sys.addaudithook(audit)
        connect = sqlite3.connect

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(count)
            return connection

        sqlite3.connect = traced
        work()

    process = FORK.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def test_killing_between_any_two_steps_loses_nothing(tmp_path: Path) -> None:
    step = done = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        submit(folder, "earlier")
        code = killed_at(step, lambda: submit(folder, "later"), folder)  # noqa: B023
        entries = intact_bundles(folder)
        assert bundle("earlier").sha256 in entries
        done += len(entries) == 2
        submit(folder, "later", page=b"<p>of another version of the package")
        assert sorted(intact_bundles(folder)) == sorted(bundle(text).sha256 for text in ("earlier", "later"))
        assert not list((folder / SUBMISSIONS).glob(".*"))
        assert len(list((folder / SUBMISSIONS).iterdir())) == 2
        outcomes = [a.outcome for a in Boards(folder).attempts()]
        assert outcomes.count(Outcome.ACCEPTED) == 2
        assert set(outcomes) <= {Outcome.ACCEPTED, Outcome.KNOWN, Outcome.BEGUN}
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert step > 15
    assert done >= 1


def test_several_processes_submit_at_the_same_time(tmp_path: Path) -> None:
    processes = [
        FORK.Process(target=lambda text=text: [submit(tmp_path, f"{text}{n % 3}") for n in range(6)])
        for text in ("", "", "x")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(intact_bundles(tmp_path)) == 6
    outcomes = [a.outcome for a in Boards(tmp_path).attempts()]
    assert (outcomes.count(Outcome.ACCEPTED), outcomes.count(Outcome.KNOWN)) == (6, 12)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB. Skips the test if this user may not mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_leaves_no_incomplete_entry(small_disk: Path) -> None:
    folder, ballast = small_disk / "board", small_disk / "ballast"
    submit(folder, "earlier")
    with closing(Boards(folder)) as boards:
        attempt = boards.begin_attempt("run")
        large = Bundle({"run.json": os.urandom(1 << 20)})
        with pytest.raises(UserError, match="no space left"):
            boards.add(attempt, large, "r", "run", "m", [(BOARD, FIGURES)])
    assert intact_bundles(folder) == [bundle("earlier").sha256]
    assert len(list((folder / SUBMISSIONS).iterdir())) == 1
    stored = [bundle("earlier").sha256]
    stopped = 0
    for room in range(0, 48, 3):  # the number of free pages, so that it fails at different steps
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        os.truncate(ballast, ballast.stat().st_size - room * 4096)
        try:
            submit(folder, f"later {room}")
            stored.append(bundle(f"later {room}").sha256)
        except UserError as error:
            assert "no space left" in str(error)
            stopped += 1
        ballast.unlink()
        assert sorted(intact_bundles(folder)) == sorted(stored)
    assert stopped >= 4
    assert len(stored) >= 4
    assert submit(folder, "later 0") is None


def test_a_full_disk_has_no_room_for_a_new_board(tiny_disk: Path) -> None:
    with pytest.raises(UserError, match="no space left"):
        Boards(tiny_disk / "board", create=True)


def test_a_newer_or_foreign_database_is_rejected(tmp_path: Path) -> None:
    submit(tmp_path)
    db = sqlite3.connect(tmp_path / DATABASE)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(UserError, match="newer version"):
        Boards(tmp_path)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / DATABASE).write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="expected a readable and writable database"):
        Boards(foreign)
    with pytest.raises(UserError, match="submit a run first"):
        Boards(tmp_path / "none")


def test_a_rank_counts_significantly_better_entries() -> None:
    assert ranks([]) == []
    assert ranks([(0.5, 0.7), (0.45, 0.65), (0.1, 0.2), (0.6, 0.64)]) == [1, 1, 4, 1]
    assert ranks([(0.8, 0.9), (0.5, 0.7), (0.1, 0.55), (0.0, 0.4)]) == [1, 2, 2, 3]
    assert ranks([(0.5, 0.5), (0.5, 0.5)]) == [1, 1]
