"""The SQL that creates the tables of board.sqlite, and the triggers that prevent changes to their rows."""

# One item for each version of the schema. A database whose user_version is k needs the items from index k on.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE boards (id TEXT PRIMARY KEY, digest TEXT NOT NULL, split TEXT NOT NULL,
        variant TEXT NOT NULL, scorer TEXT NOT NULL, judge TEXT NOT NULL, family TEXT NOT NULL,
        benchmark TEXT NOT NULL, config TEXT NOT NULL, governed INTEGER NOT NULL, begun TEXT NOT NULL,
        UNIQUE (digest, split, variant, scorer, judge))""",
        """CREATE TABLE bundles (sha256 TEXT PRIMARY KEY, run_sha256 TEXT NOT NULL, added TEXT NOT NULL,
        name TEXT NOT NULL, model TEXT NOT NULL, files TEXT NOT NULL)""",
        """CREATE TABLE entries (board TEXT NOT NULL REFERENCES boards, bundle TEXT NOT NULL
        REFERENCES bundles, run_sha256 TEXT NOT NULL, figures TEXT NOT NULL, PRIMARY KEY (board, run_sha256))
        WITHOUT ROWID""",
        "CREATE INDEX entries_by_bundle ON entries (bundle)",
        """CREATE TABLE attempts (id INTEGER PRIMARY KEY AUTOINCREMENT, made TEXT NOT NULL,
        run TEXT NOT NULL, model TEXT NOT NULL DEFAULT '', digest TEXT NOT NULL DEFAULT '',
        bundle TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL, reasons TEXT NOT NULL DEFAULT '[]')""",
        "CREATE INDEX attempts_by_model ON attempts (digest, model)",
        *(
            f"CREATE TRIGGER {table}_{what.lower()} BEFORE {what} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'rows of boards are never changed or deleted'); END"
            for table in ("boards", "bundles", "entries")
            for what in ("UPDATE", "DELETE")
        ),
        """CREATE TRIGGER attempts_delete BEFORE DELETE ON attempts
        BEGIN SELECT RAISE(ABORT, 'attempts are never changed or deleted'); END""",
        """CREATE TRIGGER attempts_update BEFORE UPDATE ON attempts WHEN OLD.outcome != 'begun'
        BEGIN SELECT RAISE(ABORT, 'attempts are never changed or deleted'); END""",
    ),
    # The sha256 of a local checkpoint's weights; empty if the model has none.
    ("ALTER TABLE attempts ADD COLUMN weights TEXT NOT NULL DEFAULT ''",),
)
