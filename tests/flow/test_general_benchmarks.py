"""Published benchmarks from local files: every format, end to end, offline; and errors."""

import base64
import gzip
import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from odd_images import readable, unreadable
from PIL import Image
from pyarrow import parquet
from scoring import results_of

from harness import variants
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.general import published
from harness.metrics.macro import MACRO_ACCURACY
from harness.records import Part, ReportRow, Response
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import INTERNALIZED
from harness.verify import verify

Rows = Sequence[Mapping[str, Any]]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Gives each test its own cache folder, and makes network access fail."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a local source used the network")

    monkeypatch.setattr(socket, "socket", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def image_bytes(color: str, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(file, kind)
    return file.getvalue()


def mmlu(number: int, category: str = "law", **other: Any) -> dict[str, Any]:
    row = {
        "question_id": number,
        "question": f"What is {number}?",
        "options": ["odd", "even", "neither"],
        "answer": "B" if number % 2 == 0 else "A",
        "category": category,
        "cot_content": "",
    }
    return row | other


def worked_example(number: int, category: str = "law") -> dict[str, Any]:
    return mmlu(
        number, category, cot_content=f"A: Let's think step by step. It is {number}. The answer is (A)."
    )


def mmmu(name: str, **other: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "question": "Which follows <image 2> and <image 1>, once more <image 2>?",
        "options": "['this', \"that's\"]",
        "answer": "B",
        "subject": "Art",
        "image": {"bytes": image_bytes("blue"), "path": None},
        **{f"image_{n}": {"bytes": image_bytes(c), "path": None} for n, c in ((1, "red"), (2, "green"))},
        "image_3": None,
    }
    return row | other


def in_base64(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return {k: in_base64(v) for k, v in value.items()} if isinstance(value, dict) else value


def write(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return
    plain = [in_base64(dict(row)) for row in rows]
    is_array = path.name.split(".")[1] == "json"
    data = (json.dumps(plain) if is_array else "\n".join(map(json.dumps, plain)) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def figures(benchmark: Benchmark, model: str, out: Path) -> dict[str, ReportRow]:
    report = evaluate(benchmark, EvalRequest(model), out)
    return {row.metric: row for row in report.rows if not row.group}


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "jsonl.gz", "json", "json.gz"])
def test_mmlu_pro_end_to_end(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "data"
    write(folder / f"test.{ending}", [mmlu(n) for n in range(40)] + [mmlu(40, "math")])
    write(
        folder / f"validation.{ending}", [worked_example(n) for n in range(7)] + [worked_example(9, "math")]
    )
    benchmark = published.open(f"mmlu-pro:{folder}")
    assert "gold responses score 1" in verify(benchmark)
    oracle = figures(benchmark, "oracle", tmp_path / "oracle")["accuracy"]
    assert (oracle.mean, oracle.n) == (1, 41)
    guesses = figures(benchmark, "random", tmp_path / "random")["accuracy"]
    assert guesses.chance == pytest.approx(1 / 3)
    assert guesses.low < 1 / 3 < guesses.high
    same = published.open(f"mmlu-pro:{folder / f'test.{ending}'}")
    assert same.folder == benchmark.folder, "the file means the same and is not converted again"


def test_all_formats_give_the_same_benchmark(tmp_path: Path) -> None:
    digests = set()
    for ending in ("parquet", "jsonl.gz"):
        write(tmp_path / ending / "data" / f"test-00000-of-00001.{ending}", [mmlu(1), mmlu(2)])
        write(tmp_path / ending / "data" / f"validation-00000-of-00001.{ending}", [worked_example(3)])
        digests.add(published.open(f"mmlu-pro:{tmp_path / ending}").manifest.digest)
    assert len(digests) == 1


def test_the_right_option_stays_right_if_filled_up_options_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(1, options=["x", "N/A", "y", "z"], answer="C", answer_index=2)])
    benchmark = published.open(f"mmlu-pro:{tmp_path}?shots=0")
    (instance,) = benchmark.instances("test")
    assert (instance.facts["options"], instance.target) == (["x", "y", "z"], "B")
    assert "B. y" in instance.query[0].value
    assert benchmark.grade(instance, instance.target, "The answer is (B).").value == 1


def test_the_layout_of_an_mmlu_pro_prompt(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(2, options=["odd", "even", "N/A"])])
    repeated = worked_example(8) | {"question": "What is 8?A. odd\nB. even\nC. neither"}
    boxed = repeated | {"cot_content": r"It is 8. The answer is \boxed{B}."}
    write(
        tmp_path / "validation.jsonl",
        [worked_example(1, "math"), worked_example(3), boxed, worked_example(5)],
    )
    (instance,) = published.open(f"mmlu-pro:{tmp_path}?shots=2").instances("test")
    (part,) = instance.query
    head, *questions = part.value.split("Question:\n")
    assert "law" in head
    assert '"the answer is (X)"' in head
    options = "Options:\nA. odd\nB. even\n"
    think = "Answer: Let's think step by step."
    assert questions == [
        f"What is 3?\n{options}C. neither\n{think} It is 3. The answer is (A).\n\n",
        f"What is 8?\n{options}C. neither\n{think} It is 8. The answer is (B).\n\n",
        f"What is 2?\n{options}{think}",
    ]
    assert instance.facts["options"] == ["odd", "even"]


def test_mmmu_pro_end_to_end(tmp_path: Path) -> None:
    rows = [mmmu("test_Art_1"), mmmu("test_Art_2", answer="A"), mmmu("validation_Accounting_29")]
    for name in ("standard (4 options)", "standard (10 options)", "vision"):
        write(tmp_path / "hub" / name / "test-00000-of-00001.parquet", rows)
    for name in ("standard4", "standard10", "vision"):
        benchmark = published.open(f"mmmu-pro-{name}:{tmp_path / 'hub'}")
        assert benchmark.manifest.config["benchmark"] == f"mmmu-pro-{name}"
        assert benchmark.manifest.config["skipped"] == ["validation_Accounting_29"]
        assert "gold responses score 1" in verify(benchmark)
        row = figures(benchmark, "oracle", tmp_path / name)["accuracy"]
        assert (row.mean, row.n, row.chance) == (1, 2, 0.5)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("named", "shown"),
    [
        (("2", "3", "1"), ("1", "2", "3")),
        (("1", "1", "2"), ("1", "2")),
        (("2", "1", "2"), ("1", "2")),
        (("3",), ("3",)),
        (("1",), ("1",)),
    ],
)
def test_an_image_follows_the_name_that_the_text_gives_it(
    tmp_path: Path, ending: str, named: Sequence[str], shown: Sequence[str]
) -> None:
    colors = {"1": (255, 0, 0), "2": (0, 128, 0), "3": (0, 0, 255)}
    jpeg = {"bytes": image_bytes("red", "JPEG"), "path": "x.jpg"}
    options = str([f"<image {number}>" for number in named])
    pictures = {"image_1": jpeg, "image_3": {"bytes": image_bytes("blue"), "path": None}}
    row = mmmu("a", **pictures, question="Which?", options=options, answer="A")
    write(tmp_path / f"test.{ending}", [row])
    benchmark = published.open(f"mmmu-pro-standard10:{tmp_path}")
    (instance,) = benchmark.instances("test")
    text, *rest = instance.query
    lines = text.value.split("\n")
    assert lines[:2] == ["Which?", f"A. <image {named[0]}>"]
    assert "'Answer: X'" in lines[-1]
    assert [part.value for part in rest[::2]] == [f"\n<image {number}>" for number in shown]
    for number, part in zip(shown, rest[1::2], strict=True):
        assert part.value.endswith("jpg" if number == "1" else "png")
        color = benchmark.image(part.value).getpixel((3, 3))
        assert color == pytest.approx(colors[number], abs=2 * (number == "1"))


