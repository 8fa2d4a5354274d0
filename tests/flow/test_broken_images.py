"""What images that cannot be read, are missing or were changed cost: their questions, or one sentence."""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Reply, Request, completion, serving
from odd_images import readable, unreadable
from PIL import Image

from harness import cli, images, show
from harness.backends import Endpoint, Sampling
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.general import published
from harness.records import Report, Response
from harness.request import EvalRequest
from harness.run import evaluate
from harness.verify import verify

pytest.importorskip("openai")

SHOWN = ("plain.png", "rgba_clear.png", "gray16.png", "exif6.jpg", "jpeg_named.png", "plain.bmp")
BROKEN = ("cut.png", "page.png", "bomb.png")


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    """A question for each of SHOWN and BROKEN, made from files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    rows = []
    for name in (*SHOWN, *BROKEN):
        data = readable()[name].data if name in SHOWN else unreadable()[name][0]
        (source / "images" / name).write_bytes(data)
        row = {"id": name, "options": "['this', 'that']", "answer": "A", "subject": "Art"}
        rows.append(json.dumps(row | {"image": f"images/{name}"}))
    (source / "test.jsonl").write_text("\n".join(rows))
    return published.open(f"mmmu-pro-vision:{source}")


def answer(request: Request) -> Reply:  # noqa: ARG001
    return completion("Answer: A")


def sent_images(requests: list[Request]) -> Iterator[tuple[str, bytes]]:
    for request in requests:
        url = request.content[1]["image_url"]["url"]
        head, _, data = url.partition(";base64,")
        yield head.removeprefix("data:"), base64.b64decode(data)


def test_an_api_gets_the_pixels_that_a_checkpoint_sees(benchmark: Benchmark, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with serving(answer) as server:
        request = EvalRequest("openai:served", endpoint=Endpoint(base_url=server.url))
        report = evaluate(benchmark, request, out)
        sent = list(sent_images(server.requests))
        again = evaluate(benchmark, request, out)
        assert len(server.requests) == len(SHOWN), "what cannot be read is never sent"
    (row,) = (row for row in report.rows if row.metric == "accuracy" and not row.group)
    assert (row.mean, row.n, row.errors) == (1, len(SHOWN), len(BROKEN))
    assert again == report
    paths = [i.query[1].value for i in benchmark.instances("test") if i.id in SHOWN]
    seen = {benchmark.image(path).tobytes() for path in paths}
    for media_type, data in sent:
        with Image.open(io.BytesIO(data)) as image:
            assert image.get_format_mimetype() == media_type
            assert image.convert("RGB").tobytes() in seen
    lines = store.Log(out / "responses.jsonl", Response).read()
    assert len(lines) == len(SHOWN) + len(BROKEN), "a failure is logged once"
    reasons = {r.instance: r.error for r in lines if r.error is not None}
    assert set(reasons) == set(BROKEN)
    page = (out / "report.html").read_text()
    assert all(reason in page.replace("&#39;", "'").replace("&lt;", "<") for reason in reasons.values())


def test_the_conversion_says_which_images_it_changes(
    benchmark: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    again = published.open(f"mmmu-pro-vision:{tmp_path / 'source'}")
    assert again.manifest.digest == benchmark.manifest.digest
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(", such as ")[0] for line in said] == [
        "images that were converted to PNG: 4",
        "images that cannot be read, so their questions will fail: 3",
    ]
    assert said[0].endswith("test.jsonl, row 2: image")


def test_a_checkpoint_answers_the_other_questions(
    benchmark: Benchmark, tmp_path: Path, checkpoint: Path
) -> None:
    request = EvalRequest(f"hf:{checkpoint}", sampling=Sampling(max_new_tokens=2))
    report = evaluate(benchmark, request, tmp_path / "run")
    (row,) = (row for row in report.rows if row.metric == "accuracy" and not row.group)
    assert (row.n, row.errors) == (len(SHOWN), len(BROKEN))
    assert report.batch_check is not None
    assert report.batch_check.asked == len(SHOWN)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_a_missing_or_changed_image_is_reported_before_the_first_request(
    benchmark: Benchmark, tmp_path: Path, damage
) -> None:
    path = benchmark.instances("test")[0].query[1].value
    copy = Path(shutil.copytree(benchmark.folder, tmp_path / "copy"))
    damage(copy / path)
    with serving(answer) as server:
        request = EvalRequest("openai:served", endpoint=Endpoint(base_url=server.url))
        with pytest.raises(UserError, match=path):
            evaluate(Benchmark(copy), request, tmp_path / "run")
        assert server.requests == []
    shutil.copy(benchmark.folder / path, copy / path)
    with serving(answer) as server:
        request = EvalRequest("openai:served", endpoint=Endpoint(base_url=server.url))
        evaluate(Benchmark(copy), request, tmp_path / "run")
    (copy / path).unlink()
    finished = evaluate(Benchmark(copy), request, tmp_path / "run")
    assert finished == store.read_json(tmp_path / "run" / "report.json", Report)


def test_a_broken_image_is_shown_as_its_reason(benchmark: Benchmark, tmp_path: Path) -> None:
    broken = show.find(benchmark, "page.png")
    assert "not a readable image: a web page" in show.terminal(benchmark, broken, colors=True)
    cli.show(str(benchmark.folder), "page.png", png=tmp_path / "page.png")
    assert images.pixels((tmp_path / "page.png").read_bytes(), "page.png").width > 320
    with pytest.raises(UserError, match="not a readable image"):
        verify(benchmark)


def test_training_names_the_instance_before_the_first_step(visual_folder: Path, tmp_path: Path) -> None:
    from harness.files import benchmark as benchmarks
    from training.config import TrainingData
    from training.sequences.dataset import Mixture

    copy = Path(shutil.copytree(visual_folder, tmp_path / "copy"))
    spoiled = Benchmark(copy).instances("train")[-1]
    (copy / spoiled.query[0].value).write_bytes(unreadable()["cut.png"][0])
    manifest = Benchmark(copy).manifest
    benchmarks.seal(copy, benchmarks.BenchmarkSpec(manifest.family, manifest.config, manifest.versions))
    with pytest.raises(UserError, match=rf"-{spoiled.facts['scene']}: images/.*truncated"):
        Mixture([TrainingData(copy)], ["direct-sft"]).check_images()
    Mixture([TrainingData(visual_folder)], ["direct-sft"]).check_images()
