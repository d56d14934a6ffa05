"""One version in a process of its own: a Ray actor loads it, asks it and writes its answers.

MLflow puts the code of a version on ``sys.path``, so two versions in one process could run each
other's modules. A process that ends gives back all its memory, that of a GPU too.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import find_tag
from .problems import Refusal
from .rows import Question

_INPUT_ROW = "input_row"
_CHUNK = 1 << 20
_CALLERS_FAULT = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


@dataclass(frozen=True)
class Facts:
    """Facts about a loaded version.

    Parameters
    ----------
    bytes
        Resident memory of its process.
    digest
        sha256 of its files.
    splits
        Its answers name the ``input_row``, so those to several requests can be told apart.
    """

    bytes: int
    digest: str
    splits: bool


class Process:
    """The version of one process.

    Parameters
    ----------
    threads
        For computing; 0: one for each processor.
    tracking_uri, registry_uri
        As in ``Settings``.
    """

    def __init__(self, threads: int, tracking_uri: str, registry_uri: str) -> None:
        # Ray allows one thread to actors without a processor of their own; torch is not yet here.
        os.environ["OMP_NUM_THREADS"] = str(threads or len(os.sched_getaffinity(0)))
        set_uris(tracking_uri, registry_uri)
        self._model: Any = None

    def load(self, model: str, number: int, digest: str, target: str) -> Facts:
        """Load a version. Its code runs here for the first time.

        Parameters
        ----------
        digest
            Of its checkpoint; empty: that of its files is computed.
        target
            Folder for its files, which may be read as long as the process lives.
        """
        import mlflow.artifacts
        import mlflow.pyfunc

        from .rows import Api

        folder = mlflow.artifacts.download_artifacts(f"models:/{model}/{number}", dst_path=target)
        self._model = mlflow.pyfunc.load_model(folder)
        signature = self._model.metadata.signature
        self._api = Api(signature)
        outputs = signature.outputs
        named = outputs is not None and outputs.has_input_names()
        self._splits = named and _INPUT_ROW in outputs.input_names()
        return Facts(resident_bytes(), digest or digest_of(Path(folder)), self._splits)

    def answer(self, questions: Sequence[Question]) -> tuple[list[bytes | Refusal], int]:
        """Answer requests that have the same columns and the same params, as one where possible.

        Returns
        -------
        tuple
            The answer to each, a JSON array or a refusal; resident memory after it.
        """
        if len(questions) > 1:
            with suppress(Exception):  # one of them is at fault: each gets its own answer
                return self._together(questions), resident_bytes()
        return [self._alone(question) for question in questions], resident_bytes()

    def wait_for_the_end(self) -> None:
        """Never return: a call that waits here is told when the process ends."""
        threading.Event().wait()

    def _alone(self, question: Question) -> bytes | Refusal:
        try:
            return self._api.write(self._rows(question))
        except Refusal as error:
            error.trace = traceback.format_exc()
            return error
        except Exception as error:  # noqa: BLE001 - whatever a model raises
            return _refused(error)

    def _together(self, questions: Sequence[Question]) -> list[bytes | Refusal]:
        counts = [question.rows for question in questions]
        whole = Question(joined([q.data for q in questions]), sum(counts), questions[0].params)
        rows = self._rows(whole)
        parts = split_by_input_row(rows, counts) if self._splits else split(rows, counts)
        return [self._api.write(part) for part in parts]

    def _rows(self, question: Question) -> list[Any]:
        from .rows import to_rows

        found = self._model.predict(question.data, params=question.params or None)
        return to_rows(found, self._api.signature.outputs, question.rows)


def joined(data: Sequence[Any]) -> Any:
    """Put the rows of several requests below each other."""
    if isinstance(data[0], pd.DataFrame):
        return pd.concat(data, ignore_index=True)
    if isinstance(data[0], dict):
        return {name: np.concatenate([each[name] for each in data]) for name in data[0]}
    return np.concatenate(data)


def split(rows: list[Any], counts: Sequence[int]) -> list[list[Any]]:
    """Give each request its rows, where each row of input has one of output."""
    if len(rows) != sum(counts):
        raise ValueError(f"{len(rows)} rows of output for {sum(counts)} of input")
    ends = np.cumsum(counts).tolist()
    return [rows[end - count : end] for end, count in zip(ends, counts, strict=True)]


def split_by_input_row(rows: list[Any], counts: Sequence[int]) -> list[list[Any]]:
    """Give each request its rows by the input row that they name, counted within the request."""
    owner = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum([0, *counts[:-1]])
    parts: list[list[Any]] = [[] for _ in counts]
    for row in rows:
        at = int(row[_INPUT_ROW])
        part = int(owner[at])
        parts[part].append({**row, _INPUT_ROW: at - int(starts[part])})
    return parts


def _refused(error: Exception) -> Refusal:
    """Return what a caller is told of an exception of the model; the replica logs its trace."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException) and error.error_code in _CALLERS_FAULT:
        code, message = find_tag(str(error.message)) or ("refused_by_model", str(error.message))
        return Refusal(422, code, message)
    return Refusal(
        500,
        "model_failed",
        f"The model failed with {type(error).__name__}. The log has the rest, under the id of "
        "this request.",
        trace=traceback.format_exc(),
    )


def set_uris(tracking_uri: str, registry_uri: str) -> None:
    """Point MLflow to its servers; an empty URI is left to MLflow."""
    import mlflow

    if tracking_uri:
        mlflow.set_tracking_uri(tracking_uri)
    if registry_uri:
        mlflow.set_registry_uri(registry_uri)


def digest_of(folder: Path) -> str:
    """Return the sha256 over names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if path.name == "registered_model_meta":  # written by the download
            continue
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def resident_bytes() -> int:
    """Return the resident memory of this process; on macOS its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()
