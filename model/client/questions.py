"""The requests for all cells of a data set: cut by size, asked side by side, answered in order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from scipy import sparse

from ..cells.cell_key import CellKeys
from ..cells.cells import CellRows
from ..cells.checks import check_genes, check_values
from ..cells.imputed import check_data_set
from ..cells.job_options import CELLS_PER_READ, CELLS_PER_REQUEST, check_chunk
from ..contract import (
    CELL_EMBEDDINGS,
    MAX_PACKED_CHARS,
    PACKED,
    check_params_of,
    params_to_send,
)
from ..errors import EndpointError, InvalidRequest, LimitExceeded, ScgptError
from ..scgpt.params import ScgptOptions
from ..wire.codec import encode_cells
from .answered import Answered, packed_of
from .cache import Cache, cache_salt
from .conversation import Speaker
from .pace import CONCURRENCY, in_order

_AROUND = 64 * 1024  # for the JSON around the packed cells
REQUEST_BYTES = 1024 * 1024 - _AROUND  # larger requests are not kept in the inference table
MOST_BYTES = MAX_PACKED_CHARS - _AROUND
_SPLITS, _SPLITS_UNANSWERED = 64, 8  # requests that are cut in two to find the cell that fails
_OF_THE_CELLS = (400, 413, 422, 500)


@dataclass(frozen=True)
class Limits:
    """Bounds of the requests.

    Parameters
    ----------
    chunk
        The most cells in one.
    request_bytes
        The most bytes of one; a cell that is larger by itself still gets one, up to 16 MB.
    concurrency
        The most that are under way at a time.
    patience
        Seconds for which one is repeated while the endpoint is busy or starts; None: 20 minutes.

    Raises
    ------
    InvalidRequest
        ``invalid_chunk``, ``invalid_request_bytes``, ``invalid_concurrency``, ``invalid_patience``.
    """

    chunk: int = CELLS_PER_REQUEST
    request_bytes: int = REQUEST_BYTES
    concurrency: int = CONCURRENCY
    patience: float | None = None

    def __post_init__(self) -> None:
        check_chunk(self.chunk)
        for name, most in (("request_bytes", MOST_BYTES), ("concurrency", 256)):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | np.integer)
                or not 1 <= value <= most
            ):
                raise InvalidRequest(
                    f"invalid_{name}",
                    f"{name} is {value!r}; it must be a whole number of 1 .. {most:,}.",
                )
        patience = self.patience
        is_number = isinstance(patience, int | float) and not isinstance(patience, bool)
        if patience is not None and not (is_number and patience >= 0):
            raise InvalidRequest(
                "invalid_patience",
                f"patience is {self.patience!r}; it must be 0 or more seconds.",
            )


def checked_params(asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params of every request; checked before the first, for all would fail alike."""
    options, sent = params_to_send(
        asked, ScgptOptions, response_format="float32", allow_imputed=False
    )
    if options.task not in (None, CELL_EMBEDDINGS):
        raise _not_here("task", options.task, f"only {CELL_EMBEDDINGS} are written to obsm")
    check_params_of(CELL_EMBEDDINGS, options)
    if options.response_format == "json":
        raise _not_here("response_format", "json", "answers travel packed: float32 or float16")
    if options.input_data_path:
        raise _not_here("input_data_path", options.input_data_path, "the AnnData holds the cells")
    holes = "dropped cells would leave holes in obsm; filter the AnnData beforehand"
    sets = "each request would choose genes of its own; choose them in the AnnData beforehand"
    reasons = {
        "filter_cell_by_counts": holes,
        "min_counts_per_cell": holes,
        "filter_gene_by_counts": sets,
        "subset_hvg": sets,
    }
    for name, reason in reasons.items():
        if getattr(options, name):
            raise _not_here(name, getattr(options, name), reason)
    return sent


def check_data(cells: CellRows, params: Mapping[str, Any]) -> None:
    """Look at every cell: none may be paid for before a later one is refused.

    Parameters
    ----------
    cells
        The data set, with all its genes.
    params
        As ``checked_params`` returns them.

    Raises
    ------
    InvalidRequest
        Duplicate genes, NaN, infinite or negative values, values that look imputed or scaled.
    """
    check_genes(cells.genes, cells.rows(0, 1).shape[1])
    for counts in _pieces(cells):
        check_values(counts.data)
    if not params["allow_imputed"]:
        check_data_set(_pieces(cells))


