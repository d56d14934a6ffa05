"""GitHub's REST API, as far as reviews need it, and what Actions tells a job about itself.

``GITHUB_TOKEN``, ``GITHUB_API_URL``, ``GITHUB_REPOSITORY`` and ``GITHUB_EVENT_PATH`` are the
variables that Actions sets (the token by the workflow's ``env``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scgpt_databricks.infra.errors import DeployError

AUTHOR = "github-actions[bot]"
"""The author of what a workflow posts. Others' texts are never taken for a reviewed plan."""

BODY_LIMIT = 65_536
"""Characters that GitHub takes as the body of a comment or an issue."""
ROOM_FOR_THE_END = 1_000
"""Characters of a body left for the fold around a plan, and the word that it was cut."""

_TIMEOUT_SECONDS = 30
_PAGE = 100
_DIGEST = re.compile(r"digest=([0-9a-f]{64}) -->")


class GitHubError(DeployError):
    """GitHub refused a request, or Actions did not say what a job is about."""


@dataclass(frozen=True)
class Repository:
    """One repository on GitHub."""

    name: str
    """``owner/name``."""
    api: str
    """Address of the API, without a slash at the end."""
    token: str = field(repr=False)

    @classmethod
    def of_this_job(cls) -> Repository:
        """The repository that this job of Actions runs for.

        Raises
        ------
        GitHubError
            When a variable is missing.
        """
        return cls(
            _variable("GITHUB_REPOSITORY"),
            os.environ.get("GITHUB_API_URL", "https://api.github.com"),
            _variable("GITHUB_TOKEN"),
        )

    def comments(self, number: int) -> Iterator[dict[str, Any]]:
        """Comments of a pull request or an issue, the oldest first."""
        return self._pages(f"issues/{number}/comments")

    def put_comment(self, number: int, marker: str, body: str) -> str:
        """Write the one comment that begins with ``marker``, again and again; returns its URL."""
        found = next((c for c in self.comments(number) if is_ours(c, marker)), None)
        if found is None:
            answer = self._call("POST", f"issues/{number}/comments", {"body": body})
        elif found["body"] == body:
            answer = found
        else:
            answer = self._call("PATCH", f"issues/comments/{found['id']}", {"body": body})
        return str(answer["html_url"])

    def pulls_of(self, commit: str) -> list[dict[str, Any]]:
        """Pull requests by which a commit came."""
        return list(self._pages(f"commits/{commit}/pulls"))

    def open_issue(self, label: str, marker: str) -> dict[str, Any] | None:
        """The open issue with this label whose body begins with ``marker``."""
        found = self._pages("issues", state="open", labels=label)
        return next((i for i in found if "pull_request" not in i and is_ours(i, marker)), None)

    def create_issue(self, title: str, body: str, label: str) -> dict[str, Any]:
        """Open an issue."""
        return self._call("POST", "issues", {"title": title, "body": body, "labels": [label]})

    def edit_issue(self, number: int, **changes: str) -> dict[str, Any]:
        """Change the title, the body or the state of an issue."""
        return self._call("PATCH", f"issues/{number}", changes)

    def comment(self, number: int, body: str) -> None:
        """Add a comment."""
        self._call("POST", f"issues/{number}/comments", {"body": body})

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Accept"] = "application/vnd.github+json"
        session.headers["Authorization"] = f"Bearer {self.token}"
        session.headers["X-GitHub-Api-Version"] = "2022-11-28"
        # A POST that was lost on the way is not sent again: it might post twice.
        retry = Retry(3, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504))
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session

    def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._send(method, self._url(path), json=body).json()
        return answer

    def _pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        url: str | None = self._url(path)
        params: dict[str, str | int] | None = {**query, "per_page": _PAGE}
        while url:
            answer = self._send("GET", url, params=params)
            yield from answer.json()
            # The link to the next page carries the query.
            url, params = answer.links.get("next", {}).get("url"), None

    def _url(self, path: str) -> str:
        return f"{self.api}/repos/{self.name}/{path}"

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, url, timeout=_TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise GitHubError(f"GitHub cannot be reached: {method} {url}: {error}") from error
        if not answer.ok:
            raise GitHubError(f"GitHub refused {method} {url}: {_reason(answer)}")
        return answer


def plan_marker(environment: str) -> str:
    """Return the beginning of the comment with an environment's plan, hidden from readers."""
    return f"<!-- scgpt plan of {environment}: "


def plan_line(environment: str, digest: str | None) -> str:
    """Return the first line of that comment; ``None`` is for a plan that cannot be applied."""
    return f"{plan_marker(environment)}digest={digest or 'none'} -->"


def digest_in(body: str) -> str | None:
    """Return the digest of the plan that a comment shows."""
    found = _DIGEST.search(body.splitlines()[0])
    return found[1] if found else None


def drift_marker(environment: str) -> str:
    """Return the first line of the issue about an environment's drift."""
    return f"<!-- scgpt drift of {environment} -->"


def is_ours(entry: dict[str, Any], marker: str) -> bool:
    """Return True for a comment or issue of a workflow that begins with this marker."""
    # The user of a deleted account is null.
    return (entry["user"] or {}).get("login") == AUTHOR and (entry["body"] or "").startswith(marker)


def event() -> dict[str, Any]:
    """Return the event that started this job, as GitHub describes it."""
    payload: dict[str, Any] = json.loads(Path(_variable("GITHUB_EVENT_PATH")).read_text())
    return payload


def require_job(*, pull_request: bool = False) -> None:
    """Stop before a plan is made where nothing could be posted.

    Raises
    ------
    GitHubError
        When a variable of Actions is missing, or no pull request started this job.
    """
    Repository.of_this_job()
    if pull_request:
        pull_request_number()


def pull_request_number() -> int:
    """The pull request that started this job.

    Raises
    ------
    GitHubError
        When something else did.
    """
    try:
        return int(event()["pull_request"]["number"])
    except KeyError as error:
        raise GitHubError(
            "no pull request started this job (GITHUB_EVENT_PATH has none): post reviews from a "
            "workflow with `on: pull_request`"
        ) from error


def commit() -> str | None:
    """The commit that this job is about: of a pull request, the last that its author pushed."""
    if os.environ.get("GITHUB_EVENT_PATH") and "pull_request" in (payload := event()):
        return str(payload["pull_request"]["head"]["sha"])
    return os.environ.get("GITHUB_SHA")


def append(variable: str, text: str) -> None:
    """Add to a file of Actions (``GITHUB_OUTPUT``, ``GITHUB_STEP_SUMMARY``), where there is one."""
    if named := os.environ.get(variable):
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise GitHubError(
            f"{name} is not set: this runs in a job of GitHub Actions, which sets it (the token by "
            "the workflow's env); elsewhere nothing can be posted"
        )
    return value


def _reason(answer: requests.Response) -> str:
    try:
        said = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.reason
    remedy = {
        401: "Give the step `GITHUB_TOKEN: ${{ github.token }}`.",
        403: "Give the job the permission (`pull-requests`, `issues`: write).",
        404: "Is GITHUB_REPOSITORY right, and may the token read it?",
    }.get(answer.status_code, "Run the job again; see githubstatus.com.")
    return f"{answer.status_code} {said}. {remedy}"
