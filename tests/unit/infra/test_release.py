from __future__ import annotations

import json
from pathlib import Path

import pytest

from scgpt_databricks.infra import layout, release, settings
from scgpt_databricks.infra.release import ReleaseError
from tests.unit.infra.manifests import canary, champion, manifest, served

DEV = settings.load("dev", layout.ENVIRONMENTS)
MODEL = DEV.names.full_model


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "dev.release.json"
    release.write(path, canary(DEV))
    assert release.read(path) == canary(DEV)
    assert release.find(path, model=MODEL) == canary(DEV)
    assert path.read_text() == canary(DEV).to_json("dev"), "the text is stable"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "no draft is left"


def test_versions_are_sorted_as_numbers() -> None:
    assert [entity.version for entity in canary(DEV).served] == [9, 10]
    assert canary(DEV).champion.version == 9


def test_the_digest_tells_manifests_apart() -> None:
    assert champion(DEV).digest() != canary(DEV).digest()
    pinned = "2ce001ccf42bd156a773239f98958a9c65c877dfeb564d9482b9e4623266683c"
    assert champion(DEV).digest() == pinned, "manifests that were written before stay valid"


def test_a_name_of_its_own_is_kept_and_changes_no_other_digest(tmp_path: Path) -> None:
    plain, path = champion(DEV), tmp_path / "dev.release.json"
    assert "name" not in plain.to_json("dev")
    named = manifest(DEV, plain.champion.model_copy(update={"name": "current"}))
    release.write(path, named)
    assert release.read(path).champion.name == "current"
    assert named.digest() != plain.digest()
    twice = [each.model_copy(update={"name": "current"}) for each in canary(DEV).served]
    with pytest.raises(ValueError, match="each name may appear once"):
        manifest(DEV, *twice)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([served(1, 60, "champion"), served(2, 30, "challenger")], "add up to 100, got 90"),
        ([served(1, 50, "champion"), served(1, 50, "challenger")], "may appear once"),
        ([served(1, 50, "champion"), served(2, 50, "champion")], "exactly one"),
        ([served(1, 100, "previous")], "exactly one"),
        ([], "at least 1 item"),
        (
            [
                served(n, 100 if n == 1 else 0, "champion" if n == 1 else "previous")
                for n in range(1, 12)
            ],
            "at most 10 versions, got 11",
        ),
    ],
)
def test_wrong_combinations_are_refused(entries: list[release.Served], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        manifest(DEV, *entries)


def test_a_wrong_file_lists_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "dev.release.json"
    text = json.loads(champion(DEV).to_json("dev"))
    text["served"][0] |= {"version": "3", "checkpoint_sha256": "xyz"}
    text["model"] = "scgpt"
    path.write_text(json.dumps(text))
    with pytest.raises(ReleaseError) as caught:
        release.read(path)
    message = str(caught.value)
    for key in ("model:", "served.0.version:", "served.0.checkpoint_sha256:", str(path)):
        assert key in message


def test_no_manifest_is_no_release(tmp_path: Path) -> None:
    assert release.find(tmp_path / "dev.release.json", model=MODEL) is None
    with pytest.raises(ReleaseError, match="build a version first"):
        release.read(tmp_path / "dev.release.json")


def test_the_manifest_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.release.json"
    release.write(path, champion(DEV))
    with pytest.raises(ReleaseError, match=r"is of dev\.scgpt\..*model is prod\.scgpt\.other"):
        release.find(path, model="prod.scgpt.other")


def test_traffic_is_a_percentage(tmp_path: Path) -> None:
    path = tmp_path / "dev.release.json"
    text = json.loads(champion(DEV).to_json("dev"))
    text["served"][0]["traffic"] = 101
    path.write_text(json.dumps(text))
    with pytest.raises(ReleaseError, match=r"served\.0\.traffic: .*less than or equal to 100"):
        release.read(path)


@pytest.mark.parametrize(
    ("key", "value"), [("git_commit", "somebody's"), ("created_at", "2026-11-22T04:00:00Z")]
)
def test_an_edit_by_hand_is_refused(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "dev.release.json"
    release.write(path, champion(DEV))
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ReleaseError, match="was edited by hand") as caught:
        release.find(path, model=MODEL)
    assert str(path) in str(caught.value)


def test_another_layout_of_the_same_text_is_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "dev.release.json"
    release.write(path, champion(DEV))
    path.write_text(json.dumps(json.loads(path.read_text()), indent=8, sort_keys=True))
    assert release.read(path) == champion(DEV)


def test_a_manifest_that_was_copied_is_refused(tmp_path: Path) -> None:
    release.write(tmp_path / "dev.release.json", champion(DEV))
    copied = tmp_path / "prod.release.json"
    copied.write_text((tmp_path / "dev.release.json").read_text())
    with pytest.raises(ReleaseError, match="release manifest of 'dev', not of 'prod'"):
        release.find(copied, model=MODEL)


def test_a_manifest_of_an_older_version_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "local.release.json"
    path.write_text(champion(DEV).model_dump_json())
    with pytest.raises(ReleaseError, match="scgpt build local --checkpoint DIR"):
        release.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '"x"'])
def test_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dev.release.json"
    path.write_text(text)
    with pytest.raises(ReleaseError, match="not a release manifest"):
        release.read(path)
