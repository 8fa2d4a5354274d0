"""A folder of boards: SQLite for what is shown, and beside it the bundles that it is shown from.

Nothing is ever changed or deleted (triggers refuse it): boards, bundles and entries are added, and of an
attempt only the outcome is filled in. A bundle is stored before its rows are committed in one transaction,
so a crash leaves at most a folder that no row names; the same submission adopts it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from leaderboards.checks.submission import Bundle
from leaderboards.storage.bundles import Bundles
from leaderboards.storage.records import (
    ACCEPTED,
    BEGUN,
    KNOWN,
    REFUSED,
    Attempt,
    Board,
    Figures,
    Kept,
    Key,
    Row,
)
from leaderboards.storage.schema import MIGRATIONS

DATABASE = "board.sqlite"
WAIT = 60.0
"""Seconds to wait for another submission to be committed."""


class Boards:
    """A folder BOARD: board.sqlite and submissions/<sha256>/."""

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Raises UserError where there is none, or it was made by a newer version."""
        self.folder, self.bundles = folder, Bundles(folder)
        file = folder / DATABASE
        if create:
            self.bundles.create()
        elif not file.is_file():
            raise UserError(f"{folder}: expected a folder of boards, got no {DATABASE}; submit a run first")
        with _explained(file):
            self._db = sqlite3.connect(file, timeout=WAIT, isolation_level=None)
        try:
            self._open(file, create)
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        self._db.close()

    def _open(self, file: Path, create: bool) -> None:
        with _explained(file):
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
            if create or self._version() < len(MIGRATIONS):
                # SQLite does not wait for another process that is just changing the journal.
                with self.bundles.alone():
                    self._migrate()
            if self._version() > len(MIGRATIONS):
                raise UserError(f"{file}: made by a newer version ({self._version()}); update this one")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        if self._version() >= len(MIGRATIONS):
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            for version in range(self._version(), len(MIGRATIONS)):
                for statement in MIGRATIONS[version]:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {version + 1}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _explained(self.folder / DATABASE):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def begin_attempt(self, run: str) -> int:
        """Counted from here on, whatever becomes of it."""
        with self._transaction():
            done = self._db.execute(
                "INSERT INTO attempts (made, run, outcome) VALUES (?, ?, ?)", (_now(), run, BEGUN)
            )
            return int(done.lastrowid or 0)

    def name_attempt(self, attempt: int, model: str, digest: str) -> None:
        """Of which model on which benchmark, as soon as that is known."""
        with self._transaction():
            self._db.execute(
                "UPDATE attempts SET model = ?, digest = ? WHERE id = ?", (model, digest, attempt)
            )

    def refuse(self, attempt: int, reasons: Sequence[str]) -> None:
        with self._transaction():
            self._end(attempt, REFUSED, "", reasons)

    def _end(self, attempt: int, outcome: str, bundle: str, reasons: Sequence[str] = ()) -> None:
        self._db.execute(
            "UPDATE attempts SET outcome = ?, bundle = ?, reasons = ? WHERE id = ?",
            (outcome, bundle, _text(list(reasons)), attempt),
        )

    def add(
        self,
        attempt: int,
        bundle: Bundle,
        run_sha256: str,
        name: str,
        model: str,
        entries: Sequence[tuple[Board, Figures]],
    ) -> str | None:
        """Stores the bundle and its entries; where all are on their boards, the bundle that they are of."""
        with self.bundles.alone():
            known = [self._entry(board.id, run_sha256) for board, _ in entries]
            if all(known):
                with self._transaction():
                    self._end(attempt, KNOWN, known[0] or "")
                return known[0]
            sha256 = self.bundles.write(bundle)
            with self._transaction():
                self._db.execute(
                    "INSERT OR IGNORE INTO bundles VALUES (?, ?, ?, ?, ?, ?)",
                    (sha256, run_sha256, _now(), name, model, _text(bundle.hashes)),
                )
                for board, figures in entries:
                    self._db.execute(
                        "INSERT OR IGNORE INTO boards VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            *(board.id, *board.key, board.family, board.benchmark),
                            *(_text(board.config), board.governed, _now()),
                        ),
                    )
                    self._db.execute(
                        "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)",
                        (board.id, sha256, run_sha256, _text(figures)),
                    )
                self._end(attempt, ACCEPTED, sha256)
        return None

    def _entry(self, board: str, run_sha256: str) -> str | None:
        found = self._db.execute(
            "SELECT bundle FROM entries WHERE board = ? AND run_sha256 = ?", (board, run_sha256)
        ).fetchone()
        return found and str(found["bundle"])

    def boards(self) -> list[Board]:
        """Newest last; the older of two with the same benchmark made or scored anew is legacy."""
        rows = self._db.execute(
            "SELECT boards.*, count(entries.bundle) AS entries FROM boards LEFT JOIN entries "
            "ON entries.board = boards.id GROUP BY boards.id ORDER BY boards.begun, boards.rowid"
        ).fetchall()
        newest = {_lineage(row): row["id"] for row in rows}
        return [
            Board(
                Key(row["digest"], row["split"], row["variant"], row["scorer"], row["judge"]),
                row["family"],
                row["benchmark"],
                msgspec.json.decode(row["config"]),
                bool(row["governed"]),
                row["begun"],
                row["entries"],
                newest[_lineage(row)] != row["id"],
            )
            for row in rows
        ]

    def board(self, id_: str) -> Board:
        """Raises KeyError where there is none."""
        return {board.id: board for board in self.boards()}[id_]

    def rows(self, board: Board) -> list[Row]:
        """The best mean first."""
        tried = {
            row["model"]: row["tried"]
            for row in self._db.execute(
                "SELECT model, count(*) AS tried FROM attempts WHERE digest = ? GROUP BY model",
                (board.key.digest,),
            )
        }
        decode = msgspec.json.Decoder(Figures).decode
        rows = [
            Row(
                row["bundle"],
                row["model"],
                row["name"],
                row["added"],
                decode(row["figures"]),
                tried.get(row["model"], 0),
            )
            for row in self._db.execute(
                "SELECT entries.bundle, figures, model, name, added FROM entries JOIN bundles "
                "ON bundles.sha256 = entries.bundle WHERE board = ?",
                (board.id,),
            )
        ]
        return sorted(rows, key=lambda row: (-row.figures.mean, row.added, row.bundle))

    def kept(self, sha256: str) -> Kept:
        """Raises KeyError where there is none."""
        row = self._db.execute("SELECT * FROM bundles WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise KeyError(sha256)
        return Kept(sha256, row["model"], row["name"], row["added"], msgspec.json.decode(row["files"]))

    def of_bundle(self, sha256: str) -> dict[str, Figures]:
        """What each board shows of a bundle."""
        rows = self._db.execute("SELECT board, figures FROM entries WHERE bundle = ?", (sha256,))
        return {row["board"]: msgspec.json.decode(row["figures"], type=Figures) for row in rows}

    def attempts(self, digest: str | None = None, model: str | None = None) -> list[Attempt]:
        """All, the newest first, or those of a model on a benchmark."""
        rows = self._db.execute(
            "SELECT * FROM attempts WHERE (?1 IS NULL OR digest = ?1) AND (?2 IS NULL OR model = ?2) "
            "ORDER BY id DESC",
            (digest, model),
        )
        return [Attempt(**{**dict(row), "reasons": msgspec.json.decode(row["reasons"])}) for row in rows]


def _lineage(row: Mapping[str, Any] | sqlite3.Row) -> tuple[str, ...]:
    """What a benchmark and its scorer are versions of."""
    return tuple(row[name] for name in ("family", "config", "split", "variant", "judge"))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Turns SQLite's refusal into a sentence."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error) or "disk I/O" in str(error):
            raise UserError(
                f"{file}: no space left on the device; free some and submit again, nothing is lost"
            ) from error
        raise UserError(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file}: not a board that can be read or added to: {error}") from error
