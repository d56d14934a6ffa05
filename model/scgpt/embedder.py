"""The core: counts and gene symbols in, embeddings out. Knows no server, registry or cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from ..cells.checks import check_genes
from ..cells.known_genes import UNKNOWN, check_any_known
from ..contract import read_params
from ..errors import EngineError
from ..wire.embeddings import CellEmbeddings, GeneEmbeddings
from . import gpu
from .batching import TokenBudget
from .checkpoint import Checkpoint, read_checkpoint
from .checkpoint_files import CheckpointFiles
from .config import ModelConfig
from .device import TOKEN_BUDGET, device_for, dtype_for, moved
from .linear import processor_family
from .network import Network, build_network
from .params import ScgptOptions, check_options
from .prepare import Prepared, TokenOptions, checked
from .read_ahead import one_behind, read_ahead
from .tokenizer import Tokens
from .vocab import GeneVocab

_log = logging.getLogger(__name__)
_WARM_UP_GENES = 256  # a usual cell


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
        budget = TOKEN_BUDGET[network.device.type] if token_budget is None else token_budget
        self.budget = TokenBudget(budget, network.device)
        # Not before the weights were read: both want the processor.
        hasher = ThreadPoolExecutor(1, thread_name_prefix="checkpoint-digest")
        self._identifying = hasher.submit(_identify, checkpoint, network.dtype)
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
        """Identity of the checkpoint, repeated in every answer; the first may wait for it.

        Raises
        ------
        CheckpointError
            ``not_finite_weights``.
        """
        return self._identifying.result()

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
            ``unknown_device``, ``no_such_device``, ``unknown_precision`` or
            ``invalid_token_budget``.
        """
        place = device_for(device)
        dtype = dtype_for(place, precision)
        checkpoint = read_checkpoint(source)
        network = build_network(checkpoint.weights, checkpoint.config, place, dtype)
        embedder = cls(checkpoint, network, token_budget)
        _log.info(embedder.choices)
        return embedder

    @property
    def choices(self) -> str:
        """Say what was chosen for this machine: device, type, products, tokens a batch, torch."""
        network, tokens = self.network, self.budget.tokens
        matmul = f"matmul {network.matmul} ({processor_family()}), attention {network.attention}"
        return (
            f"engine: {network.device}, {network.dtype}, {matmul}, {tokens} tokens a batch, "
            f"torch {torch.__version__}{gpu.description(network.device)}"
        )

    def embed_cells(
        self,
        cells: sparse.csr_matrix | sparse.csr_array,
        genes: Sequence[str],
        **options: Unpack[TokenOptions],
    ) -> CellEmbeddings:
        """Embed cells. A cell's answer depends on that cell alone.

        A large request is tokenised in blocks, each while the one before is in the network.

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
        return self.embed_prepared(self.prepare(cells, genes, **options))

    def embed_prepared(self, prepared: Prepared) -> CellEmbeddings:
        """Embed cells that ``prepare`` gave."""
        n_cells = prepared.cells.shape[0]
        blocks = self.budget.blocks(prepared.lengths())
        embeddings = np.empty((n_cells, self.config.d_model), np.float32)
        counts = np.empty((3, n_cells), np.int64)
        parts = read_ahead(prepared.tokens, self.embed_tokens, blocks)
        for block, part in zip(blocks, parts, strict=True):
            embeddings[block] = part.embeddings
            counts[:, block] = part.matched, part.unknown, part.truncated
        matched, unknown, truncated = counts
        return CellEmbeddings(embeddings, matched, unknown, truncated, self.digest)

    def warm_up(self) -> None:
        """Do what the first request would wait for: read and lay out the weights, find kernels.

        Raises
        ------
        EngineError
            As ``embed_tokens``: a checkpoint that answers with NaN is known before it is asked.
        """
        genes = [self.vocab.tokens[i] for i in self.vocab.gene_ids[:_WARM_UP_GENES]]
        self.embed_cells(sparse.csr_matrix(np.ones((1, len(genes)), np.float32)), genes)

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

    def prepare(
        self,
        cells: sparse.csr_matrix | sparse.csr_array,
        genes: Sequence[str],
        **options: Unpack[TokenOptions],
    ) -> Prepared:
        """Check cells and look their genes up; parameters and errors as ``embed_cells``."""
        require_known = options.pop("require_known", True)
        asked = read_params(options, ScgptOptions)
        check_options(asked, self.config, len(self.vocab))
        sent = checked(cells, genes, self.vocab)
        if require_known:
            check_any_known(self.vocab, sent.cells.genes, sent.places)
        return Prepared.of([sent], self.vocab, self.config, asked)

    def tokenize(
        self,
        cells: sparse.csr_matrix | sparse.csr_array,
        genes: Sequence[str],
        **options: Unpack[TokenOptions],
    ) -> Tokens:
        """Turn cells into tokens; parameters and errors as ``embed_cells``."""
        return self.prepare(cells, genes, **options).tokens()

    def embed_genes(
        self, genes: Sequence[str] | None = None, *, page: slice = slice(None)
    ) -> GeneEmbeddings:
        """Static vectors of the given genes, or of the whole vocabulary in its order.

        Parameters
        ----------
        page
            Which of the genes that have a vector to answer; all by default. May be empty.

        Raises
        ------
        InvalidRequest
            Duplicate symbols, or none of them in the vocabulary.
        """
        if genes is None:
            genes = [self.vocab.tokens[i] for i in self.vocab.gene_ids]
        check_genes(genes, len(genes))
        ids = self.vocab.lookup(genes)
        check_any_known(self.vocab, genes, ids)
        there = ids != UNKNOWN
        known = list(compress(genes, there.tolist()))
        unknown = list(compress(genes, (~there).tolist()))
        wanted = torch.from_numpy(ids[there][page])
        with torch.inference_mode():
            rows = self.network.gene_embeddings(wanted.to(self.network.device))
        return GeneEmbeddings(known[page], rows.cpu().numpy(), unknown, self.digest, len(known))

    def run_tokens(self, tokens: Tokens) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Through the whole network, batch by batch.

        Yields
        ------
        tuple
            int64 ``[n]``: places in ``tokens``, each once in the end; float32 ``[n, d_model]`` on
            the CPU: the last layer's output for them.
        """
        batches = self.budget.batches(tokens.lengths(), partial(self._token_batch, tokens))
        yield from (found for _, found in batches)

    def _run(self, tokens: Tokens) -> NDArray[np.float32]:
        """Through the network, batch by batch: float32 ``[cells, d_model]``.

        A batch is fetched when the next one is under way, so that a GPU never waits for the next.
        """
        out = np.empty((len(tokens.matched), self.config.d_model), np.float32)
        batches = self.budget.batches(tokens.lengths(), partial(self._batch, tokens))
        for cells, embedded in one_behind(batches):
            out[cells] = embedded.cpu().numpy()
        return out

    @torch.inference_mode()
    def _token_batch(
        self, tokens: Tokens, cells: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Tensor]:
        places, lengths = tokens.places(cells)
        return places, self.network.token_embeddings(*self._at(tokens, places), lengths).cpu()

    @torch.inference_mode()
    def _batch(self, tokens: Tokens, cells: NDArray[np.int64]) -> Tensor:
        places, lengths = tokens.places(cells)
        return self.network.cell_embeddings(*self._at(tokens, places), lengths)

    def _at(self, tokens: Tokens, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Genes and values at these places, on the device: int64 ``[T]``."""
        genes, values = (
            moved(torch.from_numpy(x[places]), self.network.device)
            for x in (tokens.genes, tokens.values)
        )
        return genes, values


def _identify(checkpoint: Checkpoint, dtype: torch.dtype) -> str:
    checkpoint.check_finite(dtype)
    return checkpoint.digest
