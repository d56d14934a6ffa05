"""`scgpt status` against endpoints of a real workspace, in every state that one may be in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from scgpt_databricks.infra import release
from scgpt_databricks.scripts.connection import connected
from scgpt_databricks.scripts.deploy import record
from scgpt_databricks.scripts.monitoring.device import device
from scgpt_databricks.scripts.monitoring.metrics import read
from tests.unit.infra.manifests import manifest, served
from tests.unit.scripts.watch.site import Site, as_json


def test_no_endpoint_is_a_problem_with_the_next_step(site: Site) -> None:
    said = site.scgpt("status", "watched", "--json")
    found = as_json(said)
    assert (said.exit_code, found["state"], found["entities"]) == (1, "absent", [])
    assert found["problems"] == [
        "there is no endpoint scgpt-watched: `scgpt build watched` comes first"
    ]


def test_each_version_with_its_share_its_device_and_its_counts(site: Site) -> None:
    one, other = site.add_version("cpu"), site.add_version("cpu")
    site.serve((one, 90), (other, 10))
    with connected(site.settings) as client:
        last = record.Record(
            at=datetime(2026, 11, 21, 10, 40, tzinfo=UTC),
            by="ann@example.com",
            commit="a" * 40,
            plan_digest="b" * 64,
        )
        record.write(client, site.settings, last)
    for status in (*[200] * 7, 400, 400, 500):
        site.request(status=status)
    said = site.scgpt("status", "watched", "--json", "--logs", "1")
    assert said.exit_code == 0, said.output
    found = as_json(said)
    assert (found["state"], found["update"]) == ("READY", "NOT_UPDATING")
    rows = {each["version"]: each for each in found["entities"]}
    assert [rows[version]["traffic"] for version in (one, other)] == [90, 10]
    assert {each["device"] for each in rows.values()} == {"cpu"}
    assert {each["precision"] for each in rows.values()} == {"float32"}
    counts = [sum(each[name] for each in rows.values()) for name in ("requests", "failed")]
    assert counts == [10, 1]
    assert sum(each["refused"] for each in rows.values()) == 2
    assert rows[one]["mean_ms"] > 0
    assert "engine: cpu" in rows[one]["log"], "the last line of its log"
    assert len(rows[one]["log"].splitlines()) == 1
    assert "requirement" in rows[one]["build_log"] or "builds no image" in rows[one]["build_log"]
    assert found["last_deploy"]["by"] == "ann@example.com"
    text = site.scgpt("status", "watched").stdout
    assert f"{other}: 10 %, CPU Small on cpu (float32), ready" in text
    assert "deployed 2026-11-21 10:40 UTC by ann@example.com, commit aaaaaaaa" in text


@pytest.mark.parametrize(("logged", "code"), [("cpu", 1), ("cuda:0", 0), ("cuda", 0)])
def test_a_gpu_that_is_not_used_is_an_error(site: Site, logged: str, code: int) -> None:
    site.serve((site.add_version(logged), 100), workload_type="GPU_SMALL")
    said = site.scgpt("status", "watched", "--json")
    assert said.exit_code == code
    found = as_json(said)
    assert found["entities"][0]["device"] == logged
    assert [("computes on its CPU" in each) for each in found["problems"]] == [True] * code


def test_a_log_that_names_no_device_is_said_and_no_error(site: Site) -> None:
    site.serve((site.add_version("quantum"), 100), workload_type="GPU_SMALL")
    name = f"scgpt_gene_embeddings-{site.add_version('cpu') - 1}"
    for log in site.workspace.logs.glob(f"scoring-{name}-*.log"):
        log.write_text("rotated\n")
    said = site.scgpt("status", "watched", "--json")
    found = as_json(said)
    assert said.exit_code == 0
    assert found["entities"][0]["device"] is None
    assert "does not say which device" in found["notes"][0]
    assert "device not known" in site.scgpt("status", "watched").stdout


def test_a_failed_update_is_a_problem_and_what_serves_is_shown(site: Site) -> None:
    good, broken = site.add_version("cpu"), site.add_version("cpu")
    site.serve((good, 100))
    site.call("PUT", "/_local/settings/deployments", fail=[str(broken)])
    site.serve((broken, 100))
    site.call("PUT", "/_local/settings/deployments", fail=[])
    said = site.scgpt("status", "watched", "--json")
    found = as_json(said)
    assert (said.exit_code, found["state"], found["update"]) == (1, "READY", "UPDATE_FAILED")
    assert [each["version"] for each in found["entities"]] == [good]
    assert [each["version"] for each in found["pending"]] == [broken]
    assert any("was not deployed" in each for each in found["problems"])


def test_what_serves_is_compared_with_the_manifest(site: Site) -> None:
    version = site.add_version("cpu")
    site.serve((version, 100))
    release.write(
        site.settings.manifest_path, manifest(site.settings, served(version + 1, 100, "champion"))
    )
    found = as_json(site.scgpt("status", "watched", "--json"))
    site.settings.manifest_path.unlink()
    assert found["released"] == {str(version + 1): 100}
    assert "scgpt verify watched" in found["notes"][0]


def test_a_watch_shows_each_change_and_ends_with_the_last_state(site: Site) -> None:
    site.serve((site.add_version("cpu"), 100))
    looks = site.scgpt("status", "watched", "--watch", "--every", "0.01", "--for", "0.002")
    assert looks.exit_code == 0
    assert looks.stdout.count("scgpt-watched: READY") == 1, "nothing changed: shown once"
    lines = site.scgpt(
        "status", "watched", "--watch", "--every", "0.01", "--for", "0", "--json"
    ).stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["READY"]


@pytest.mark.parametrize(
    ("log", "kind", "name", "is_fallback"),
    [
        ("x engine: cpu, torch.bfloat16, 1 tokens a batch", "CPU", "cpu", False),
        ("x engine: cpu, torch.bfloat16, 1 tokens a batch", "CPU_LARGE", "cpu", False),
        ("x engine: cpu, torch.bfloat16, 1 tokens a batch", "MULTIGPU_MEDIUM", "cpu", True),
        ("engine: cpu, torch.x\nrestarted\nengine: cuda, torch.half, 9", "GPU_LARGE", "cuda", 0),
        ("the engine: room is hot", "GPU_SMALL", None, False),
        ("", "GPU_SMALL", None, False),
    ],
)
def test_the_last_start_in_a_log_counts(
    log: str, kind: str, name: str | None, is_fallback: bool
) -> None:
    found = device(log, kind)
    assert (found.name, found.is_fallback) == (name, bool(is_fallback))


def test_the_log_names_the_torch() -> None:
    line = "engine: cuda:0, torch.bfloat16, matmul torch (x), 9 tokens a batch, torch 2.7.1+cu126"
    found = device(f"{line} (NVIDIA A10G, compute capability 8.6)\n", "GPU_MEDIUM")
    assert (found.name, found.precision, found.torch) == ("cuda:0", "bfloat16", "2.7.1+cu126")
    assert device("engine: cpu, torch.float32, 1 tokens a batch", "CPU").torch is None


def test_metrics_of_any_label_are_read_and_other_lines_left_out() -> None:
    text = """# TYPE cpu_usage_percentage gauge
cpu_usage_percentage{endpoint="e",served_model_name="m-1",note="a \\"b\\", {c}"} 12.5 1730000000000
request_count_total{entity="m-1"} 3
up 1
half a line {
request_latency_ms_bucket{le="+Inf"} NaN
"""
    found = list(read(text))
    assert [each.name for each in found] == [
        "cpu_usage_percentage",
        "request_count_total",
        "up",
        "request_latency_ms_bucket",
    ]
    assert found[0].value == 12.5
    assert found[0].is_of("m-1")
    assert not found[2].is_of("m-1")
