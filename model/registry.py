"""The versions of a registered model: their tags, their aliases, and how one is found again.

The registry URI of the process decides which registry is asked (``mlflow.set_registry_uri``).
Every command that builds, copies or judges versions names tags and aliases as it is done here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from .errors import RegistryError
from .judge.metrics import Score

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
"""Aliases. Each environment has a model of its own, so they need no environment in their names."""

# Tags. Unity Catalog takes 50 on a version, values up to 1,000 characters, and keys without any of
# ". , - = / :".
CHECKPOINT, SIGNATURE = "checkpoint_sha256", "signature_digest"
ENGINE, IMAGE = "engine_digest", "image_digest"
DIGESTS = (CHECKPOINT, SIGNATURE, ENGINE, IMAGE)
"""Tags that tell a version from another: equal digests, equal answers."""
VALIDATED = "validated"
"""``true`` if the version answered correctly in a clean environment, else ``false``."""
COMMIT, LICENCE, PROVENANCE = "git_commit", "licence", "provenance"
METRICS, EVALUATED_ON = "metrics", "evaluated_on"
"""Scores with their intervals, as JSON; digest of the labelled cells that they were measured on."""
PARITY = "upstream_difference"
"""Largest difference of any number of an embedding from upstream scGPT's, where it was compared."""
COPIED_FROM = "copied_from"
"""``catalog.schema.model/7``: the version that this one is a copy of."""
_APPROVED_BY = "approved_by_"
BUTTON = "approval"
"""Tag that the button of a deployment job sets, to ``Approved``; its task has this name."""
ROLLED_BACK = "rolled_back"
"""Reason for which a canary of the version was rolled back; no deploy gives it requests again."""
OF_ONE_ENVIRONMENT = (_APPROVED_BY, BUTTON, ROLLED_BACK)
"""Starts of tags that say something about one environment, which a copy must not carry over."""

READY = "READY"