def _pieces(cells: CellRows) -> Iterator[sparse.csr_matrix]:
    for start in range(0, cells.n_cells, CELLS_PER_READ):
        yield cells.rows(start, start + CELLS_PER_READ)


def _not_here(name: str, value: Any, reason: str) -> InvalidRequest:
    return InvalidRequest(
        "invalid_param", f"{name} is {value!r}, which embed cannot use: {reason}. Leave it out."
    )


@dataclass(frozen=True)
class Request:
    """Some cells that travel together.

    Parameters
    ----------
    rows
        Numbers of the cells in the data set.
    counts
        ``[cells, genes]``, CSR.
    names
        Of the cells, as they travel.
    packed
        The same, encoded, with those genes that are needed.
    """

    rows: tuple[int, ...]
    names: list[str]
    counts: sparse.csr_matrix
    packed: str


@dataclass(frozen=True)
class Window:
    """Some cells in a row, of which some may be answered already.

    Parameters
    ----------
    n_cells
        Their number.
    keys
        Of the cells, for the cache; none without one.
    kept
        Rows that are known, by place.
    asked
        Places of the other cells.
    request
        Asks for these; None: all are known.
    """

    n_cells: int
    keys: list[bytes]
    kept: Mapping[int, Answered]
    asked: list[int]
    request: Request | None

    def filled(self, answer: Answered | None) -> Answered:
        """Return the rows of all cells, in their order."""
        if not self.kept:
            assert answer is not None
            return answer
        rows = Answered.joined([*self.kept.values(), *([answer] if answer else [])])
        places = [*self.kept, *self.asked]
        return rows.take(np.argsort(places).tolist())