def test_a_question_in_the_picture_has_no_other_text(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmmu("a")])
    (instance,) = published.open(f"mmmu-pro-vision:{tmp_path}?prompt=direct").instances("test")
    assert [part.kind for part in instance.query] == ["text", "image"]
    assert "think" not in instance.query[0].value.lower()
    assert "that's" not in instance.query[0].value


def test_an_image_that_cannot_be_read_costs_its_own_question(tmp_path: Path) -> None:
    files = {name: odd.data for name, odd in readable().items()}
    files |= {name: data for name, (data, _) in unreadable().items()}
    rows = [mmmu(name, image={"bytes": data, "path": None}) for name, data in files.items()]
    write(tmp_path / "test.jsonl", rows)
    benchmark = published.open(f"mmmu-pro-vision:{tmp_path}")
    for model in ("oracle", "random"):
        row = figures(benchmark, model, tmp_path / model)["accuracy"]
        assert (row.n, row.errors) == (len(readable()), len(unreadable()))
    failed = [r for r in store.Log(tmp_path / "oracle/responses.jsonl", Response).read() if r.error]
    assert {r.instance for r in failed} == set(unreadable())
    assert all(re.match(r"images/\d{6}-image\.png: not a readable image", r.error) for r in failed)


def test_an_image_may_be_a_path_and_a_changed_image_is_converted_again(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmmu("a", image="images/a.png", image_1=None, image_2=None)])
    pixels = []
    for color in ("red", "blue"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "a.png").write_bytes(image_bytes(color))
        benchmark = published.open(f"mmmu-pro-vision:{tmp_path / 'test.jsonl'}")
        pixels.append(benchmark.image(benchmark.instances("test")[0].query[1].value).getpixel((0, 0)))
    assert pixels == [(255, 0, 0), (0, 0, 255)]


