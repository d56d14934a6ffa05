"""Real processes that are killed: no row is lost and none is there twice."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.acceptance.spark.conftest import JARS

pytestmark = pytest.mark.acceptance

SCGPT = Path(sys.executable).parent / "scgpt"
PATIENCE_S = 400


def command(cells: str, out: str, model: str, *more: str) -> list[str]:
    settings = ("--jars", str(JARS), "--conf", "spark.driver.memory=512m")
    return [str(SCGPT), "spark", "embed", cells, "--model", model, "--into", out, *settings, *more]


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command with a group of its own; whatever is left of it is killed."""
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(found: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """Wait for something that a running process brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not (there := found()):
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return there


def begun(out: str) -> int:
    """Count the slices that a stream has begun, by what Spark writes before each."""
    return len(
        [path for path in Path(f"{out}_checkpoint").glob("*/offsets/*") if path.name.isdigit()]
    )


def counts(spark: SparkSession, out: str) -> tuple[int, int]:
    """Return the rows, and the keys among them."""
    rows = spark.read.format("delta").load(out)
    return rows.count(), rows.select("cell_digest", "model_digest").distinct().count()


@pytest.mark.parametrize(
    "kills", [pytest.param(2, marks=pytest.mark.long), pytest.param(20, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(7200)
def test_a_stream_that_is_killed_loses_no_row_and_has_none_twice(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path, kills: int
) -> None:
    growing, out = str(tmp_path / "growing"), str(tmp_path / "out")
    chance = random.Random(kills)
    table = spark.read.format("delta").load(cells)
    step = 700 // kills
    follow = command(
        growing, out, checkpoint, "--master", "local[2]", "--follow", "--every", "1 second",
        "--files-per-commit", "1", "--min-known-fraction", "0",
    )  # fmt: skip
    for kill in range(kills):
        last = 700 if kill == kills - 1 else (kill + 1) * step
        some = table.where(f"source_row >= {kill * step} AND source_row < {last}")
        some.repartition(2).write.format("delta").mode("append").save(growing)
        before = begun(out)
        with running(*follow) as process:
            until(lambda before=before: begun(out) > before, process)
            time.sleep(chance.random() * 3)  # anywhere in the slice: before, in, after its commit
            os.killpg(process.pid, signal.SIGKILL)
    ended = subprocess.run(
        [*command(growing, out, checkpoint, "--master", "local[2]"), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["rows"] == 700
    assert counts(spark, out) == (700, 700)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_killed_executor_costs_no_row(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    """On a cluster of two executors, to which Spark hands the checkpoint out."""
    out = str(tmp_path / "out")
    words = command(
        cells, out, checkpoint, "--master", "local-cluster[2,1,640]", "--partitions", "6"
    )
    words += ["--files-per-commit", "1", "--conf", "spark.executor.memory=512m"]
    with running(*words) as process:
        until(lambda: begun(out) > 1, process)
        victim = until(lambda: executors(process.pid), process)[0]
        os.kill(victim, signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 0
    assert counts(spark, out) == (700, 700)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: it makes a small disk")
def test_a_full_disk_is_a_sentence_and_the_next_run_goes_on(
    spark: SparkSession, cells: str, checkpoint: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    embed = shlex.join([*command(cells, str(disk / "out"), checkpoint), "--json"])
    script = (
        f"mount -t tmpfs -o size=96k tmpfs {disk} || exit 77\n"
        f"{embed} > {tmp_path}/full.json && exit 1\n"
        f"mount -o remount,size=64m {disk} && {embed} > {tmp_path}/done.json"
    )
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    ended = subprocess.run(own, capture_output=True, text=True, check=False)
    if ended.returncode == 77 or "unshare failed" in ended.stderr:
        pytest.skip(f"nobody may mount a disk here: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "full.json").read_text())["error"]["code"] == "disk_full"
    assert json.loads((tmp_path / "done.json").read_text())["rows"] == 700


def executors(parent: int) -> list[int]:
    """Return the executors below a process; ps lists those above before those below."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid,ppid,args", "--sort=pid"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    below, found = {parent}, []
    for line in listed.splitlines()[1:]:
        pid, above, words = line.split(None, 2)
        if int(above) in below:
            below.add(int(pid))
            if "CoarseGrainedExecutorBackend" in words:
                found.append(int(pid))
    return found