@dataclass(frozen=True)
class Questions:
    """The requests for all cells of a data set.

    Parameters
    ----------
    cells
        The data set.
    params
        As ``checked_params`` returns them.
    limits
        Bounds of the requests.
    prefix
        Of the client request ids; by default a random one.
    cell_names
        Send the names of the cells; else the numbers of their rows stand for them.
    cache
        Keeps answers, and has those that are known.
    """

    cells: CellRows
    params: Mapping[str, Any]
    limits: Limits = field(default_factory=Limits)
    prefix: str | None = None
    cell_names: bool = False
    cache: Cache | None = None

    def ask(self, speaker: Speaker, done: int = 0) -> Iterator[tuple[int, Answered]]:
        """Ask for the cells after the first `done`; yield the cells done by then, and their rows.

        The first request goes alone: its answer says which model speaks, and if the genes are the
        right ones. The others go side by side. A request that fails for good is cut in two until
        the cell that fails is found; the other cells are answered.

        Raises
        ------
        InvalidRequest, EndpointError
            As ``Conversation.ask``; a failure that goes back to some cells only where all failed.
        """
        asking = _Asking(speaker, self.prefix or uuid.uuid4().hex[:12], dict(self.params))
        # The values were judged by all genes: a request holds only those it needs.
        asking.params["allow_imputed"] = True
        windows, width = self._windows(done, asking), 0
        for window in windows:
            assert window.request is not None
            rows = self._kept(asking, window, self._first(asking, window.request))
            done, width = done + window.n_cells, rows.embeddings.shape[1]
            yield done, rows
            if window.request.counts.nnz:  # the genes are the right ones; none is judged again
                asking.params["min_known_fraction"] = 0.0
                asking.salt = cache_salt(speaker.report().model_digest, self.params)
                break
        most = self.limits.concurrency
        for rows in in_order(windows, partial(self._fill, asking), most, speaker.stop):
            done += len(rows.status)
            yield done, rows.wide(width)

    def _windows(self, start: int, asking: _Asking) -> Iterator[Window]:
        """Cut the cells after `start`, so that what is asked of each fits a request."""
        size, room = self.limits.chunk, self.limits.request_bytes
        keys_of = CellKeys(self.cells.genes)
        while start < self.cells.n_cells:
            counts = self.cells.rows(start, start + size)
            window = self._window(start, counts, keys_of, asking)
            n_cells, fit = counts.shape[0], float("inf")
            if window.request:
                fit = len(window.asked) * room / len(window.request.packed)
                if fit < len(window.asked) and n_cells > 1:
                    size = max(1, min(n_cells - 1, int(fit * 0.9)))
                    continue
                _check_fits(window.request)
            yield window
            start += n_cells
            size = max(1, int(min(self.limits.chunk, fit * 0.95)))

    def _window(
        self, start: int, counts: sparse.csr_matrix, keys_of: CellKeys, asking: _Asking
    ) -> Window:
        n_cells, kept = counts.shape[0], dict[int, Answered]()
        keys = list(keys_of.of(counts)) if self.cache else []
        if self.cache and asking.salt:
            known = self.cache.find([asking.salt + key for key in keys])
            kept = {
                at: known[asking.salt + key]
                for at, key in enumerate(keys)
                if asking.salt + key in known
            }
        asked = [at for at in range(n_cells) if at not in kept]
        request = None
        if asked:
            rows = [start + at for at in asked]
            request = self._request(rows, counts[asked] if kept else counts)
        return Window(n_cells, keys, kept, asked, request)

    def _fill(self, asking: _Asking, window: Window) -> Answered:
        if window.request is None:
            return window.filled(None)
        return self._kept(asking, window, self._answer(asking, window.request))

    def _kept(self, asking: _Asking, window: Window, answer: Answered) -> Answered:
        """Put the rows of an answer into the cache, and among those that were there."""
        if self.cache:
            salt = cache_salt(asking.speaker.report().model_digest, self.params)
            self.cache.keep([salt + window.keys[at] for at in window.asked], answer)
        return window.filled(answer)

    def _request(self, rows: Sequence[int], counts: sparse.csr_matrix) -> Request:
        # Genes that no cell of the chunk expresses say nothing; of none at all, the model must
        # hear.
        used = np.unique(counts.indices) if counts.nnz else np.arange(counts.shape[1])
        genes = [self.cells.genes[column] for column in used]
        names = [str(row) for row in rows]
        if self.cell_names:
            names = [name for row in rows for name in self.cells.names(row, row + 1)]
        return Request(tuple(rows), names, counts, encode_cells(counts[:, used], genes, names))

    def _first(self, asking: _Asking, request: Request) -> Answered:
        """Answer the first request; what its genes or params are refused for, the others are."""
        try:
            return asking.ask(request)
        except EndpointError as error:
            if not _is_of_the_cells(error) or error.code == "timed_out":
                raise
            found = self._by_halves(asking, request, error)
            if found.has_failed.all():
                raise
            return found

    def _answer(self, asking: _Asking, request: Request) -> Answered:
        try:
            return asking.ask(request)
        except ScgptError as error:
            if not _is_of_the_cells(error):
                raise
            return self._by_halves(asking, request, error)

    def _by_halves(self, asking: _Asking, request: Request, error: ScgptError) -> Answered:
        """Answer the cells of a request that failed for good, in smaller requests."""
        n_cells = request.counts.shape[0]
        if n_cells == 1 or not asking.may_split():
            return Answered.failed(n_cells, error.code)
        middle = n_cells // 2
        halves = [
            self._request(request.rows[some], request.counts[some])
            for some in (slice(middle), slice(middle, None))
        ]
        return Answered.joined([self._answer(asking, half) for half in halves])


@dataclass
class _Asking:
    """One pass through a data set: to whom, with which params."""

    speaker: Speaker
    prefix: str
    params: dict[str, Any]
    salt: bytes = b""
    splits: int = 0
    lock: Lock = field(default_factory=Lock)

    def ask(self, request: Request) -> Answered:
        body = {
            "dataframe_split": {"columns": [PACKED], "data": [[request.packed]]},
            "params": dict(self.params),
            "client_request_id": f"{self.prefix}-{request.rows[0]}",
        }
        lines = self.speaker.ask(body, request.counts.nnz)
        return Answered.of(packed_of(lines, request.names))

    def may_split(self) -> bool:
        """Say if another request may be cut; few may while nothing was ever answered."""
        most = _SPLITS if self.speaker.report().requests else _SPLITS_UNANSWERED
        with self.lock:
            self.splits += 1
            return self.splits <= most


def _is_of_the_cells(error: ScgptError) -> bool:
    """Say if other cells may be answered where these failed."""
    if isinstance(error, InvalidRequest):
        return True
    status = getattr(error, "http_status", None)
    return error.code == "timed_out" or (error.code == "refused" and status in _OF_THE_CELLS)


def _check_fits(request: Request) -> None:
    if len(request.packed) > MOST_BYTES:
        raise LimitExceeded(
            "packed_too_large",
            f"cell {request.rows[0]} alone is {len(request.packed):,} characters when packed; a "
            f"request has room for {MOST_BYTES:,}. Name the genes that are needed: genes, or "
            "n_top_genes.",
        )