def test_only_the_internalized_variant_has_prompts(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(1)])
    benchmark = published.open(f"mmlu-pro:{tmp_path}?shots=0")
    (instance,) = benchmark.instances("test")
    prompts = [variants.prompt(instance, v, benchmark.policies) for v in variants.VARIANTS.values()]
    assert [prompt is not None for prompt in prompts] == [True, False, False]
    assert prompts[0] and isinstance(prompts[0].parts[0], Part)


def test_the_macro_average_weights_categories_equally(tmp_path: Path) -> None:
    rows = [mmlu(n, "law") for n in range(9)] + [mmlu(9, "math")]
    write(tmp_path / "test.jsonl", rows)
    benchmark = published.open(f"mmlu-pro:{tmp_path}?shots=0")
    instances = benchmark.instances("test")
    texts = [
        "The answer is (C)." if i.facts["category"] == "law" else "The answer is (A)." for i in instances
    ]
    responses = [Response(i.id, INTERNALIZED.name, 0, t) for i, t in zip(instances, texts, strict=True)]
    (row,) = MACRO_ACCURACY.rows(results_of(benchmark, instances, responses))
    assert (row.metric, row.mean, row.n) == ("macro accuracy", 0.5, 10)
    assert row.low is not None and row.high is not None
    assert 0 < row.low < 0.5 < row.high < 1


def test_a_folder_is_opened_as_it_is(text_folder: Path) -> None:
    assert published.open(str(text_folder)).folder == text_folder


def test_a_failed_conversion_leaves_no_files(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(1), mmlu(1)])
    with pytest.raises(UserError, match="'1': expected once, got 2 times"):
        published.open(f"mmlu-pro:{tmp_path}?shots=0")
    assert [path.name for path in (tmp_path / "cache/policy-internalization").iterdir()] == [".lock"]


