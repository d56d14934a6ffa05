"""Java and jars: what is missing is said before anything starts, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from scgpt_databricks.model.batch.spark.session import check_java, delta_jars
from scgpt_databricks.model.batch.spark.tables import check_columns, mendable, reference
from scgpt_databricks.model.errors import InvalidRequest


def java(folder: Path, said: str) -> Path:
    (folder / "bin").mkdir()
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    return folder


def refusal(check: object, *given: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        check(*given)  # type: ignore[operator]
    return refused.value


def test_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "JAVA_HOME is" in refusal(check_java).message
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = refusal(check_java)
    assert refused.code == "no_java"
    assert "Java 17 or 21" in refused.message


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "Java 11"),
        ('java version "1.8.0_392"', "Java 8"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_wrong_java(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, said)))
    refused = refusal(check_java)
    assert refused.code == "wrong_java"
    assert version in refused.message


@pytest.mark.parametrize("version", ["17.0.15", "21.0.1", "21"])
def test_a_java_that_spark_runs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, f'openjdk version "{version}" 2025')))
    check_java()


def test_no_jars(tmp_path: Path) -> None:
    refused = refusal(delta_jars, tmp_path / "jars")
    assert refused.code == "no_jars"
    assert "make jars" in refused.message


def test_jars_of_another_spark(tmp_path: Path) -> None:
    for name in ("delta-spark_4.0_2.13-4.0.0.jar", "delta-storage-4.0.0.jar"):
        (tmp_path / name).touch()
    assert "needs delta-spark_4.1_" in refusal(delta_jars, tmp_path).message


def test_tables_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert reference("main.cells.raw-2026") == "`main`.`cells`.`raw-2026`"
    assert reference("./cells") == f"delta.`{tmp_path}/cells`"
    assert reference("/Volumes/a/b/c/cells") == "delta.`/Volumes/a/b/c/cells`"
    assert reference("s3://bucket/cells") == "delta.`s3://bucket/cells`"
    for wrong in ("cells; DROP TABLE x", "a.b.c.d", "", "./a`b", "1a"):
        assert refusal(reference, wrong).code == "invalid_table"


def test_columns_that_are_missing_or_of_another_type() -> None:
    wanted = {"packed": "string"}
    assert refusal(check_columns, None, wanted, "t").code == "no_table"
    missing = refusal(check_columns, {"id": "string"}, wanted, "t")
    assert missing.code == "missing_columns"
    assert "its columns: id" in missing.message
    assert refusal(check_columns, {"packed": "binary"}, wanted, "t").code == "wrong_type"
    check_columns({"packed": "string", "more": "int"}, wanted, "t")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("java.io.IOException: No space left on device", "disk_full"),
        ("io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND]", "two_runs"),
        ("[DELTA_SCHEMA_CHANGED_WITH_VERSION] Detected schema change", "schema_changed"),
        ("RuntimeError: [no_weights] there is no best_model.pt here.\n\n\tat org", "no_weights"),
    ],
)
def test_failures_that_can_be_mended_are_sentences(said: str, code: str) -> None:
    found = mendable(f"Job aborted. {said}")
    assert found is not None
    assert found.code == code
    assert mendable("java.lang.NullPointerException") is None
