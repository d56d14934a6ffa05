"""The model's static gene vectors through an endpoint, page by page, as an AnnData."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..contract import GENE_EMBEDDINGS, VAR
from ..errors import EndpointError, InvalidRequest
from ..wire.codec import PackedEmbeddings
from .answered import packed_of
from .conversation import Conversation, Report, converse
from .endpoint import Endpoint
from .progress import Progress, teller

if TYPE_CHECKING:
    from anndata import AnnData


DEFAULT_PAGE = 2000  # gene vectors: 5.5 MB of answer at 512 numbers


_PACKED_FORMATS = ("float32", "float16")


def gene_table(
    endpoint: Endpoint | str,
    genes: Iterable[str] = (),
    *,
    page: int = DEFAULT_PAGE,
    response_format: str = "float32",
    progress: Progress | bool | None = None,
) -> AnnData:
    """The model's static gene vectors as an AnnData of genes x width.

    Parameters
    ----------
    endpoint
        Where to ask, as ``embed`` takes it.
    genes
        Only these, by any name that the model knows; by default all genes of the vocabulary, in
        its order.
    page
        Genes per request: their vectors travel packed.
    response_format
        ``float32``, or ``float16`` at half the size.
    progress
        Called with (genes done, genes in all); True shows it in a line on stderr.

    Returns
    -------
    AnnData
        ``X``: float32 ``[genes, width]``, ``obs_names`` the genes; ``uns["scgpt"]``: the endpoint,
        ``model_digest``, the served entities, and ``genes_not_found``.

    Raises
    ------
    InvalidRequest
        ``invalid_page``; ``invalid_param`` where `genes` is one string or `response_format` is
        another; what the model refuses: duplicate genes, none that it knows.
    EndpointError
        As ``embed``.
    """
    from anndata import AnnData

    if page < 1:
        raise InvalidRequest("invalid_page", f"page is {page}; it must be at least 1.")
    if isinstance(genes, str) or not isinstance(genes, Iterable):  # letters are no genes
        raise InvalidRequest("invalid_param", f"genes is {genes!r}; it must be a list of names.")
    if response_format not in _PACKED_FORMATS:
        raise InvalidRequest(
            "invalid_param",
            f"response_format is {response_format!r}; it must be {' or '.join(_PACKED_FORMATS)}.",
        )
    endpoint, tell = Endpoint.given(endpoint), teller(progress, "genes")
    wanted = [str(gene) for gene in genes]

    def ask_all(conversation: Conversation) -> tuple[list[PackedEmbeddings], Report]:
        pages: list[PackedEmbeddings] = []
        done, total = 0, 1
        while done < total:
            lines = conversation.ask(_page_request(wanted, done, page, response_format))
            pages.append(packed_of(lines))
            done, told = done + len(pages[-1].names), lines[0].get("genes_total")
            if not isinstance(told, int) or not pages[-1].names:
                raise EndpointError(
                    "foreign_answer",
                    f"the endpoint gave {done} of {told} genes and no more. Check that it serves "
                    "this model.",
                )
            total = told
            tell(done, total)
        return pages, conversation.report()

    pages, report = converse(endpoint, ask_all)
    table = AnnData(np.concatenate([found.embeddings for found in pages]))
    table.obs_names = [name for found in pages for name in found.names]
    table.uns["scgpt"] = {
        **report.origin(endpoint),
        "genes_not_found": pages[0].not_found,
    }
    return table


def _page_request(
    genes: list[str], offset: int, limit: int, response_format: str
) -> dict[str, Any]:
    which = {"genes": genes} if genes else {"need_preprocess": False}
    no_cells = '{"columns": [], "index": [], "data": []}'
    return {
        "dataframe_split": {"columns": [VAR], "data": [[no_cells]]},
        "params": {
            "task": GENE_EMBEDDINGS,
            "response_format": response_format,
            "gene_offset": offset,
            "gene_limit": limit,
            **which,
        },
    }