def test_a_conversion_removes_what_killed_ones_left_and_leaves_running_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "test.jsonl", [mmlu(1)])
    write(tmp_path / "validation.jsonl", [worked_example(2)])
    killed = tmp_path / "cache/policy-internalization/.mmlu-pro-0123456789abcdef-x"
    (killed / "mmlu-pro-0123456789abcdef").mkdir(parents=True)
    converted: list[object] = []

    def slow(instances: object) -> None:
        converted.append(instances)
        time.sleep(0.2)

    monkeypatch.setattr(published, "_check", slow)
    with ThreadPoolExecutor(4) as threads:
        opened = threads.map(lambda n: published.open(f"mmlu-pro:{tmp_path}?shots={n % 2}"), range(4))
        folders = {benchmark.folder.name for benchmark in opened}
    assert len(converted) == len(folders) == 2
    assert {path.name for path in killed.parent.iterdir()} == {".lock", *folders}


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("mmlu-pro:{}?shots=0", {"question": "x"}, "row 1: Object missing required field"),
        (
            "mmlu-pro:{}?shots=0",
            mmlu(1, answer="D"),
            "row 1: answer: expected one of the letters ABC, got 'D'",
        ),
        ("mmlu-pro:{}?shots=0", mmlu(1, answer="AB"), "expected one of the letters ABC, got 'AB'"),
        ("mmlu-pro:{}?shots=0", mmlu(1, options=["N/A"]), "expected options"),
        (
            "mmlu-pro:{}?shots=0",
            mmlu(1, options=["N/A", "x"]),
            "row 1: options: expected options with a text",
        ),
        ("mmlu-pro:{}?shots=0", mmlu(1, answer_index=2), "row 1: answer_index: expected 0 for the answer A"),
        ("mmlu-pro:{}", mmlu(1), "expected a worked example for category 'law'"),
        ("mmlu-pro:{}?shots=6", mmlu(1), "shots: expected 0..5, got '6'"),
        ("mmlu-pro:{}?shot=3", mmlu(1), "expected the option shots, got 'shot'"),
        ("mmmu-pro-vision:{}?prompt=best", mmmu("a"), "expected cot or direct, got 'best'"),
        ("mmmu-pro-vision:{}", mmmu("a", image=None), "question 'a' shows image, expected that image"),
        ("mmmu-pro-standard4:{}", mmmu("a", image_2=None), "shows image_2, expected that image"),
        ("mmmu-pro-standard4:{}", mmmu("a", question="<image 9>"), "shows image_9, expected that image"),
        ("mmmu-pro-standard4:{}", mmmu("a", question=None), "missing required field `question`"),
        ("mmmu-pro-standard4:{}", mmmu("a", options="[['A', 'B']]"), "options: expected a list of texts"),
        ("mmmu-pro-standard4:{}", mmmu("a", options="__import__('os')"), "options: expected a list of texts"),
        ("mmmu-pro-vision:{}", mmmu("a", image={"bytes": None, "path": "a.png"}), "or a path in images/"),
        ("mmmu-pro-vision:{}", mmmu("a", image={"bytes": None, "path": "../a.png"}), "inside the benchmark"),
        ("mmmu-pro-vision:{}", mmmu("a", image={"bytes": None, "path": "images/a"}), "cannot be read"),
    ],
)
def test_bad_rows(tmp_path: Path, ending: str, name: str, row: dict[str, Any], message: str) -> None:
    write(tmp_path / f"test.{ending}", [row])
    with pytest.raises(UserError) as caught:
        published.open(name.format(tmp_path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/else/test.parquet", "no such file or folder"),
        ("test.parquet", "cannot be read as Parquet"),
        ("test.jsonl", "cannot be read as JSON"),
        ("test.jsonl.gz", "cannot be read as JSON"),
        ("empty", "expected test.parquet or test.jsonl in it"),
    ],
)
def test_bad_sources(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("test.parquet", "test.jsonl", "test.jsonl.gz"):
        (tmp_path / name).write_bytes(b"\x00 nothing")
    with pytest.raises(UserError) as caught:
        published.open(f"mmlu-pro:{tmp_path / source}")
    assert message in str(caught.value)


def test_an_unreachable_hub_is_an_error_of_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(UserError, match=r"TIGER-Lab/MMLU-Pro: .*no route to host.*name a local folder"):
        published.open("mmlu-pro")


def test_without_the_optional_packages_the_error_says_how_to_install_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path / "test.parquet", [mmlu(1)])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install -e '.*\[benchmarks\]'"):
        published.open(f"mmlu-pro:{tmp_path}?shots=0")


def test_files_of_the_hub_are_read_like_a_local_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    write(tmp_path / "vision" / "test-00000-of-00001.parquet", [mmmu("a")])
    downloads = []

    def download(repo: str, **settings: Any) -> str:
        downloads.append((repo, settings))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert len(published.open("mmmu-pro-vision").instances("test")) == 1
    assert downloads == [("MMMU/MMMU_Pro", {"repo_type": "dataset", "allow_patterns": ["vision/*"]})]


def test_the_command_takes_a_name_and_a_source(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(1)])
    harness = Path(sys.executable).parent / "harness"
    command = [
        harness,
        "eval",
        f"mmlu-pro:{tmp_path}?shots=0",
        "--model",
        "oracle",
        "--out",
        tmp_path / "run",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert re.search(r"macro accuracy: over category \(%\) +100\.0", done.stdout)
    command[2] = f"mmlu-pro:{tmp_path / 'none.jsonl'}"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "none.jsonl: no such file or folder" in done.stderr


def test_a_run_resumes_with_the_cached_conversion(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", [mmlu(n) for n in range(6)])
    out = tmp_path / "run"
    for _ in range(2):
        evaluate(published.open(f"mmlu-pro:{tmp_path}?shots=0"), EvalRequest("random"), out)
    assert len(store.Log(out / "responses.jsonl", Response).read()) == 6
