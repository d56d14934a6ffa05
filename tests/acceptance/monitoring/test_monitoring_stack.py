"""The monitoring stack on the local workspace: its wheel, and that its job runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import RunResultState

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.infra.settings import Settings
from scgpt_databricks.infra.wheel import wheel as built
from scgpt_databricks.local_workspace.server import instance
from scgpt_databricks.scripts import connection, wheel
from scgpt_databricks.scripts.deploy import child_environment
from tests.acceptance.site import free_port

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("environments")
    toml = (layout.ENVIRONMENTS / "local.toml").read_text()
    on = '[monitoring]\nemails = ["ops@example.com"]\n'
    assert "[monitoring]\n" in toml
    (folder / "local.toml").write_text(toml.replace("[monitoring]\n", on))
    loaded = settings.load("local", folder)
    instance.start(folder / "workspace", free_port())
    yield loaded
    instance.stop(folder / "workspace")


@pytest.fixture(scope="module")
def client(local: Settings) -> WorkspaceClient:
    """The workspace with both stacks deployed, the wheel between them."""
    run(local, [sys.executable, "-m", "scgpt_databricks.infra.main"])
    apply(local, "registry")
    found = connection.workspace_client(local)
    wheel.upload(found, local)
    apply(local, "monitoring")
    return found


def apply(local: Settings, kind: str) -> None:
    folder = local.folder / "out" / "stacks" / local.names.stack(kind)
    at = ["terraform", f"-chdir={folder}"]
    run(local, [*at, "init", "-input=false"])
    run(local, [*at, "apply", "-input=false", "-auto-approve"])


def run(local: Settings, command: list[str]) -> None:
    environment = {**child_environment(local), "CDKTF_OUTDIR": str(local.folder / "out")}
    done = subprocess.run(
        command, cwd=layout.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_is_uploaded_once(local: Settings, client: WorkspaceClient) -> None:
    path = wheel.upload(client, local)
    first = client.files.get_metadata(path).last_modified
    assert wheel.upload(client, local) == path
    assert client.files.get_metadata(path).last_modified == first
    client.files.upload(path, contents=Path(__file__).open("rb"), overwrite=True)  # noqa: SIM115
    wheel.upload(client, local)
    length = client.files.get_metadata(path).content_length
    assert length == len(built().content), "one that was cut off is made whole"


def test_the_job_runs_from_the_wheel_and_asks_the_inference_table(
    local: Settings, client: WorkspaceClient
) -> None:
    """There is no endpoint and therefore no table: the job says so and fails."""
    (job,) = client.jobs.list(name=local.names.watched("daily error rate"))
    assert job.job_id is not None
    run_id = client.jobs.run_now(job.job_id).run_id
    ended = client.jobs.wait_get_run_job_terminated_or_skipped(run_id)
    assert ended.state is not None
    assert ended.state.result_state is RunResultState.FAILED
    assert ended.tasks is not None
    output = client.jobs.get_run_output(int(ended.tasks[0].run_id or 0))
    said = f"{output.error} {output.error_trace} {output.logs}"
    assert f"asking {local.names.inference_table} failed" in said
