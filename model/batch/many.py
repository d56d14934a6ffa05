"""Embed many files of cells, one after the other; a record keeps what became of each.

A run that was stopped goes on: a file that is done, and has not changed since, is left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scgpt_databricks.whole_file import TargetError, check_target

from ..cells.files import state_of
from ..errors import EndpointError, InvalidRequest, ScgptError
from .result import DELTA
from .run import FileReport, Progress

RECORD = "scgpt_files.jsonl"
EMBEDDED, KEPT, FAILED, NOT_STARTED = "embedded", "already_embedded", "failed", "not_started"
_CELLS = (".h5ad", ".zarr", ".h5")
_OF_THE_FILE = ("timed_out", "two_models", "version_gone", "foreign_answer")

One = Callable[[Path, Path, Progress | None], FileReport]
"""Embeds the cells of one file into a target."""


@dataclass(frozen=True)
class FileStatus:
    """The outcome for one file.

    Parameters
    ----------
    source, target
        The file, and the place of its embeddings.
    status
        ``embedded``, ``already_embedded`` (by an earlier run), ``failed``, or ``not_started``:
        what failed before would have failed for this file, too.
    cells, failed
        Its cells, and those of them whose rows are NaN.
    model_digest
        Of the model that answered.
    code, message
        The reason where it failed.
    note
        A sentence, where the target is not what was asked for.
    """

    source: str
    target: str
    status: str
    cells: int = 0
    failed: int = 0
    model_digest: str = ""
    code: str = ""
    message: str = ""
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Say if all its cells are embedded."""
        return self.status in (EMBEDDED, KEPT) and not self.failed


def targets_of(sources: Sequence[Path], into: Path) -> list[Path]:
    """Return where the embeddings of each file go.

    Parameters
    ----------
    sources
        The files.
    into
        A folder, which gets one ``.h5ad`` for each; or ``NAME.delta``: a Delta table of all cells.

    Raises
    ------
    InvalidRequest
        ``no_files``, ``invalid_target``; ``two_targets``: two files would be written to one place.
    """
    if not sources:
        raise InvalidRequest("no_files", "no file is named; name at least one.")
    if into.suffix.lower() == DELTA:
        names = [into] * len(sources)
    else:
        if into.is_file():
            raise InvalidRequest(
                "invalid_target", f"{into} is a file; several files need a folder, or NAME.delta."
            )
        names = [into / f"{_stem(source)}.h5ad" for source in sources]
    if len({*map(Path.resolve, sources)}) < len(sources):
        raise InvalidRequest("two_targets", "a file is named twice; name each once.")
    if into.suffix.lower() != DELTA and len({*names}) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(
            "two_targets",
            f"two files would be written to {again}. Rename one, or write NAME.delta.",
        )
    own = {*map(Path.resolve, sources)} & {*map(Path.resolve, names)}
    if own:
        raise InvalidRequest(
            "invalid_target", f"{own.pop()} is one of the files; name another folder."
        )
    return names


def embed_files(
    sources: Sequence[Path],
    into: Path,
    one: One,
    job: Mapping[str, Any],
    *,
    again: bool = False,
    states: Mapping[Path, Any] | None = None,
    tell: Callable[[FileStatus], None] | None = None,
    progress: Progress | None = None,
) -> list[FileStatus]:
    """Embed files; one that fails leaves the others to be done.

    Parameters
    ----------
    sources, into
        As ``targets_of`` takes them.
    one
        Embeds one.
    job
        What rows depend on beside the files: the endpoint and the choices, as JSON has them.
    again
        Embed what is done already, too.
    states
        What changes with the content of a file; by default its path, size and time.
    tell
        Called with each file's status.
    progress
        Called with (cells done, cells in all) of the file at hand.

    Returns
    -------
    list of FileStatus
        In the order of `sources`. The record beside the results says the same.

    Raises
    ------
    InvalidRequest
        As ``targets_of``; a target that cannot be written.
    """
    targets = targets_of(sources, into)
    record = _Record(into, job)
    found: list[FileStatus] = []
    stopped: ScgptError | None = None
    for source, target in zip(sources, targets, strict=True):
        state = (states or {}).get(source) or state_of(source)
        known = None if again else record.find(source, target, state)
        if known:
            status = known
        elif stopped:
            status = _status(source, target, NOT_STARTED, stopped)
        else:
            status, stopped = _embedded(source, target, one, progress)
            record.add(status, state)
        found.append(status)
        if tell:
            tell(status)
    return found


