"""Versions that come, go and share the traffic of a real cluster."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
import ray
import requests
from deltalake import DeltaTable
from mlflow import MlflowClient
from mlflow.models import infer_signature

from scgpt_databricks.local_workspace.core.children import free_port
from scgpt_databricks.model.ray import Settings, Split
from tests.acceptance.ray.conftest import (
    HELLO,
    MODEL,
    Served,
    log_translator,
    mlflow_at,
    mlflow_server,
    serving,
    until,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


def test_a_registry_that_is_down_stops_no_loaded_version(cluster: int, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(registry_timeout_s=5, refresh_s=0.2)
    with mlflow_at(f"http://127.0.0.1:{port}"), ExitStack() as later:
        with mlflow_server(tmp_path, port):
            log_translator("down")
            log_translator("down", lang_to="fr")
            MlflowClient().set_registered_model_alias("down", "champion", "1")
            served = later.enter_context(serving(cluster, "down", "champion", settings=settings))
        assert served.post(HELLO).status_code == 200
        assert served.post(HELLO, "champion").status_code == 200
        refused = served.post(HELLO, "2")
        assert (refused.status_code, refused.json()["code"]) == (503, "registry_unavailable")
        assert refused.headers["Retry-After"]
        assert served.get("/health/ready").status_code == 200
        with mlflow_server(tmp_path, port):
            until(lambda: served.post(HELLO, "2").status_code == 200)
            MlflowClient().set_registered_model_alias("down", "champion", "2")
            until(lambda: served.post(HELLO).headers["X-Model-Version"] == "2")


def test_a_registry_that_is_slow_makes_no_loaded_version_slow(cluster: int, tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(registry_timeout_s=60, refresh_s=0.2)
    with (
        mlflow_at(f"http://127.0.0.1:{port}"),
        mlflow_server(tmp_path, port) as server,
    ):
        log_translator("slow")
        log_translator("slow", lang_to="fr")
        client = MlflowClient()
        client.set_registered_model_alias("slow", "champion", "1")
        with serving(cluster, "slow", "champion", settings=settings) as served:
            os.killpg(server, signal.SIGSTOP)  # it takes connections, and does not answer
            with ThreadPoolExecutor(10) as pool:
                unknown = [pool.submit(served.post, HELLO, str(n)) for n in range(2, 12)]
                assert [served.post(HELLO).status_code for _ in range(20)] == [200] * 20
                assert served.post(HELLO, "champion").status_code == 200
                assert served.get("/health/ready").status_code == 200
                assert not any(each.done() for each in unknown)  # nobody waited for them
                os.killpg(server, signal.SIGCONT)
                assert [each.result().status_code for each in unknown] == [200] + [404] * 9
            client.set_registered_model_alias("slow", "champion", "2")
            until(lambda: served.post(HELLO).headers["X-Model-Version"] == "2")


def test_memory_after_twenty_loads_is_that_after_two(plain_server: str, cluster: int) -> None:
    for _ in range(6):
        log_translator("heavy", ballast=50_000_000)
    with serving(cluster, "heavy", settings=Settings(max_models=1)) as served:
        figures = []
        for i in range(20):
            assert served.post(HELLO, str(i % 6 + 1)).status_code == 200
            figures.append(_ray_bytes())
        print("resident bytes after 2 and 20 loads", figures[1], figures[-1])
        assert figures[-1] <= 1.2 * figures[1]


def _ray_bytes() -> int:
    """Resident memory of the cluster's worker processes."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
            if name.startswith(b"ray::"):
                total += int((folder / "statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    return total


def test_the_default_follows_its_alias_and_health_goes_on_while_it_loads(
    plain_server: str, cluster: int
) -> None:
    client = MlflowClient()
    client.set_registered_model_alias(MODEL, "live", "1")
    with serving(cluster, MODEL, "live") as served:
        assert served.post(HELLO).headers["X-Model-Version"] == "1"
        client.set_registered_model_alias(MODEL, "live", "2")
        until(lambda: served.post(HELLO).headers["X-Model-Version"] == "2")
        client.set_registered_model_alias(MODEL, "live", "3")  # incompatible: it stays
        until(lambda: logged("the default stays at version 2: Version 3 cannot take the place"))
        assert served.post(HELLO).headers["X-Model-Version"] == "2"
        assert served.get("/health/ready").json()["default_version"] == 2


def test_a_bad_canary_is_rolled_back_by_the_verdict(plain_server: str, cluster: int) -> None:
    log_translator("split")
    log_translator("split", input_label="prompt", lang_to="fr")
    mlflow.pyfunc.log_model(
        name="bad",
        python_model=str(Path(__file__).parent / "bad_translator.py"),
        signature=infer_signature(
            pd.DataFrame({"prompt": ["hello"]}), pd.DataFrame({"translation_text": ["x"]})
        ),
        registered_model_name="split",
        pip_requirements=["mlflow"],
    )
    split = Split(version="2", weight=0.5, sticky_header="x-user")
    with serving(cluster, "split", settings=Settings(split=split)) as served:
        for user in range(6):
            versions = {
                served.post(HELLO, headers={"x-user": str(user)}).headers["X-Model-Version"]
                for _ in range(3)
            }
            assert len(versions) == 1
        verdict = served.get("/split").json()
        assert verdict["decision"] == "undecided"
        assert verdict["canary"]["requests"] + verdict["champion"]["requests"] == 18
    with serving(
        cluster, "split", settings=Settings(split=Split(version="3", weight=0.5))
    ) as served:
        until(lambda: [served.post(HELLO) for _ in range(10)] and _decision(served) == "roll back")
        until(lambda: {served.post(HELLO).status_code for _ in range(20)} == {200})


def _decision(served: Served) -> str:
    return str(served.get("/split").json()["decision"])


def test_without_the_token_nothing_is_answered(
    plain_server: str, cluster: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"env_vars": {"SCGPT_RAY_TOKEN": "s3cret"}}
    with serving(
        cluster,
        settings=Settings(require_token=True),
        ray_actor_options={"num_cpus": 0.5, "runtime_env": variables},
    ) as served:
        assert served.post(HELLO).status_code == 401
        assert served.post(HELLO, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert served.get("/versions").status_code == 401
        assert served.get("/health/ready").status_code == 200
        right = {"Authorization": "Bearer s3cret"}
        assert served.post(HELLO, headers=right).status_code == 200
        document = served.get("/openapi.json").json()
        assert document["paths"]["/serve"]["post"]["security"] == [{"bearer": []}]


def test_logs_and_metrics_name_version_and_request(
    plain_server: str, cluster: int, tmp_path: Path
) -> None:
    table = tmp_path / "log"
    with serving(cluster, settings=Settings(log_table=str(table))) as served:
        good = served.post({"dataframe_records": [HELLO], "client_request_id": "mine"}, "2")
        served.post({"prompt": 1})
        failed = served.post({"prompt": "fail"})
        served.post(HELLO, "99")
        until(lambda: table.exists() and len(DeltaTable(table).to_pyarrow_table()) == 4)
        rows = DeltaTable(table).to_pyarrow_table().to_pylist()
        assert [row["status_code"] for row in rows] == [200, 422, 500, 404]
        assert rows[0]["client_request_id"] == "mine"
        assert rows[0]["databricks_request_id"] == good.headers["X-Request-ID"]
        assert json.loads(rows[0]["response"]) == {"predictions": [{"translation_text": "bonjour"}]}
        assert json.loads(rows[1]["request"]) == {"prompt": 1}  # nobody could read it
        assert json.loads(rows[2]["request"]) == {"dataframe_records": [{"prompt": "fail"}]}
        assert rows[0]["served_entity_id"] == "translation_model-2"
        request_id = failed.json()["request_id"]
        lines = logged("a secret of the model")
        assert [line["levelname"] for line in lines if line["request_id"] == request_id] == [
            "ERROR"
        ]
        port = ray.nodes()[0]["MetricsExportPort"]
        until(lambda: 'version="2"' in _metrics(port))
        found = _metrics(port)
        for name in ("requests", "latency_ms", "rows", "batch_tokens", "loads", "load_ms"):
            assert f"scgpt_ray_{name}" in found, name


def logged(text: str) -> list[dict[str, Any]]:
    """Return the lines of the replicas' logs that hold a text."""
    folder = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
    lines = [json.loads(line) for log in folder.glob("replica_*") for line in log.open()]
    return [line for line in lines if text in line["message"]]


def _metrics(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_five_minutes_of_load_with_versions_that_come_and_go(
    plain_server: str, cluster: int
) -> None:
    """Three places; new versions push old ones out, and the default's alias moves."""
    client, alive, stop = MlflowClient(), ["1", "2"], threading.Event()
    for _ in alive:
        log_translator("soak")
    client.set_registered_model_alias("soak", "live", "1")
    failed: list[str] = []

    def change() -> None:
        while not stop.wait(15):
            log_translator("soak")
            new = str(int(alive[-1]) + 1)
            alive[:] = [*alive[-2:], new]
            client.set_registered_model_alias("soak", "live", alive[0] if int(new) % 2 else new)

    def ask(worker: int) -> int:
        count = 0
        while not stop.is_set():
            kind = (worker + count // 50) % 4
            found = served.post(HELLO, alive[kind] if kind < len(alive) else None)
            count += 1
            if found.json() != [{"translation_text": "hallo"}]:
                failed.append(found.text)
        return count

    settings = Settings(max_models=3, refresh_s=1)
    with (
        serving(cluster, "soak", "live", settings=settings) as served,
        ThreadPoolExecutor(9) as pool,
    ):
        changing = pool.submit(change)
        asking = [pool.submit(ask, worker) for worker in range(8)]
        stop.wait(300)
        stop.set()
        changing.result()
        answered = sum(each.result() for each in asking)
    print(f"{answered} requests to {alive[-1]} versions, {len(failed)} failed")
    assert (failed, int(alive[-1]) > 5, answered > 300) == ([], True, True)
