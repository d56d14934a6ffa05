"""A canary that wins and one that is rolled back by itself, while users send all the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.model.scgpt.demo import pbmc_cells
from tests.acceptance.release.environments import MODEL, Users, traffic, users, validated
from tests.acceptance.site import Site

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(1800)]

ENDPOINT = "scgpt-serving"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_checkpoints: Path) -> Iterator[Site]:
    """A deployed endpoint with a trained version, and two more that serve nothing yet."""
    site = Site(tmp_path_factory.mktemp("canary"))
    try:
        site.start_workspace()
        site.succeed("deploy", "local")
        checkpoint = demo_checkpoints / "checkpoint"
        build(site, 1, checkpoint)
        manifest = site.manifest.read_text()
        build(site, 2, checkpoint, "--allowed-path-prefix", "/Volumes/main/scgpt/artifacts")
        build(site, 3, demo_checkpoints / "random")
        site.manifest.write_text(manifest)  # building for `local` releases
        site.succeed("deploy", "local")
        yield site
    finally:
        site.stop_workspace()


def build(site: Site, number: int, checkpoint: Path, *more: str) -> None:
    """Build a version that counts as validated: clean environments are other tests' matter."""
    options = ("--no-clean-environment", *more)
    site.succeed("build", "local", "--checkpoint", checkpoint, *options, limit_s=600)
    validated(site, f"main.scgpt.{MODEL}", number)


@pytest.fixture(scope="module")
def sender(site: Site) -> Users:
    return users(site, ENDPOINT, pbmc_cells()[:20].copy(), (20, 4, 4))


def test_one_canary_wins_and_one_is_rolled_back_by_itself(site: Site, sender: Users) -> None:
    with sender:
        started = site.succeed(
            "canary", "start", "local", "--version", "2", "--percent", "50", "--json",
            "--requests-per-day", "4000",
        ).json  # fmt: skip
        assert started["after"] == {"1": 50, "2": 50}
        assert any("5 times the error rate" in each for each in started["prospects"])
        site.succeed("deploy", "local")

        won = site.succeed(
            "canary", "watch", "local", "--every", "1", "--for", "5", "--accept-below", "0.05",
            "--json", limit_s=400,
        ).json  # fmt: skip
        assert won["decision"] == "promote", won
        assert won["requests"][f"{MODEL}-2"] >= 60
        assert set(won["errors"].values()) == {0}
        assert "cosine of the least alike cell: 1.00000" in won["likeness"][0]

        site.succeed("canary", "promote", "local", "--why", "no worse")
        site.succeed("deploy", "local")
        assert traffic(site, ENDPOINT) == {f"{MODEL}-1": 0, f"{MODEL}-2": 100}

        site.succeed("canary", "start", "local", "--version", "3")
        site.succeed("deploy", "local")
        canary = site.manifest.read_text()
        failed = site.scgpt("canary", "watch", "local", "--json")
        assert failed.code == 3, failed.err
        assert failed.json["decision"] == "roll back"
        assert "neighbours of the same type" in failed.json["reason"]
        assert traffic(site, ENDPOINT)[f"{MODEL}-3"] == 0

        ended = site.manifest.read_text()
        site.manifest.write_text(canary)  # as it still is on main, until the change lands
        refused = site.scgpt("deploy", "local")
        assert refused.code == 3
        assert "version-rolled-back" in refused.err
        site.manifest.write_text(ended)
        site.succeed("deploy", "local")
        assert traffic(site, ENDPOINT) == {f"{MODEL}-1": 0, f"{MODEL}-2": 100}
    assert sender.errors == []
    assert all(len(each.served) == 1 for each in sender.results), "a data set met two versions"
    assert {each.served[0] for each in sender.results} >= {f"{MODEL}-1", f"{MODEL}-2"}
    history = site.succeed("history", "local", "--json").json["history"]
    assert [entry["operation"] for entry in history if "canary" in entry["operation"]] == [
        "canary start", "canary promote", "canary start", "canary abort",
    ]  # fmt: skip
    again = site.scgpt("canary", "start", "local", "--version", "3")
    assert again.code == 1
    assert "was rolled back" in again.err
    assert "--again" in again.err


def test_blue_green_is_compared_by_replay_and_switched_at_once(site: Site) -> None:
    """It follows the test above, whose users sent the requests that are sent again."""
    site.succeed("canary", "start", "local", "--version", "1", "--blue-green")
    site.succeed("deploy", "local")
    watched = site.scgpt("canary", "watch", "local", "--json", limit_s=400)
    assert watched.code == 4, watched.err
    assert watched.json["decision"] == "undecided"
    assert "cosine of the least alike cell: 1.00000" in watched.json["likeness"][0]

    asked = ("canary", "replay", "local", "--requests", "30", "--json")
    same = site.succeed(*asked).json
    assert (same["pairs"], same["only_challenger_failed"], same["infrastructure"]) == (30, 0, 0)
    assert same["decision"] == "undecided"
    assert "30 pairs agree" in same["reason"]

    assert traffic(site, ENDPOINT) == {f"{MODEL}-1": 0, f"{MODEL}-2": 100}
    site.succeed("canary", "promote", "local", "--now")
    assert traffic(site, ENDPOINT) == {f"{MODEL}-1": 100, f"{MODEL}-2": 0}
