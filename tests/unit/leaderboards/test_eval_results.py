"""The files of `leaderboard export --hub-organization`."""

from contextlib import closing
from pathlib import Path

import pytest
import yaml
from test_leaderboard_page import HOSTILE, MODELS, Model, add

from harness.errors import UserError
from leaderboards.pages.export import export
from leaderboards.storage.board import Boards


def test_every_model_has_its_scores_under_all_variants(tmp_path: Path) -> None:
    for model in (*MODELS[:2], Model("hf_alpha", 1), Model("hf:alpha", 20, training="again")):
        add(tmp_path / "boards", model)
    with closing(Boards(tmp_path / "boards")) as boards:
        for _ in range(2):
            files = export(boards, tmp_path / "out", "my-team")
    found = {f.relative_to(tmp_path / "out/eval_results").as_posix(): f for f in files if f.suffix == ".yaml"}
    names = {path.partition("/")[0]: yaml.safe_load(file.read_text()) for path, file in found.items()}
    assert len(names) == 3 and "hf_beta" in names
    assert all(path.split("/")[1] == ".eval_results" for path in found)
    items = names["hf_beta"]
    assert {item["dataset"]["task_id"] for item in items} == {
        "internalized_test",
        "in_context_test",
        "override_test",
    }
    for item in items:
        assert item["dataset"]["id"] == "my-team/clevrpolicy_61dddddd"
        assert item["value"] == 85.0 and "n 40" in item["notes"]


def test_hostile_names_stay_in_the_folder_and_in_their_strings(tmp_path: Path) -> None:
    add(tmp_path / "boards", Model("hf:../../\n- x: 1" + HOSTILE, 4), tail=HOSTILE)
    with closing(Boards(tmp_path / "boards")) as boards:
        files = export(boards, tmp_path / "out", "my-team")
        with pytest.raises(
            UserError, match=r"^hub_organization: expected a name such as my-team, got '\.\./x'"
        ):
            export(boards, tmp_path / "out", "../x")
    (file,) = (file for file in files if file.suffix == ".yaml")
    assert file.is_relative_to(tmp_path / "out/eval_results") and ".." not in file.parts
    assert all(
        set(item) == {"dataset", "value", "date", "notes"} for item in yaml.safe_load(file.read_text())
    )
