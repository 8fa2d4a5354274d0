"""Files are complete or absent, logs contain complete lines, and no path leaves its folder."""

import codecs
import json
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.files import benchmark, store
from harness.records import Instance, Part, Response

RESPONSES = [Response(f"i{n}", "internalized", 0, f"line\n{n}\u2028 é") for n in range(5)]


def test_a_log_returns_the_records_that_were_appended(tmp_path: Path) -> None:
    log = store.Log(tmp_path / "log", Response)
    assert log.read() == []
    log.append(RESPONSES[:2])
    log.append(RESPONSES[2:])
    assert log.read() == RESPONSES


def test_a_log_says_where_each_record_starts_also_if_it_existed(tmp_path: Path) -> None:
    first = store.Log(tmp_path / "log", Response).append(RESPONSES[:2])
    log = store.Log(tmp_path / "log", Response)  # of the next process
    starts = [log.append([response]) for response in RESPONSES[2:]]
    assert [start for start, _ in log.scan()][0::2][1:] == starts[::2]
    assert [log.read_at(start) for start in [first, *starts]] == [RESPONSES[0], *RESPONSES[2:]]


def test_the_lines_of_a_file_are_read_by_number_also_after_it_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    store.write_lines(path, RESPONSES)
    # Other programs write a byte order mark, or no end of the last line.
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().rstrip())
    lines = store.Lines(path, Response)
    store.write_lines(path, RESPONSES[::-1])
    assert [lines[number] for number in range(len(lines))] == RESPONSES == list(lines)
    store.write(path, b"")
    assert list(store.Lines(path, Response)) == []
    with pytest.raises(UserError, match="none: no such file"):
        store.Lines(tmp_path / "none", Response)


@given(cut=st.integers(1, 400))
def test_an_incomplete_last_line_is_ignored_and_replaced(tmp_path_factory, cut: int) -> None:
    log = store.Log(tmp_path_factory.mktemp("log") / "log", Response)
    log.append(RESPONSES)
    size = log.path.stat().st_size
    os.truncate(log.path, max(0, size - cut))
    log = store.Log(log.path, Response)  # of the next process
    complete = log.read()
    assert complete == RESPONSES[: len(complete)]
    log.append(RESPONSES[len(complete) :])
    assert log.read() == RESPONSES


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    log = store.Log(tmp_path / "log", Response)
    log.append(RESPONSES)
    lines = log.path.read_bytes().splitlines()
    log.path.write_bytes(b"\n".join([lines[0], lines[1][:20], *lines[2:], b""]))
    with pytest.raises(UserError, match=r"log, line 2: "):
        log.read()


def test_a_wrong_field_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "instances.test.jsonl"
    store.write_lines(path, [Instance("a", "test", (Part("text", "?"),), {}, "p", "Case 1")])
    path.write_text(path.read_text().replace('"Case 1"', "1"))
    with pytest.raises(UserError, match="line 1: target: expected a text, got a whole number"):
        list(store.read_lines(path, Instance))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "expected one JSON object per line, got an incomplete or empty one"),
        (b'{"id": a}', "expected one JSON object per line, got something else at byte 7"),
        (b'{"id": "\xff"}', "expected text in UTF-8, got the byte 0xff"),
        (b"", "expected one JSON object per line, got an incomplete or empty one"),
        (b'{"id": "a"}', "expected the field split, which is missing"),
        (
            b'{"facts": {"a": ' + b"[" * 100_000,
            "expected one JSON object per line, got one that is nested too deeply",
        ),
    ],
)
def test_an_unreadable_line_is_explained(tmp_path: Path, line: bytes, message: str) -> None:
    (path := tmp_path / "lines.jsonl").write_bytes(line + b"\n")
    with pytest.raises(UserError) as error:
        list(store.read_lines(path, Instance))
    assert str(error.value) == f"{path}, line 1: {message}; correct or delete this line"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'{}\n{"a": 1',
            "line 2: expected one JSON object per line, got an incomplete or empty one; correct this line",
        ),
        (
            b"{}\n\n{}",
            "line 2: expected one JSON object per line, got an incomplete or empty one; delete this line",
        ),
        (
            "{}".encode("utf-16"),
            "line 1: expected text in UTF-8, got another encoding; save the file in UTF-8",
        ),
        (b'{}\n{"\xe9": 1}', "line 2: expected text in UTF-8, got another encoding; save the file in UTF-8"),
    ],
)
def test_each_line_of_a_user_is_needed(tmp_path: Path, content: bytes, message: str) -> None:
    (path := tmp_path / "lines.jsonl").write_bytes(content)
    with pytest.raises(UserError) as error:
        list(store.Lines(path, dict[str, int]))
    assert str(error.value) == f"{path}, {message}"


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array_is_told_from_json_lines(tmp_path: Path, indent: int | None) -> None:
    (path := tmp_path / "lines.jsonl").write_text(json.dumps([{"id": "a"}], indent=indent))
    for read in (store.read_lines, store.Lines):
        with pytest.raises(
            UserError, match=r"line 1: .+ got a list; write each object of the list on a line"
        ):
            list(read(path, Instance))