@dataclass(frozen=True)
class Version:
    """One version, as the registry knows it."""

    model: str
    number: int
    status: str
    run_id: str
    source: str
    description: str
    created_at: datetime
    created_by: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The version as people call it."""
        return f"{self.model} version {self.number}"

    @property
    def digests(self) -> dict[str, str]:
        """The digests that a copy is found by; those that nobody recorded are left out."""
        keys = (*DIGESTS, EVALUATED_ON)
        return {key: self.tags[key] for key in keys if key in self.tags}

    @property
    def validated(self) -> bool:
        """True if the version answered correctly in a clean environment."""
        return self.tags.get(VALIDATED) == "true"

    @property
    def metrics(self) -> dict[str, Score]:
        """Scores on the labelled cells; empty if it was never evaluated."""
        return read_metrics(self.tags.get(METRICS, "{}"))

    def approved_by(self, environment: str) -> str:
        """Return who approved the version for an environment, or an empty string."""
        by_button = self.tags.get(BUTTON, "").lower() == "approved"
        return self.tags.get(approval_tag(environment)) or (
            "the button of the deployment job" if by_button else ""
        )


def approval_tag(environment: str) -> str:
    """Return the tag that names who approved a version for an environment."""
    return _APPROVED_BY + environment.replace("-", "_")


def metrics_tag(scores: Mapping[str, Score]) -> str:
    """Return scores as the value of a tag."""
    text = {name: [score.value, score.low, score.high] for name, score in scores.items()}
    return json.dumps(text, separators=(",", ":"))


def read_metrics(text: str) -> dict[str, Score]:
    """Return the scores in the value of a tag."""
    return {name: Score(*numbers) for name, numbers in json.loads(text).items()}


def listed(model: str) -> list[Version]:
    """Return all versions of a model, newest first, whatever their status."""
    client = MlflowClient()
    found = client.search_model_versions(f"name='{model}'")
    # A search of Unity Catalog answers without tags and aliases.
    versions = [_version(client.get_model_version(model, each.version)) for each in found]
    return sorted(versions, key=lambda version: version.number, reverse=True)


def get(model: str, number: int) -> Version:
    """Return one version.

    Raises
    ------
    RegistryError
        ``no_such_version``.
    """
    try:
        return _version(MlflowClient().get_model_version(model, str(number)))
    except MlflowException as error:
        if not _is_missing(error):
            raise
        raise RegistryError(
            "no_such_version",
            f"{model} has no version {number}; `scgpt versions ENV` lists those that it has.",
        ) from error


def ready(model: str, number: int) -> Version:
    """Return one version that can be served.

    Raises
    ------
    RegistryError
        ``no_such_version``, or ``not_ready`` while its registration was not finished.
    """
    version = get(model, number)
    if version.status != READY:
        raise RegistryError(
            "not_ready",
            f"{version.name} is {version.status}, not {READY}: its registration was never "
            "finished. Build it again, or name another version.",
        )
    return version


def at_alias(model: str, alias: str) -> Version | None:
    """Return the version that an alias points to, or None without such an alias."""
    number = aliases(model).get(alias)
    return None if number is None else get(model, number)


def find(model: str, digests: Mapping[str, str]) -> Version | None:
    """Return the newest finished version with these digests; see :func:`with_digests`."""
    same = (v for v in with_digests(model, digests) if v.status == READY)
    return next(same, None)


def with_digests(model: str, digests: Mapping[str, str]) -> list[Version]:
    """Return the versions with these digests, newest first, finished or not.

    Parameters
    ----------
    digests
        All of :data:`DIGESTS`; with :data:`EVALUATED_ON` only versions that were evaluated on the
        same cells are the same.
    """
    if not set(DIGESTS) <= set(digests):
        return []  # what nobody recorded cannot be told from others
    return [v for v in listed(model) if v.tags.items() >= digests.items()]


def tag(version: Version, tags: Mapping[str, str | None]) -> Version:
    """Set tags where they differ, remove those that are None, and return the version."""
    client, number = MlflowClient(), str(version.number)
    for key, value in tags.items():
        if value == version.tags.get(key):
            continue
        if value is None:
            client.delete_model_version_tag(version.model, number, key)
        else:
            client.set_model_version_tag(version.model, number, key, value)
    return get(version.model, version.number)


def point_aliases(model: str, champion: int, challenger: int | None = None) -> dict[str, int]:
    """Let the aliases of a model say which versions its environment names, and return them.

    The version that was champion before becomes ``previous``. Commands that stopped between two
    calls are run again: each alias is looked up before it is moved.
    """
    client = MlflowClient()
    now = aliases(model)
    wanted = dict(now)
    if (before := now.get(CHAMPION)) not in (None, champion):
        wanted[PREVIOUS] = before
    wanted[CHAMPION] = champion
    wanted.pop(CHALLENGER, None)
    if challenger is not None:
        wanted[CHALLENGER] = challenger
    # The champion moves last: until then a second run still finds the version before it.
    for alias in (PREVIOUS, CHALLENGER, CHAMPION):
        if wanted.get(alias) == now.get(alias):
            continue
        if alias in wanted:
            client.set_registered_model_alias(model, alias, str(wanted[alias]))
        else:
            client.delete_registered_model_alias(model, alias)
    return wanted


def aliases(model: str) -> dict[str, int]:
    """Return the number of the version that each alias of a model points to.

    Raises
    ------
    RegistryError
        ``no_such_model``.
    """
    try:
        found = MlflowClient().get_registered_model(model).aliases
    except MlflowException as error:
        if not _is_missing(error):
            raise
        raise RegistryError(
            "no_such_model",
            f"there is no registered model {model}: deploy the registry stack first, "
            "`scgpt deploy ENV`, so that it is made with its owner and grants.",
        ) from error
    return {alias: int(number) for alias, number in found.items()}


def _is_missing(error: MlflowException) -> bool:
    return error.error_code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def _version(found: ModelVersion) -> Version:
    return Version(
        model=found.name,
        number=int(found.version),
        status=found.status,
        run_id=found.run_id or "",
        source=found.source or "",
        description=found.description or "",
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        created_by=found.user_id or "",
        tags=dict(found.tags),
        aliases=tuple(sorted(found.aliases)),
    )
