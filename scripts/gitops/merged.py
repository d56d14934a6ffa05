"""The reviewed plan: the one that the merged pull request shows."""

from __future__ import annotations

import os

from scgpt_databricks.infra.errors import RefusedError

from .github import GitHubError, Repository, digest_in, is_ours, plan_marker


def reviewed_digest(environment: str) -> str:
    """Return the digest in the comment of the pull request that was merged as ``GITHUB_SHA``.

    Raises
    ------
    RefusedError
        When the commit came by no pull request, or nobody could review a plan there.
    GitHubError
        When GitHub cannot be asked.
    """
    commit = os.environ.get("GITHUB_SHA")
    if not commit:
        raise GitHubError("GITHUB_SHA is not set: this runs in a job of GitHub Actions")
    repository = Repository.of_this_job()
    merged = [
        pull
        for pull in repository.pulls_of(commit)
        if pull["merged_at"] and pull["merge_commit_sha"] == commit
    ]
    if not merged:
        raise RefusedError(
            f"{environment}: commit {commit[:12]} came by no merged pull request, so nobody "
            "reviewed a plan. Open one (an empty commit will do): its merge applies what is left"
        )
    number = merged[0]["number"]
    marker = plan_marker(environment)
    # The first of several is the one that is kept up to date.
    shown = next((c["body"] for c in repository.comments(number) if is_ours(c, marker)), None)
    digest = digest_in(shown) if shown else None
    if digest is None:
        raise RefusedError(
            f"{environment}: pull request #{number} shows no plan that can be applied. Open "
            "another one (an empty commit will do): its merge applies what is left"
        )
    return digest
