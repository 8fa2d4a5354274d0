"""What answers is recorded in run.json; another one under the same folder is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import backends
from harness.backends import Endpoint, Sampling, identity
from harness.backends.scripted import Oracle
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Run
from harness.request import EvalRequest
from harness.run import evaluate

FILES = {
    "model.safetensors": "weights",
    "adapter_model.safetensors": "weights",
    "config.json": "config",
    "tokenizer.json": "tokenizer",
    "tokenizer_config.json": "tokenizer",
    "chat_template.jinja": "chat template",
    "processor_config.json": "processor",
    "preprocessor_config.json": "processor",
    "generation_config.json": "generation config",
    "modeling_own.py": "code",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.fixture(autouse=True)
def every_model_answers_like_the_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no checkpoint needs to be loaded."""
    monkeypatch.setattr(
        backends, "make", lambda _model, benchmark, *_, **__: Oracle("", benchmark, Sampling())
    )


def run(benchmark: Path, model: str, out: Path, **fields: Any) -> Run:
    return evaluate(Benchmark(benchmark), EvalRequest(model, variants="internalized", **fields), out).run


@pytest.mark.parametrize("edited", [True, False])
@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_of_the_checkpoint_is_refused_by_its_kind(
    text_folder: Path, folder: Path, tmp_path: Path, name: str, edited: bool
) -> None:
    out = tmp_path / "run"
    first = run(text_folder, f"hf:{folder}", out)
    assert run(text_folder, f"hf:{folder}", out) == first
    if edited:
        (folder / name).write_text("other")
    elif name != "tokenizer_config.json":
        (folder / name).unlink()
    else:
        (folder / "tokenizer.model").touch()
    message = rf"^model: {out} contains a run with another {FILES[name]} \(\w+, now \w+\); name another"
    with pytest.raises(UserError, match=message):
        run(text_folder, f"hf:{folder}", out)


def test_an_added_file_is_refused_too(text_folder: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    model = f"vllm:{folder}?dtype=float32"
    run(text_folder, model, tmp_path / "run")
    (folder / "chat_template.jinja").write_text("new")
    with pytest.raises(UserError, match="another chat template"):
        run(text_folder, model, tmp_path / "run")


def test_other_files_may_change_and_the_checkpoint_may_be_missing(
    text_folder: Path, folder: Path, tmp_path: Path
) -> None:
    first = run(text_folder, f"hf:{folder}", tmp_path / "run")
    (folder / "README.md").write_text("new")
    assert run(text_folder, f"hf:{folder}", tmp_path / "run") == first
    shutil.rmtree(folder)
    assert run(text_folder, f"hf:{folder}", tmp_path / "run") == first


def test_a_run_of_an_earlier_version_can_be_resumed(text_folder: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = run(text_folder, f"hf:{folder}", out)
    stored = json.loads((out / "run.json").read_text())
    del stored["identity"], stored["sampling"]["top_p"]
    store.write_json(out / "run.json", stored)
    assert store.read_json(out / "run.json", Run).identity is None
    assert run(text_folder, f"hf:{folder}", out) == first
    assert store.read_json(out / "run.json", Run) == first


def test_another_address_is_refused(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    first = run(text_folder, "openai:x", out, endpoint=Endpoint("http://one/v1"))
    assert first.identity == {"address": "http://one/v1"}
    assert run(text_folder, "openai:x", out, endpoint=Endpoint("http://one/v1/", concurrency=2)) == first
    for other, shown in ((Endpoint("http://two/v1"), "'http://two/v1'"), (Endpoint(), "none")):
        message = rf"^base_url: .* contains a run with address 'http://one/v1', but {shown} was requested"
        with pytest.raises(UserError, match=message):
            run(text_folder, "openai:x", out, endpoint=other)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://one/v1")
    assert run(text_folder, "openai:x", out) == first


def test_another_revision_of_a_hub_id_is_refused(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "hub_revision", lambda _: ("a" * 40, False))
    first = run(text_folder, "hf:owner/name", tmp_path / "run")
    assert first.identity == {"revision": "a" * 40, identity.TRUSTED: None}
    with pytest.raises(UserError, match=r"^trust_remote_code: .* code of the checkpoint none, but 'run' was"):
        run(text_folder, "hf:owner/name", tmp_path / "run", trust_remote_code=True)
    monkeypatch.setattr(identity, "hub_revision", lambda _: (None, True))
    assert run(text_folder, "hf:owner/name", tmp_path / "run") == first
    monkeypatch.setattr(identity, "hub_revision", lambda _: ("b" * 40, False))
    with pytest.raises(UserError, match=r"^model: .* contains a run with revision 'a+', but 'b+' was"):
        run(text_folder, "hf:owner/name", tmp_path / "run")


def test_offline_the_revision_is_that_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert identity.hub_revision("owner/none") == (None, True)
    reference = tmp_path / "models--owner--name" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("abc\n")
    assert identity.hub_revision("owner/name") == ("abc", True)


def test_a_scripted_model_has_no_identity(text_folder: Path, tmp_path: Path) -> None:
    assert run(text_folder, "oracle", tmp_path / "run").identity is None
    assert identity.identity("replay:run", Endpoint()) is None


def test_a_conflict_names_the_flag(text_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(text_folder, "oracle", out)
    with pytest.raises(UserError, match=r"^limit: .* contains a run with limit none, but 2 was requested"):
        run(text_folder, "oracle", out, limit=2)
    with pytest.raises(UserError, match=r"^max_new_tokens: .* with max new tokens 1024, but 8 was requested"):
        run(text_folder, "oracle", out, sampling=Sampling(max_new_tokens=8))
    store.write_json(out / "run.json", json.loads((out / "run.json").read_text()) | {"digest": "0" * 64})
    with pytest.raises(UserError, match=r"^benchmark: .* contains a run with another digest"):
        run(text_folder, "oracle", out)
