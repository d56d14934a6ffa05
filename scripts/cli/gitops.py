"""``scgpt review | reviewed | drift | summary``: tell people on GitHub what a plan changes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from .console import REFUSED, err, json_option, reporter, show
from .options import environment_argument


@click.command()
@environment_argument
@click.option("--post", is_flag=True, help="Write it into the comment of this job's pull request.")
@json_option
def review(environment: str, folder: Path | None, post: bool, as_json: bool) -> None:
    """Plan ENV and describe the plan for reviewers, in Markdown.

    \b
    Changes nothing. A job of GitHub Actions gets it in its summary, too.
    Exit code 3 when a guard refuses.
    Example:  scgpt review dev
    """
    from .. import gitops
    from ..gitops.github import append, require_job

    if post:
        require_job(pull_request=True)

    def publish(found: gitops.Review) -> str | None:
        append("GITHUB_STEP_SUMMARY", found.markdown)
        return gitops.post_review(found) if post else None

    try:
        found = gitops.review(environment, folder=folder, report=reporter())
    except Exception as error:
        # Whatever it is: a comment that stays would show the digest of an older plan.
        publish(gitops.unplannable(environment, error))
        raise
    url = publish(found)
    if found.refused or found.plan_digest is None:
        then = f"mend what is refused, then scgpt review {environment}"
    elif found.changes:
        then = f"scgpt deploy {environment} --reviewed {found.plan_digest}"
    else:
        then = f"scgpt verify {environment}"
    show({**asdict(found), "comment": url}, as_json, found.markdown, then, piped=True)
    if found.refused:
        raise SystemExit(REFUSED)


@click.command()
@click.argument("environment", metavar="ENV")
@json_option
def reviewed(environment: str, as_json: bool) -> None:
    """Print the digest of the plan of ENV that was reviewed.

    \b
    Reads it in the pull request that was merged as GITHUB_SHA. In a job of GitHub
    Actions it becomes the step's output `plan_digest`.
    Exit code 3 when nobody reviewed a plan.
    Example:  scgpt deploy dev --reviewed "$(scgpt reviewed dev)"
    """
    from ..gitops import reviewed_digest
    from ..gitops.github import append

    digest = reviewed_digest(environment)
    append("GITHUB_OUTPUT", f"plan_digest={digest}")
    result = {"environment": environment, "plan_digest": digest}
    then = f"scgpt deploy {environment} --reviewed {digest}"
    show(result, as_json, digest, then, piped=True)


@click.command()
@environment_argument
@click.option("--post", is_flag=True, help="Open, update or close the issue about ENV.")
@json_option
def drift(environment: str, folder: Path | None, post: bool, as_json: bool) -> None:
    """Describe what in ENV's workspace is not as declared.

    \b
    Plans ENV and compares its workspace field by field; changes nothing.
    Exit code 1 when something differs, or cannot be compared.
    Example:  scgpt drift dev
    """
    from .. import gitops
    from ..gitops.github import append, require_job

    if post:
        require_job()

    def publish(found: gitops.Drift) -> tuple[str | None, str | None]:
        append("GITHUB_STEP_SUMMARY", found.markdown)
        done, url = gitops.post_drift(found) if post else (None, None)
        if done:
            err.print(f"issue: {done} {url or ''}".rstrip(), soft_wrap=True)
        return done, url

    try:
        found = gitops.find_drift(environment, folder=folder, report=reporter())
    except Exception as error:
        # Whatever it is: an issue that stays would show what an older run found.
        publish(gitops.incomparable(environment, error))
        raise
    done, url = publish(found)
    result = {**asdict(found), "drift": found.found, "issue": {"done": done, "url": url}}
    then = f"scgpt verify {environment}" if found.found else f"scgpt status {environment}"
    show(result, as_json, found.markdown, then, piped=True)
    if found.found:
        raise SystemExit(1)


@click.command()
@environment_argument
@json_option
def summary(environment: str, folder: Path | None, as_json: bool) -> None:
    """Say what ENV serves now, in Markdown.

    \b
    A job of GitHub Actions gets it in its summary, too.
    Example:  scgpt summary dev
    """
    from ..gitops import summary as describe
    from ..gitops.github import append

    text = describe(environment, folder=folder)
    append("GITHUB_STEP_SUMMARY", text)
    result = {"environment": environment, "markdown": text}
    show(result, as_json, text, f"scgpt status {environment}", piped=True)
