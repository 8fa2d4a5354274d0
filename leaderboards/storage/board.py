"""A folder of boards: a SQLite database, and the bundles that its entries are computed from.

The tables of the database:

    attempts    every call of `leaderboard submit`, with its outcome
    bundles     the names and sha256 of the files of each accepted run
    boards      one for each benchmark digest, split, variant, scorer and judge
    entries     the figures of a bundle on a board

Triggers prevent all changes and deletions, except that the outcome of an attempt is set once. The files of a
bundle are stored before its rows are committed in one transaction. A crash in between leaves a folder without
rows, which is replaced when the same run is submitted again.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files.kinds import BENCHMARK, BOARDS, RUN, RUNS, kind, refuse
from leaderboards.storage.bundles import Bundle, Bundles
from leaderboards.storage.records import Attempt, Board, BoardKey, Entry, Figures, Outcome, StoredBundle
from leaderboards.storage.schema import MIGRATIONS

DATABASE = "board.sqlite"
# Seconds to wait for another submission to be committed.
WAIT = 60.0


class Boards:
    """The boards in a folder."""

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Raises UserError if the folder has no boards, or boards of a newer version."""
        self.folder, self.bundles = folder, Bundles(folder)
        file = folder / DATABASE
        if kind(folder) in (BENCHMARK, RUN, RUNS):
            refuse(folder, BOARDS)
        if create:
            self._refuse_foreign(file)
            self.bundles.create()
        elif not file.is_file():
            raise UserError(f"{folder}: expected a folder of boards, got {kind(folder)}; submit a run first")
        with _user_errors(file):
            self._db = sqlite3.connect(file, timeout=WAIT, isolation_level=None)
        try:
            self._open(file, create)
        except UserError:
            self.close()
            raise

    def _refuse_foreign(self, database: Path) -> None:
        """Raises UserError if the folder contains something else, such as a benchmark."""
        own = {path.name for path in self.bundles.paths}
        if self.folder.is_dir() and not database.exists():
            for path in self.folder.iterdir():
                if path.name not in own:
                    raise UserError(
                        f"board: expected a new or empty folder, or a folder of boards, got {self.folder}, "
                        f"which contains {path.name}; name another folder"
                    )

    def close(self) -> None:
        self._db.close()

    def _open(self, file: Path, create: bool) -> None:
        with _user_errors(file):
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA foreign_keys = ON")
            if create or self._version() < len(MIGRATIONS):
                # SQLite fails at once, without waiting, if another process is changing the journal mode.
                with self.bundles.locked():
                    self._migrate()
            if self._version() > len(MIGRATIONS):
                raise UserError(f"{file}: written by a newer version of this package; update the package")

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
        with _user_errors(self.folder / DATABASE):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def begin_attempt(self, run: str) -> int:
        """Records an attempt and returns its id. An attempt counts even if it is killed afterwards."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO attempts (made, run, outcome) VALUES (?, ?, ?)", (_now(), run, Outcome.BEGUN)
            )
            return int(cursor.lastrowid or 0)

    def name_attempt(self, attempt: int, model: str, digest: str, weights: str | None = None) -> None:
        """Records the model, the benchmark and the digest of the model's weights of an attempt."""
        with self._transaction():
            self._update(attempt, model=model, digest=digest, weights=weights or "")

    def refuse(self, attempt: int, reasons: Sequence[str]) -> None:
        with self._transaction():
            self._update(attempt, outcome=Outcome.REFUSED, reasons=_json(list(reasons)))

    def _update(self, attempt: int, **values: str) -> None:
        changes = ", ".join(f"{column} = ?" for column in values)
        self._db.execute(f"UPDATE attempts SET {changes} WHERE id = ?", (*values.values(), attempt))

    def _insert(self, table: str, *row: object) -> None:
        """Adds a row unless there is one with the same key."""
        self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def add(
        self,
        attempt: int,
        bundle: Bundle,
        run_sha256: str,
        name: str,
        model: str,
        entries: Sequence[tuple[Board, Figures]],
    ) -> str | None:
        """Stores the bundle and its entries, unless the run already has an entry on each of these boards.

        Returns the sha256 of the newest bundle that is already stored for the run, or None if the run is new.
        """
        with self.bundles.locked():
            if all(self._has_entry(board.id, run_sha256) for board, _ in entries):
                known = self._newest_bundle(run_sha256)
                with self._transaction():
                    self._update(attempt, outcome=Outcome.KNOWN, bundle=known)
                return known
            sha256 = bundle.sha256
            if not self._db.execute("SELECT 1 FROM bundles WHERE sha256 = ?", (sha256,)).fetchone():
                self.bundles.write(bundle)
            with self._transaction():
                self._insert("bundles", sha256, run_sha256, _now(), name, model, _json(bundle.hashes))
                for board, figures in entries:
                    details = board.family, board.benchmark, _json(board.config), board.governed
                    self._insert("boards", board.id, *board.key, *details, _now())
                    self._insert("entries", board.id, sha256, run_sha256, _json(figures))
                self._update(attempt, outcome=Outcome.ACCEPTED, bundle=sha256)
        return None

    def _has_entry(self, board: str, run_sha256: str) -> bool:
        query = "SELECT 1 FROM entries WHERE board = ? AND run_sha256 = ?"
        return self._db.execute(query, (board, run_sha256)).fetchone() is not None

    def _newest_bundle(self, run_sha256: str) -> str:
        query = "SELECT sha256 FROM bundles WHERE run_sha256 = ? ORDER BY rowid DESC LIMIT 1"
        return str(self._db.execute(query, (run_sha256,)).fetchone()["sha256"])

    def boards(self) -> list[Board]:
        """All boards, the oldest first."""
        rows = self._db.execute(
            "SELECT boards.*, count(entries.bundle) AS entries FROM boards LEFT JOIN entries "
            "ON entries.board = boards.id GROUP BY boards.id ORDER BY boards.begun, boards.rowid"
        ).fetchall()
        newest = {_lineage(row): row["id"] for row in rows}
        return [
            Board(
                key=BoardKey(row["digest"], row["split"], row["variant"], row["scorer"], row["judge"]),
                family=row["family"],
                benchmark=row["benchmark"],
                config=msgspec.json.decode(row["config"]),
                governed=bool(row["governed"]),
                begun=row["begun"],
                entries=row["entries"],
                legacy=newest[_lineage(row)] != row["id"],
            )
            for row in rows
        ]

    def board(self, id_: str) -> Board:
        """The board with this id. Raises KeyError if there is none."""
        return {board.id: board for board in self.boards()}[id_]

    def entries(self, board: Board) -> list[Entry]:
        """The entries of a board, the best mean first."""
        attempts = _AttemptCounts(self.attempts(board.key.digest))
        rows = self._db.execute(
            "SELECT entries.bundle, model, name, added, figures FROM entries JOIN bundles "
            "ON bundles.sha256 = entries.bundle WHERE board = ?",
            (board.id,),
        )
        decode = msgspec.json.Decoder(Figures).decode
        entries = [
            Entry(bundle, model, name, added, decode(figures), attempts.of(model, bundle))
            for bundle, model, name, added, figures in rows
        ]
        return sorted(entries, key=lambda entry: (-entry.figures.mean, entry.added, entry.bundle))

    def stored_bundle(self, sha256: str) -> StoredBundle:
        """The bundle with this sha256. Raises KeyError if there is none."""
        row = self._db.execute("SELECT * FROM bundles WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None:
            raise KeyError(sha256)
        files = msgspec.json.decode(row["files"])
        return StoredBundle(sha256, row["model"], row["name"], row["added"], files)

    def figures(self, sha256: str) -> dict[str, Figures]:
        """The figures of a bundle on each of its boards, by the id of the board."""
        rows = self._db.execute("SELECT board, figures FROM entries WHERE bundle = ?", (sha256,))
        return {row["board"]: msgspec.json.decode(row["figures"], type=Figures) for row in rows}

    def attempts(
        self, digest: str | None = None, model: str | None = None, weights: str | None = None
    ) -> list[Attempt]:
        """The attempts with this digest, and with this model or these weights (None: any), newest first."""
        rows = self._db.execute(
            "SELECT id, made AS time, run, model, digest, bundle, outcome, reasons, weights FROM attempts "
            "WHERE (?1 IS NULL OR digest = ?1) AND (?2 IS NULL OR model = ?2 OR weights = ?3) "
            "ORDER BY id DESC",
            (digest, model, weights),
        )
        return [Attempt(**{**dict(row), "reasons": msgspec.json.decode(row["reasons"])}) for row in rows]


class _AttemptCounts:
    """Counts attempts by the name of the model and by its weights."""

    def __init__(self, attempts: Sequence[Attempt]) -> None:
        self._weights = {a.bundle: a.weights for a in attempts if a.bundle}
        self._by_model = Counter(a.model for a in attempts)
        self._by_weights = Counter(a.weights for a in attempts if a.weights)
        self._by_both = Counter((a.model, a.weights) for a in attempts if a.weights)

    def of(self, model: str, bundle: str) -> int:
        """The attempts with this model's name or with the weights of this bundle."""
        weights = self._weights.get(bundle, "")
        return self._by_model[model] + self._by_weights[weights] - self._by_both[model, weights]


def _lineage(row: Mapping[str, Any] | sqlite3.Row) -> tuple[str, ...]:
    """What the boards of all versions of a scorer share. All but the newest are legacy.

    They have the same digest, so no submission of another benchmark makes a board legacy.
    """
    return tuple(row[name] for name in ("digest", "split", "variant", "judge"))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def _user_errors(file: Path) -> Iterator[None]:
    """Raises errors of SQLite as UserError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error) or "disk I/O" in str(error):
            raise UserError(
                f"{file}: no space left on the device; free some space and submit again, no entry was lost"
            ) from error
        raise UserError(f"{file}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file}: expected a readable and writable database of boards: {error}") from error
