"""Send an AnnData to an endpoint, get ``obsm["X_scGPT"]``. Needs numpy, scipy and HTTP; no torch.

Cells travel in chunks of the packed form, one request each, and are put together again in order.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import requests
from numpy.typing import NDArray
from scipy import sparse

from model.codec import PackedEmbeddings, decode_embeddings, encode_cells
from model.contract import PACKED
from model.errors import EndpointError, InvalidRequest, find_tag
from model.tokenizer import check_values

if TYPE_CHECKING:
    from anndata import AnnData

DEFAULT_CHUNK = 100  # with float32 answers of 512 numbers, below the 1 MiB that gets logged
TIMEOUT_S = 300  # the platform's own limit is 297 s
ATTEMPTS = 8
RETRIED = (429, 502, 503, 504)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Endpoint:
    """Where requests go.

    Parameters
    ----------
    name
        Name of the serving endpoint.
    host
        ``https://<workspace>``.
    headers
        Called before each request; gives the headers that authenticate it.
    """

    name: str
    host: str
    headers: Callable[[], Mapping[str, str]]

    @property
    def url(self) -> str:
        return f"{self.host.rstrip('/')}/serving-endpoints/{self.name}/invocations"


@dataclass(frozen=True)
class Report:
    """What happened on the way.

    Parameters
    ----------
    requests
        Requests that were answered.
    digest
        Digest of the model that spoke; one for all cells.
    served
        Served entities that answered, sorted.
    """

    requests: int
    digest: str
    served: tuple[str, ...]


def embed(
    adata: AnnData,
    endpoint: Endpoint,
    *,
    key: str = "X_scGPT",
    chunk: int = DEFAULT_CHUNK,
    params: Mapping[str, Any] | None = None,
    request_prefix: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Embed all cells; nothing is written to `adata` before the last answer is in.

    Parameters
    ----------
    adata
        Cells x genes, counts or normalised values in ``.X``, gene symbols in ``.var_names``.
        Receives float32 ``obsm[key]``, per-cell ``obs["scgpt_matched_genes"]`` and
        ``obs["scgpt_truncated_genes"]``, and ``uns["scgpt"]``.
    endpoint
        Where to send them.
    key
        Of ``obsm``.
    chunk
        Cells per request.
    params
        More params of the contract (``ties``, ``seed``, ...).
    request_prefix
        The client request ids are ``<prefix>-<first cell>``; by default a random prefix.
    progress
        Called with (cells done, cells in all).

    Raises
    ------
    InvalidRequest
        No cell, NaN, infinite or negative values, or what the model itself refuses. Whether the
        genes are known is asked once, of the first chunk that has counts.
    EndpointError
        No access, no such endpoint, not ready, not reachable, or two models in one result.
    """
    if adata.n_obs == 0:
        raise InvalidRequest("no_cells", "the AnnData holds no cell; send at least one.")
    prefix = request_prefix or uuid.uuid4().hex[:12]
    answers: list[PackedEmbeddings] = []
    served: set[str] = set()
    judged: dict[str, float] = {}
    with requests.Session() as session:
        for start, counts in _chunks(adata, chunk):
            body = _request(counts, adata, start, f"{prefix}-{start}", {**(params or {}), **judged})
            answer, entity = _ask(session, endpoint, body)
            answers.append(answer)
            served.add(entity)
            if counts.nnz:  # the genes are the right ones; no later chunk may fail for its few
                judged = {"min_known_fraction": 0.0}
            if answer.digest != answers[0].digest:
                raise EndpointError(
                    "two_models",
                    f"the endpoint answered with models {answers[0].digest[:12]} and "
                    f"{answer.digest[:12]} in turn; their embeddings cannot be mixed. Ask one "
                    "served entity, or wait until the rollout is over.",
                )
            if progress:
                progress(start + counts.shape[0], adata.n_obs)
    report = Report(len(answers), answers[0].digest, tuple(sorted(served)))
    _write(adata, key, answers, endpoint, report)
    return report