def test_a_list_within_a_line_is_no_json_array(tmp_path: Path) -> None:
    (path := tmp_path / "lines.jsonl").write_text('{"a": ["b"]}')
    with pytest.raises(UserError, match=r"a.+: expected .+, got a list; correct this line"):
        list(store.Lines(path, dict[str, int]))


def test_only_files_are_replaced_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    store.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"pipe: expected a file to replace, got a pipe or a device"):
        store.write(tmp_path / "pipe", b"new")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n \r\n\t\n"])
def test_blank_lines_at_the_end_of_a_file_that_a_user_wrote_are_no_records(tmp_path: Path, end: str) -> None:
    (path := tmp_path / "lines.jsonl").write_text("1\n2" + end)
    lines = store.Lines(path, int)
    assert [*lines] == [1, 2] == [lines[0], lines[1]] and len(lines) == 2
    path.write_text("1\n\n2\n")
    with pytest.raises(UserError, match="line 2"):
        list(store.Lines(path, int))


@pytest.mark.parametrize(("place", "found", "expected"), [
    ("a", "a", "a folder, got a file"),
    ("a/b", "a", "a folder, got a file"),
    (".", ".", "a file, got a folder"),
])  # fmt: skip
def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path, place: str, found: str, expected: str) -> None:
    (tmp_path / "a").write_text("")
    path = tmp_path / place
    with pytest.raises(UserError) as error, store.writing(path):
        path.write_text("") if place == "." else path.mkdir()
    assert str(error.value) == f"{tmp_path / found}: expected {expected}; name another"


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    kind: Literal["one", "two"] = "one"
    number: Annotated[int, msgspec.Meta(ge=1)] = 1


class Table(msgspec.Struct, forbid_unknown_fields=True, rename={"entries": "entry"}):
    entries: list[Entry] = []
    names: dict[str, str] = {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entries = []", "entries: unknown field; the known fields are entry, names"),
        ("[[entry]]\nnumbr = 3", "entry[0].numbr: unknown field; the known fields are kind, number"),
        ("[[entry]]\nnumber = 0", "entry[0].number: expected a whole number of at least 1"),
        ("[[entry]]\nkind = 'three'", "entry[0].kind: expected one or two, got 'three'"),
        ("names = 3", "names: expected a table, got a whole number"),
    ],
)
def test_a_mistake_in_a_toml_file_is_explained_in_its_words(tmp_path: Path, text: str, message: str) -> None:
    (path := tmp_path / "table.toml").write_text(text)
    with pytest.raises(UserError) as error:
        store.read_toml(path, Table)
    assert str(error.value) == f"{path}: {message}"


def test_a_toml_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (path := tmp_path / "table.toml").write_text("names = {}", encoding="utf-8-sig")
    assert store.read_toml(path, Table) == Table()


def test_a_folder_instead_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a file with one JSON object per line, got a folder"):
        list(store.read_lines(tmp_path, Instance))


def test_a_damaged_file_is_named_with_its_repair(tmp_path: Path) -> None:
    (path := tmp_path / "manifest.json").write_text('{"format": 2,')
    with pytest.raises(
        UserError, match=r"json: .+ incomplete .+ is damaged or .+ generate the benchmark again"
    ):
        store.read_json(path, dict[str, int])


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text('{"a": 1}', encoding="utf-8-sig")
    assert store.read_json(tmp_path / "file.json", dict[str, int]) == {"a": 1}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})
    assert store.read_json(path, dict) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_an_error_of_one_sentence_and_leaves_no_partial_file(tiny_disk: Path) -> None:
    with pytest.raises(UserError, match="no space left"):
        store.write(tiny_disk / "big", b"x" * 10**6)
    assert list(tiny_disk.iterdir()) == []
    log = store.Log(tiny_disk / "log", Response)
    with pytest.raises(UserError, match="rerun the command"):
        for _ in range(10**4):
            log.append(RESPONSES)
    records = log.read()
    assert records == (RESPONSES * len(records))[: len(records)]
    assert log.path.read_bytes().endswith(b"\n")


@pytest.mark.parametrize("path", ["../a.png", "/etc/passwd", "images/../../a.png", "", "a\\b.png", "a\0.png"])
def test_a_path_outside_the_folder_is_an_error(path: str) -> None:
    with pytest.raises(UserError, match="inside the benchmark's folder"):
        benchmark.refuse_outside(path)
