"""How a data set is embedded: the same choices for an AnnData, for a file and for many files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..cells.counts_place import CountsPlace
from ..cells.gene_choice import GeneChoice, genes_digest
from ..cells.job_options import CELLS_PER_REQUEST, OBSM_KEY, check_key
from ..errors import InvalidRequest
from .pace import CONCURRENCY
from .questions import REQUEST_BYTES, Limits, checked_params


@dataclass(frozen=True, kw_only=True)
class How:
    """The choices of a caller, checked before a cell is read.

    Parameters
    ----------
    key
        Of ``obsm``.
    chunk
        The most cells per request.
    request_bytes
        The most bytes per request; by default few enough for the inference table, which keeps
        none above 1 MiB. At most 16 MB.
    concurrency
        The most requests that are under way at a time. There are fewer where answers become slow
        or the endpoint is busy.
    patience
        Seconds for which a request is repeated while the endpoint is busy or starts; by default
        20 minutes, as an endpoint that was scaled to zero may need.
    layer, raw
        Where the values lie: in this layer (``"X"`` for ``.X``), or in ``.raw``. By default where
        counts are: ``layers["counts"]``, ``.raw``, ``.X``, the first that holds some; else ``.X``,
        or ``.raw`` where ``.X`` has numbers below 0.
    gene_names
        Column of ``var`` that names the genes, or ``"index"``. By default the index does, unless
        it holds Ensembl ids or numbers and there is a column ``feature_name``, ``gene_symbols`` or
        ``gene_name``. There a name that occurs again gives way to the id.
    sum_duplicates
        Add up the columns of one name; else they are refused.
    genes
        Embed these genes only; the list of another data set, so that both are comparable:
        ``uns["scgpt"]["genes"]``. Those that are not there are left out, with a warning.
    n_top_genes
        Embed the genes that vary the most. They are chosen once over all cells; the list is kept
        in ``uns["scgpt"]``, with its hash. 0: all genes.
    hvg_flavor
        How these are found: ``seurat_v3``, ``cell_ranger`` or ``seurat``, as scanpy has them. By
        default the first for counts, and the second for other values.
    batch_key
        Column of ``obs`` with the batches within which genes are to vary. It is not sent.
    cell_names
        Send the names of the cells, too.
    cache
        Folder that keeps answers, by the cell's tokens and the model's digest: nobody asks for
        them again. By default the answers of a run that failed are kept: for an AnnData in this
        process, for a file beside its target. The next run goes on.
    params
        More params of the contract (``ties``, ``seed``, ...); none that would change which cells
        or genes are answered for, or that the answer is packed cell embeddings.

    Raises
    ------
    InvalidRequest
        ``invalid_key``, ``invalid_chunk``, ``invalid_request_bytes``, ``invalid_concurrency``,
        ``invalid_patience``, ``two_matrices``, ``unknown_param``, ``invalid_param``.
    """

    key: str = OBSM_KEY
    chunk: int = CELLS_PER_REQUEST
    request_bytes: int = REQUEST_BYTES
    concurrency: int = CONCURRENCY
    patience: float | None = None
    layer: str | None = None
    raw: bool = False
    gene_names: str | None = None
    sum_duplicates: bool = False
    genes: Sequence[str] | None = None
    n_top_genes: int = 0
    hvg_flavor: str | None = None
    batch_key: str | None = None
    cell_names: bool = False
    cache: str | Path | None = None
    params: Mapping[str, Any] | None = None

    choice: GeneChoice = field(init=False)
    place: CountsPlace = field(init=False)
    limits: Limits = field(init=False)
    sent: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        checked = {
            "choice": GeneChoice(self.genes, self.n_top_genes, self.hvg_flavor, self.batch_key),
            "place": CountsPlace.asked(self.layer, self.raw, self.gene_names, self.sum_duplicates),
            "limits": Limits(self.chunk, self.request_bytes, self.concurrency, self.patience),
        }
        check_key(self.key)
        for name, value in {**checked, "sent": checked_params(self.params)}.items():
            object.__setattr__(self, name, value)

    def identity(self) -> dict[str, Any]:
        """Return the choices on which rows depend, as JSON has them."""
        genes = None if self.genes is None else genes_digest(self.genes)
        return {
            "key": self.key,
            "place": asdict(self.place),
            "choice": [genes, self.n_top_genes, self.hvg_flavor, self.batch_key],
            "params": self.sent,
        }


def merged(params: Mapping[str, Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of both places: of a mapping, and given by their own names."""
    if params is not None and not isinstance(params, Mapping):
        raise InvalidRequest(
            "invalid_param", f"params is of type {type(params).__name__}; it must be a dict."
        )
    if twice := sorted({*(params or {})} & {*options}):
        raise InvalidRequest(
            "invalid_param", f"{twice[0]} stands in params and beside it; give it once."
        )
    return {**(params or {}), **options}