def _chunks(adata: AnnData, size: int) -> Iterator[tuple[int, sparse.csr_matrix]]:
    if size < 1:
        raise InvalidRequest("invalid_chunk", f"chunk is {size}; it must be at least 1.")
    for start in range(0, adata.n_obs, size):
        values: Any = adata.X[start : start + size]
        counts = sparse.csr_matrix(values)
        check_values(counts.data)
        yield start, counts


def _request(
    counts: sparse.csr_matrix,
    adata: AnnData,
    start: int,
    request_id: str,
    params: Mapping[str, Any] | None,
) -> dict[str, Any]:
    # Genes that no cell of the chunk expresses say nothing; of none at all, the model must hear.
    used = np.unique(counts.indices) if counts.nnz else np.arange(counts.shape[1])
    genes = [str(name) for name in adata.var_names[used]]
    ids = [str(name) for name in adata.obs_names[start : start + counts.shape[0]]]
    packed = encode_cells(counts[:, used], genes, ids)
    return {
        "dataframe_split": {"columns": [PACKED], "data": [[packed]]},
        "params": {"response_format": "float32", **(params or {})},
        "client_request_id": request_id,
    }


def _ask(
    session: requests.Session, endpoint: Endpoint, body: Mapping[str, Any]
) -> tuple[PackedEmbeddings, str]:
    """One request, tried again while the endpoint is busy."""
    for attempt in range(1, ATTEMPTS + 1):
        last = attempt == ATTEMPTS
        try:
            answer = session.post(
                endpoint.url, json=body, headers=dict(endpoint.headers()), timeout=TIMEOUT_S
            )
        except requests.ConnectionError as error:
            if last:
                raise EndpointError(
                    "unreachable",
                    f"{endpoint.host} cannot be reached ({type(error).__name__}). "
                    "Is the workspace running? (scgpt workspace status)",
                ) from None
        except requests.Timeout:
            raise EndpointError(
                "timed_out",
                f"{endpoint.name} gave no answer within {TIMEOUT_S} s. Send fewer cells per "
                "request, or see the endpoint's logs.",
            ) from None
        else:
            if answer.status_code == 200:
                row = answer.json()["predictions"][0]
                entity = answer.headers.get("served-model-name", "unknown")
                return decode_embeddings(row[PACKED], max_chars=None), entity
            if last or answer.status_code not in RETRIED:
                raise _refusal(endpoint, answer)
        time.sleep(min(0.25 * 2**attempt, 10))
    raise AssertionError("the loop returns or raises")


def _refusal(endpoint: Endpoint, answer: requests.Response) -> Exception:
    """The endpoint's refusal in this package's words."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):  # a proxy's page rather than the platform's JSON
        message = answer.text[:300]
    if tagged := find_tag(message):
        return InvalidRequest(*tagged)
    said = f"{endpoint.name} answered {answer.status_code}: {message}"
    advice = {
        401: " Check the profile or DATABRICKS_TOKEN.",
        403: " The caller needs CAN_QUERY on the endpoint.",
        404: " Is the name right, and is the endpoint deployed and ready?",
    }.get(answer.status_code, "")
    return EndpointError("refused", said + advice, answer.status_code)


def _write(
    adata: AnnData,
    key: str,
    answers: list[PackedEmbeddings],
    endpoint: Endpoint,
    report: Report,
) -> None:
    adata.obsm[key] = np.concatenate([answer.embeddings for answer in answers])
    adata.obs["scgpt_matched_genes"] = _all(answers, "matched")
    adata.obs["scgpt_truncated_genes"] = _all(answers, "truncated")
    adata.uns["scgpt"] = {
        "endpoint": endpoint.name,
        "model_digest": report.digest,
        "served_entities": list(report.served),
    }


def _all(answers: list[PackedEmbeddings], name: str) -> NDArray[np.int64]:
    return np.concatenate([getattr(answer, name) for answer in answers])
