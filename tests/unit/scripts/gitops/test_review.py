from __future__ import annotations

from dataclasses import replace

import pytest

from scgpt_databricks.infra.errors import RefusedError, SettingsError
from scgpt_databricks.infra.guards import Finding
from scgpt_databricks.infra.layout import ROOT
from scgpt_databricks.infra.plan import Change, Plan
from scgpt_databricks.scripts.deploy.results import PlanResult, StackPlan
from scgpt_databricks.scripts.deploy.verify import Difference
from scgpt_databricks.scripts.gitops import incomparable
from scgpt_databricks.scripts.gitops.drift import _markdown as _drift_markdown
from scgpt_databricks.scripts.gitops.github import BODY_LIMIT, digest_in, plan_marker
from scgpt_databricks.scripts.gitops.review import describe, unplannable
from tests.unit.scripts.gitops.plans import change, endpoint

BUSY = Finding("endpoint-updating", "databricks_model_serving.it", "is being updated", "Wait.")
NO_LOG = Finding(
    "table-disabled", "databricks_model_serving.it", "requests will no longer be logged",
    "The table that exists stays.", "warn",
)  # fmt: skip
MOVED = change("model_serving", endpoint({1: 100}), endpoint({2: 100}))


@pytest.fixture(autouse=True)
def _outside_of_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setenv("GITHUB_SHA", "abcdef0123456789")


def planned(*changes: Change, findings: tuple[Finding, ...] = ()) -> PlanResult:
    stack = StackPlan("dev-serving", Plan(changes), findings)
    return PlanResult("dev", "the provider", (stack,))


def test_a_plan() -> None:
    result = planned(MOVED, findings=(NO_LOG,))
    found = describe(result, ["All is well."], "| versions |")
    assert found.markdown.startswith(plan_marker("dev"))
    assert digest_in(found.markdown) == found.plan_digest == result.digest
    assert "### dev: 1 change\n" in found.markdown
    assert f"Digest of the plan of commit `abcdef012345`: `{result.digest}`." in found.markdown
    assert f"- **warn**: {NO_LOG}" in found.markdown
    parts = [
        "**For users**\n\n- All is well.\n",
        "| versions |",
        "**Guards**",
        "Digest of the plan",
    ]
    places = [found.markdown.index(part) for part in parts]
    assert places == sorted(places)
    assert "<details><summary>The plan, by the provider</summary>" in found.markdown
    assert not found.refused


def test_a_refused_plan_has_no_digest() -> None:
    """So that its merge cannot apply it, even when the guard has nothing to say any more."""
    found = describe(planned(MOVED, findings=(BUSY,)), [])
    assert (found.refused, found.plan_digest, digest_in(found.markdown)) == (True, None, None)
    assert f"- **refuse**: {BUSY}" in found.markdown
    assert "a merge deploys nothing to `dev`" in found.markdown


def test_an_empty_plan() -> None:
    found = describe(planned(), [])
    assert "**For users** nothing changes.\n" in found.markdown
    assert "### dev: no changes\n" in found.markdown
    assert digest_in(found.markdown) == found.plan_digest
    assert "<details>" not in found.markdown


def test_a_comment_is_never_too_long() -> None:
    jobs = [change("job", None, {"name": f"job {number}" * 50}) for number in range(500)]
    found = describe(planned(*jobs), [])
    assert BODY_LIMIT * 0.9 < len(found.markdown) <= BODY_LIMIT
    assert found.markdown.endswith("</details>\n")


def test_many_sentences_leave_room_for_the_guards_and_the_plan() -> None:
    said = [f"`reader {number}` gets `EXECUTE` on the model `a.b.c`." for number in range(2000)]
    found = describe(planned(MOVED, findings=(NO_LOG, BUSY)), said)
    assert len(found.markdown) <= BODY_LIMIT
    shown = found.markdown.count("gets `EXECUTE`")
    assert shown > 400
    assert f"\n- ... {2000 - shown} more\n" in found.markdown
    assert f"- **warn**: {NO_LOG}\n" in found.markdown
    assert f"- **refuse**: {BUSY}\n" in found.markdown
    assert found.markdown.endswith("</details>\n")


def test_of_many_guards_the_refusals_are_shown() -> None:
    warnings = tuple(replace(NO_LOG, address=f"grant.{number}") for number in range(1000))
    found = describe(planned(MOVED, findings=(*warnings, BUSY)), ["All is well."] * 1000)
    assert len(found.markdown) <= BODY_LIMIT
    assert f"**Guards**\n\n- **refuse**: {BUSY}\n- **warn**" in found.markdown
    assert "a merge deploys nothing to `dev`" in found.markdown


def test_drift_is_never_too_long() -> None:
    jobs = [change("job", None, {"name": f"job {number}" * 10}) for number in range(1000)]
    found = tuple(Difference("endpoint", f"tags.t{n}", "a" * 50, "b" * 50) for n in range(1000))
    text = _drift_markdown("dev", planned(*jobs), found)
    assert BODY_LIMIT * 0.9 < len(text) <= BODY_LIMIT
    shown = text.count("| `endpoint` |")
    assert f"|\n\n... {1000 - shown} more\n\n**What a deploy would do**" in text
    assert "**What to do.**" in text
    assert text.endswith("</details>\n")


def test_the_way_back_fits_what_was_found() -> None:
    """An empty commit does nothing for what no plan shows."""
    found = (Difference("job a", "timeout_seconds", 3600, "absent"),)
    moved = change("job", None, {"name": "a"})
    merged, by_hand = "an empty commit will do", "the workflow `deploy`, run by hand, sends"
    for changes, differences in (((moved,), found), ((moved,), ()), ((), found)):
        text = _drift_markdown("dev", planned(*changes), differences)
        assert (merged in text) == bool(changes)
        assert (by_hand in text) == bool(differences)


def test_the_reason_of_a_waiver_stays_words() -> None:
    reason = "ask @org/everyone [approve](https://evil.test) <details> ``` `"
    waived = replace(BUSY, severity="warn", waived=reason)
    text = describe(planned(MOVED, findings=(waived,)), []).markdown
    (line,) = (line for line in text.splitlines() if line.startswith("- **warn**"))
    for harm in ("@org", "](", "<details>"):
        assert harm not in line
    assert "everyone" in line


def test_an_error_cannot_close_its_block() -> None:
    key = "a\n````\n@org/everyone"
    for text in (unplannable("dev", SettingsError(key)).markdown,
                 incomparable("dev", SettingsError(key)).markdown):  # fmt: skip
        assert "\n`````text\na\n````\n@org/everyone\n`````\n" in text
    assert len(unplannable("dev", SettingsError("`" * BODY_LIMIT)).markdown) <= BODY_LIMIT


def test_what_cannot_be_planned() -> None:
    found = unplannable("dev", SettingsError("dev.toml: 1 problem\n  `tgas`: unknown key"))
    assert (found.plan_digest, digest_in(found.markdown), found.refused) == (None, None, False)
    assert "`tgas`: unknown key" in found.markdown
    refused = unplannable("dev", RefusedError("deletion protection"))
    assert refused.refused
    long = unplannable("dev", SettingsError("x" * BODY_LIMIT))
    assert len(long.markdown) <= BODY_LIMIT


def test_the_documentation_shows_the_comment_of_the_acceptance_case() -> None:
    case = ROOT / "tests/acceptance/gitops/cases/new-version/comment.md"
    assert case.read_text() in (ROOT / "docs/gitops.md").read_text()
