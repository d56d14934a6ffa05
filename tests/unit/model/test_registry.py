"""Tags and aliases, in a real MLflow registry."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient

from scgpt_databricks.model import registry
from scgpt_databricks.model.errors import RegistryError
from scgpt_databricks.model.judge.metrics import Score

MODEL = "m"
DIGESTS = {key: digit * 64 for key, digit in zip(registry.DIGESTS, "abcd", strict=True)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry')}/registry.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    yield uri
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


@pytest.fixture
def client(store: str) -> Iterator[MlflowClient]:
    """A registry with one model that has three versions."""
    found = MlflowClient()
    found.create_registered_model(MODEL)
    for _ in range(3):
        found.create_model_version(MODEL, "dbfs:/elsewhere", tags=dict(DIGESTS))
    yield found
    found.delete_registered_model(MODEL)


def test_the_newest_version_with_these_digests_is_found(client: MlflowClient) -> None:
    found = registry.find(MODEL, DIGESTS)
    assert found is not None
    assert (found.number, found.digests, found.name) == (3, DIGESTS, "m version 3")
    assert registry.find(MODEL, {**DIGESTS, registry.ENGINE: "e" * 64}) is None
    assert registry.find(MODEL, {}) is None
    assert [v.number for v in registry.with_digests(MODEL, DIGESTS)] == [3, 2, 1]


def test_tags_are_set_and_removed(client: MlflowClient) -> None:
    scores = {"knn_accuracy": Score(0.9, 0.85, 0.95)}
    approval = registry.approval_tag("eu-prod")
    tags = {registry.METRICS: registry.metrics_tag(scores), approval: "anna", "validated": "true"}
    version = registry.tag(registry.get(MODEL, 2), tags)
    assert (version.metrics, version.validated) == (scores, True)
    assert (version.approved_by("eu-prod"), version.approved_by("dev")) == ("anna", "")
    assert not set(approval) & set(".,-=/:")
    assert not registry.tag(version, {registry.VALIDATED: None, "absent": None}).validated


def test_aliases_follow_the_champion(client: MlflowClient) -> None:
    assert registry.point_aliases(MODEL, 1) == {"champion": 1}
    assert registry.at_alias(MODEL, "previous") is None
    assert registry.point_aliases(MODEL, 1, challenger=2) == {"champion": 1, "challenger": 2}
    assert registry.point_aliases(MODEL, 2) == {"champion": 2, "previous": 1}
    assert registry.point_aliases(MODEL, 2) == {"champion": 2, "previous": 1}
    assert registry.aliases(MODEL) == {"champion": 2, "previous": 1}
    assert registry.point_aliases(MODEL, 1) == {"champion": 1, "previous": 2}
    previous = registry.at_alias(MODEL, "previous")
    assert previous is not None
    assert previous.aliases == ("previous",)


def test_aliases_of_others_stay(client: MlflowClient) -> None:
    client.set_registered_model_alias(MODEL, "paper", "1")
    assert registry.point_aliases(MODEL, 3) == {"champion": 3, "paper": 1}


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_aliases_converge_after_a_stop(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, stopped_after: int
) -> None:
    registry.point_aliases(MODEL, 1, challenger=3)
    calls = 0

    class Stopped(MlflowClient):
        def _count(self) -> None:
            nonlocal calls
            calls += 1
            if calls > stopped_after:
                raise KeyboardInterrupt

        def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
            self._count()
            super().set_registered_model_alias(name, alias, version)

        def delete_registered_model_alias(self, name: str, alias: str) -> None:
            self._count()
            super().delete_registered_model_alias(name, alias)

    with monkeypatch.context() as patched:
        patched.setattr(registry, "MlflowClient", Stopped)
        with pytest.raises(KeyboardInterrupt):
            registry.point_aliases(MODEL, 3)
    assert registry.point_aliases(MODEL, 3) == {"champion": 3, "previous": 1}
    assert registry.aliases(MODEL) == {"champion": 3, "previous": 1}


def test_a_missing_model_or_version_is_named(client: MlflowClient) -> None:
    with pytest.raises(RegistryError, match="m has no version 9; `scgpt versions ENV` lists"):
        registry.get(MODEL, 9)
    with pytest.raises(RegistryError, match="no registered model none: deploy the registry stack"):
        registry.aliases("none")
