"""Files and output of a deploy hold no login and no path of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scgpt_databricks.infra import layout, settings
from scgpt_databricks.scripts.deploy import child_environment
from tests.acceptance.deploy.conftest import Place
from tests.acceptance.deploy.state_server import PASSWORD, USER, StateServer, serve

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform"),
]

SECRET, REFERENCE = "hub-secret-4711", "{{secrets/scgpt/token}}"


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Iterator[StateServer]:
    monkeypatch.setenv("TF_HTTP_USERNAME", USER)
    monkeypatch.setenv("TF_HTTP_PASSWORD", PASSWORD)
    with serve() as served:
        yield served


@pytest.fixture
def place(tmp_path: Path, states: StateServer) -> Iterator[Place]:
    place = Place(tmp_path / "environments")
    place.declare(state={"backend": "http", "address": states.url})
    place.start_workspace()
    yield place
    place.stop_workspace()


def test_logins_and_paths_stay_where_they_are(place: Place, states: StateServer) -> None:
    place.succeed("deploy", "local")
    place.register(1)
    place.release((1, 100))
    said = place.succeed("deploy", "local", "--json")
    state = {"backend": "http", "address": states.url}
    place.declare(state=state, endpoint={"environment": {"TOKEN": REFERENCE}})
    runs = [
        said,
        place.succeed("plan", "local"),
        place.succeed("plan", "local", "--json"),
        # There is no such secret: what a refused deploy writes and says counts as well.
        place.scgpt("deploy", "local"),
    ]
    assert "not in the workspace" in runs[-1].err
    place.api("POST", "/api/2.0/secrets/scopes/create", scope="scgpt")
    place.api("POST", "/api/2.0/secrets/put", scope="scgpt", key="token", string_value=SECRET)
    runs.append(place.succeed("deploy", "local", "--json"))
    written = {
        str(path): path.read_text()
        for pattern in ("*.json", "*.tfstate", "*.hcl")
        for path in (place.folder / "deploy").rglob(pattern)
    }
    texts = {
        **written,
        **{f"state of {name}": state.decode() for name, state in states.states.items()},
        **{f"output {number}": run.out + run.err for number, run in enumerate(runs)},
        "plan": planned(place, "local-serving"),
    }
    with_reference = {Path(name).name for name, text in texts.items() if REFERENCE in text}
    assert {"cdk.tf.json", "plan", "state of local-serving"} <= with_reference
    hidden = {
        "token": place.token(),
        "password": PASSWORD,
        "secret": SECRET,
        "home": f"{Path.home()}/",
        "repository": str(layout.ROOT),
        "environments": str(place.folder),
    }
    found = [
        (name, what) for name, text in texts.items() for what in hidden if hidden[what] in text
    ]
    assert found == []


def planned(place: Place, stack: str) -> str:
    """A plan of the stack as JSON, as a deploy makes it and removes it."""
    (folder,) = (place.folder / "deploy").glob(f"local-*/stacks/{stack}")
    variables = child_environment(settings.load("local", place.folder))
    for command in (("plan", "-input=false", "-out=kept"), ("show", "-json", "kept")):
        done = subprocess.run(
            ["terraform", *command],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return done.stdout