def two_models(found: Sequence[FileStatus]) -> str:
    """Return a sentence where the results are of several models; else an empty one."""
    digests = list(dict.fromkeys(each.model_digest for each in found if each.model_digest))
    if len(digests) <= 1:
        return ""
    counts = ", ".join(
        f"{sum(each.model_digest == digest for each in found)} of {digest[:12]}"
        for digest in digests
    )
    return (
        f"the results are of {len(digests)} models ({counts}): never mix their embeddings. Embed "
        "all files again (--again)."
    )


def _embedded(
    source: Path, target: Path, one: One, progress: Progress | None
) -> tuple[FileStatus, ScgptError | None]:
    """Embed one file; return the error that the other files would meet as well."""
    try:
        report = one(source, target, progress)
    except ScgptError as error:
        of_all = isinstance(error, EndpointError) and error.code not in _OF_THE_FILE
        return _status(source, target, FAILED, error), error if of_all else None
    status = FileStatus(
        str(source),
        str(target),
        EMBEDDED,
        report.cells,
        report.failed,
        report.model_digest,
        note=report.note,
    )
    return status, None


def _status(source: Path, target: Path, status: str, error: ScgptError) -> FileStatus:
    return FileStatus(str(source), str(target), status, code=error.code, message=error.message)


def _stem(source: Path) -> str:
    name = Path(os.path.realpath(source)).name
    return name[: -len(source.suffix)] if source.suffix.lower() in _CELLS else name


class _Record:
    """Lines of JSON, one for each file that a run tried; the last one on a file holds."""

    def __init__(self, into: Path, job: Mapping[str, Any]) -> None:
        is_table = into.suffix.lower() == DELTA
        self._path = into.with_name(f"{into.name}.{RECORD}") if is_table else into / RECORD
        try:
            check_target(self._path)
        except TargetError as error:
            raise InvalidRequest("invalid_target", str(error)) from error
        asked = json.dumps(job, sort_keys=True, default=str)
        self._job = hashlib.sha256(asked.encode()).hexdigest()
        self._known: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            self._known[line["source"]] = line

    def find(self, source: Path, target: Path, state: Any) -> FileStatus | None:
        """Return the status of a file that an earlier run of this job has done."""
        known = self._known.get(os.path.realpath(source))
        asked = {"job": self._job, "state": state, "written": _written(target)}
        if not known or {name: known[name] for name in asked} != asked:
            return None
        kept = {**known["status"], "source": str(source), "target": str(target), "status": KEPT}
        return FileStatus(**kept)

    def add(self, status: FileStatus, state: Any) -> None:
        """Write down what became of a file; only what is done is found again."""
        line = {
            "source": os.path.realpath(status.source),
            "job": self._job if status.is_done else "",
            "state": state,
            "written": _written(Path(status.target)),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "status": asdict(status),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(line) + "\n"
        place = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(place, text.encode())  # at once: another run may write here, too
        finally:
            os.close(place)

    def _lines(self) -> list[dict[str, Any]]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # cut off by a kill
                continue
        return found


def _written(target: Path) -> list[Any] | None:
    """Return what changes where a target is written by somebody else; of a table, that it is."""
    if target.suffix.lower() == DELTA:
        return [(target / "_delta_log").is_dir()]
    return state_of(target)[1:] if target.exists() else None
