"""The core: counts and gene symbols in, embeddings out. Knows no server, registry or cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from model.checkpoint import Checkpoint, CheckpointFiles, read_checkpoint
from model.checks import check_cells, check_genes
from model.config import ModelConfig
from model.device import TOKEN_BUDGET, device_for, dtype_for
from model.embeddings import CellEmbeddings, GeneEmbeddings
from model.errors import EngineError, InvalidRequest
from model.linear import processor_family
from model.network import Network, build_network
from model.tokenizer import TIES, Ties, Tokens, merge_columns, tokenize
from model.vocab import UNKNOWN, GeneVocab

_log = logging.getLogger(__name__)
T = TypeVar("T")


class TokenOptions(TypedDict, total=False):
    """How cells become tokens."""

    ties: Ties
    """Bin of tied values: the middle of their range (``mid``, the default) or spread by a hash."""
    max_length: int | None
    """Tokens per cell, ``<cls>`` included; by default the checkpoint's."""
    seed: int
    """Chooses the genes that stay where a cell has more than ``max_length - 1``; 0 by default."""
    require_known: bool
    """Refuse cells when no column at all is known (the default); else their rows are flagged."""


class Embedder:
    """A checkpoint that answers. One instance serves any number of threads.

    Parameters
    ----------
    checkpoint, network
        What ``read_checkpoint`` and ``build_network`` give.
    token_budget
        Tokens per batch; bounds the memory of a batch.
    """

    def __init__(
        self, checkpoint: Checkpoint, network: Network, token_budget: int | None = None
    ) -> None:
        self.checkpoint, self.network = checkpoint, network
        self.token_budget = token_budget or TOKEN_BUDGET[network.device.type]
        # Not before the weights were read: both want the processor.
        hasher = ThreadPoolExecutor(1, thread_name_prefix="checkpoint-digest")
        self._hashing = hasher.submit(lambda: checkpoint.digest)
        hasher.shutdown(wait=False)

    @property
    def config(self) -> ModelConfig:
        """Architecture, from ``args.json``."""
        return self.checkpoint.config

    @property
    def vocab(self) -> GeneVocab:
        """The gene vocabulary."""
        return self.checkpoint.vocab

    @property
    def digest(self) -> str:
        """Identity of the checkpoint, repeated in every answer; the first may wait for it."""
        return self._hashing.result()

    @classmethod
    def load(
        cls,
        source: str | Path | CheckpointFiles,
        *,
        device: str | None = None,
        precision: str | None = None,
        token_budget: int | None = None,
    ) -> Embedder:
        """Read a checkpoint directory (or its three files) and make it ready.

        Parameters
        ----------
        source
            Directory with ``best_model.pt``, ``args.json``, ``vocab.json``; or the three paths.
        device
            ``cpu``, ``cuda`` or ``cuda:N``; by default CUDA where there is one.
        precision
            ``float32``, ``bfloat16`` or ``float16``; by default float32 on the CPU, and on CUDA
            bfloat16 from compute capability 8.0, float16 below.
        token_budget
            Tokens per batch; by default 2,048 on the CPU and 65,536 on CUDA.

        Raises
        ------
        CheckpointError
            The checkpoint is incomplete, damaged or not a supported scGPT one.
        EngineError
            ``unknown_device`` or ``unknown_precision``.
        """
        place = device_for(device)
        dtype = dtype_for(place, precision)
        checkpoint = read_checkpoint(source)
        network = build_network(checkpoint.weights, checkpoint.config, place, dtype)
        embedder = cls(checkpoint, network, token_budget)
        _log.info(
            "engine: %s, %s, matmul %s (%s), %s tokens a batch",
            *(place, network.dtype, network.matmul, processor_family(), embedder.token_budget),
        )
        return embedder

    def embed_cells(
        self,
        cells: sparse.csr_matrix | sparse.csr_array,
        genes: Sequence[str],
        **options: Unpack[TokenOptions],
    ) -> CellEmbeddings:
        """Embed cells. A cell's answer depends on that cell alone.

        Parameters
        ----------
        cells
            ``[cells, genes]`` raw, normalised or log1p counts (all give the same tokens).
        genes
            The symbol of each column.
        options
            See ``TokenOptions``.

        Raises
        ------
        InvalidRequest
            No cell; columns and symbols differ in number; duplicate symbols; NaN, infinite or
            negative values; no known gene; an impossible option. A cell without any non-zero
            known gene is no error: its row is flagged.
        """
        return self.embed_tokens(self.tokenize(cells, genes, **options))

    def embed_tokens(self, tokens: Tokens) -> CellEmbeddings:
        """Embed what ``tokenize`` gave; two threads can so read and compute at the same time.

        Raises
        ------
        EngineError
            The network gave NaN or infinity, or one cell does not fit the device's memory.
        """
        embeddings = self._run(tokens)
        embeddings[tokens.matched == 0] = 0
        if not np.isfinite(embeddings).all():
            raise EngineError(
                "not_finite_embedding",
                "the network gave NaN or infinity; its weights hold some, or the precision is "
                "too low for them.",
            )
        return CellEmbeddings(
            embeddings, tokens.matched, tokens.unknown, tokens.truncated, self.digest
        )

    def tokenize(
        self,
        cells: sparse.csr_matrix | sparse.csr_array,
        genes: Sequence[str],
        **options: Unpack[TokenOptions],
    ) -> Tokens:
        """Check the input and turn it into tokens; parameters and errors as ``embed_cells``."""
        ties, length = options.get("ties", "mid"), options.get("max_length")
        length = self.config.max_length if length is None else length
        if ties not in TIES:
            raise InvalidRequest("invalid_param", f"ties is {ties!r}; it must be mid or spread.")
        if not 2 <= length <= self.config.max_length:
            raise InvalidRequest(
                "invalid_param",
                f"max_length is {length}; it must be 2 .. {self.config.max_length}, the length "
                "that the checkpoint was trained with.",
            )
        check_cells(cells, genes)
        require_known = options.get("require_known", True)
        ids = self._known_ids(genes) if require_known else self.vocab.lookup(genes)
        if not cells.has_canonical_format:
            cells = cells.copy()
            cells.sum_duplicates()
        cells, ids = merge_columns(cells, ids)
        return tokenize(
            cells,
            ids,
            cls_id=self.vocab.cls_id,
            n_bins=self.config.n_bins,
            pad_value=self.config.pad_value,
            max_length=length,
            ties=ties,
            seed=options.get("seed", 0),
        )

    def embed_genes(self, genes: Sequence[str] | None = None) -> GeneEmbeddings:
        """Static vectors of the given genes, or of the whole vocabulary in its order.

        Raises
        ------
        InvalidRequest
            Duplicate symbols, or none of them in the vocabulary.
        """
        if genes is None:
            genes = [self.vocab.tokens[i] for i in self.vocab.gene_ids]
        check_genes(genes, len(genes))
        ids = self._known_ids(genes)
        there = ids != UNKNOWN
        known = list(compress(genes, there))
        unknown = list(compress(genes, ~there))
        ids = ids[there]
        with torch.inference_mode():
            rows = self.network.gene_embeddings(torch.from_numpy(ids).to(self.network.device))
        return GeneEmbeddings(known, rows.cpu().numpy(), unknown, self.digest)

    def _known_ids(self, genes: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the gene table, -1 for unknown genes; refused when all are unknown."""
        ids = self.vocab.lookup(genes)
        if not (ids != UNKNOWN).any():
            raise InvalidRequest(
                "no_known_gene",
                f"none of the {len(genes)} genes is in the vocabulary of {len(self.vocab)} tokens "
                f"(first: {', '.join(genes[:3])}). Send gene symbols as in vocab.json, one per "
                "column (cells x genes).",
            )
        return ids

    def run_tokens(self, tokens: Tokens) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Through the whole network, batch by batch.

        Yields
        ------
        tuple
            int64 ``[n]``: places in ``tokens``, each once in the end; float32 ``[n, d_model]`` on
            the CPU: the last layer's output for them.
        """
        yield from (found for _, found in self._batched(tokens, self._token_batch))

    def _run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Through the network, batch by batch: float32 ``[cells, d_model]``."""
        out = np.empty((len(tokens.matched), self.config.d_model), np.float32)
        for cells, embedded in self._batched(tokens, self._batch):
            out[cells] = embedded
        return out

    def _batched(
        self, tokens: Tokens, compute: Callable[[Tokens, NDArray[np.int64]], T]
    ) -> Iterator[tuple[NDArray[np.int64], T]]:
        """Some cells and what `compute` makes of them, until all had their turn.

        Cells of like length go together, the longest first. Where a batch does not fit the memory,
        the budget is halved, for good.
        """
        lengths = tokens.lengths()
        order = np.argsort(-lengths, kind="stable")
        while len(order):
            longest, budget = int(lengths[order[0]]), self.token_budget
            size = max(1, budget // longest)
            try:
                found = compute(tokens, order[:size])
            except torch.OutOfMemoryError:
                found = None  # the error keeps its frames' tensors alive: let go of it first
            if found is None:
                self._make_room(longest, budget, alone=len(order[:size]) == 1)
            else:
                yield order[:size], found
                order = order[size:]

    @torch.inference_mode()
    def _token_batch(
        self, tokens: Tokens, cells: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Tensor]:
        places, lengths = tokens.places(cells)
        return places, self.network.token_embeddings(*self._at(tokens, places), lengths).cpu()

    @torch.inference_mode()
    def _batch(self, tokens: Tokens, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        places, lengths = tokens.places(cells)
        embedded: NDArray[np.float32] = (
            self.network.cell_embeddings(*self._at(tokens, places), lengths).cpu().numpy()
        )
        return embedded

    def _at(self, tokens: Tokens, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Genes and values at these places, on the device: int64 ``[T]``."""
        device = self.network.device
        genes, values = (
            torch.from_numpy(x[places]).to(device) for x in (tokens.genes, tokens.values)
        )
        return genes, values

    def _make_room(self, longest: int, tried: int, *, alone: bool) -> None:
        """Give memory back, and halve the budget that was too large.

        Requests that fail together halve it once: only where it still is what they tried.
        """
        torch.cuda.empty_cache()
        if alone:
            raise EngineError(
                "out_of_memory",
                f"one cell of {longest} tokens does not fit the memory of {self.network.device}; "
                "use a larger device, or send a smaller max_length.",
            )
        if self.token_budget == tried:
            self.token_budget = max(tried // 2, longest)
