"""Unmodified upstream scGPT behind a pipe: a JSON command per line in, a JSON answer per line out.

Runs in the reference environment (``make reference``). Arrays travel as ``.npz`` files.

- ``load checkpoint``: build upstream's model as its ``embed_data`` does; every weight must arrive.
- ``embed cells out``: ``get_batch_cell_embeddings``, untouched: its own draws (repeatable by
  `seed`), subsets, batches.
- ``bins cells out n_bins``: upstream's ``binning`` of each cell with the uniform draws given.
- ``load_weights checkpoint``, ``guide checkpoint cells``: seconds of what others do per request.
- ``encode tokens out``: upstream's network on given tokens, one padded batch, normalised ``<cls>``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
warnings.simplefilter("ignore")
answers = sys.stdout
sys.stdout = sys.stderr  # upstream prints

import numpy as np
import scipy.sparse
import torch
from anndata import AnnData
from scgpt import preprocess
from scgpt.model import TransformerModel
from scgpt.tasks.cell_emb import get_batch_cell_embeddings
from scgpt.tokenizer import GeneVocab
from scgpt.utils import load_pretrained

SPECIALS = ("<pad>", "<cls>", "<eoc>")


class Upstream:
    """The objects that upstream's ``embed_data`` holds while it works."""

    def _build(self, checkpoint: str) -> None:
        folder = Path(checkpoint)
        self.vocab = GeneVocab.from_file(folder / "vocab.json")
        for token in SPECIALS:
            if token not in self.vocab:
                self.vocab.append_token(token)
        self.vocab.set_default_index(self.vocab["<pad>"])
        self.args = json.loads((folder / "args.json").read_text())
        self.model = TransformerModel(
            ntoken=len(self.vocab), d_model=self.args["embsize"], nhead=self.args["nheads"],
            d_hid=self.args["d_hid"], nlayers=self.args["nlayers"],
            nlayers_cls=self.args["n_layers_cls"], n_cls=1, vocab=self.vocab,
            dropout=self.args["dropout"], pad_token=self.args["pad_token"],
            pad_value=self.args["pad_value"], do_mvc=True, do_dab=False, use_batch_labels=False,
            domain_spec_batchnorm=False, explicit_zero_prob=False, use_fast_transformer=False,
            pre_norm=False,
        )  # fmt: skip
        self.model.eval()

    def _weights(self, checkpoint: str) -> dict[str, torch.Tensor]:
        path = Path(checkpoint) / "best_model.pt"
        return torch.load(path, map_location="cpu", weights_only=True)

    def load(self, checkpoint: str) -> dict[str, Any]:
        self._build(checkpoint)
        weights = self._weights(checkpoint)
        load_pretrained(self.model, weights, verbose=False)
        # Upstream drops what does not fit without a word; a reference must not.
        own = self.model.state_dict()
        dropped = [
            name
            for name, tensor in weights.items()
            if not name.startswith(("flag_encoder", "cls_decoder"))
            and not torch.equal(own[name.replace("Wqkv.", "in_proj_")], tensor)
        ]
        if dropped:
            raise RuntimeError(f"upstream did not load {dropped[:5]}")
        return {"tensors": len(weights)}

    def embed(self, cells: str, out: str, seed: int = 0, batch_size: int = 64) -> dict[str, Any]:
        matrix, genes = _cells(cells)
        adata = AnnData(matrix)
        known = self.vocab.get_stoi()
        ids = np.array([known.get(gene, -1) for gene in genes])
        adata = adata[:, ids >= 0].copy()
        configs = {**self.args, "pad_token": "<pad>"}
        torch.manual_seed(seed)  # the loader's workers, who draw, take their seeds from here
        started = time.perf_counter()
        embeddings = get_batch_cell_embeddings(
            adata, model=self.model, vocab=self.vocab, model_configs=configs,
            gene_ids=ids[ids >= 0], batch_size=batch_size,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        np.save(out, embeddings)
        return {"seconds": seconds}

    def load_weights(self, checkpoint: str) -> dict[str, Any]:
        started = time.perf_counter()
        weights = torch.load(Path(checkpoint) / "best_model.pt", weights_only=True)
        renamed = {name.replace("Wqkv.", "in_proj_"): value for name, value in weights.items()}
        self.model.load_state_dict(renamed, strict=False)
        return {"seconds": time.perf_counter() - started}

    def guide(self, checkpoint: str, cells: str) -> dict[str, Any]:
        """Do the published guide's work in each request for gene embeddings.

        It preprocesses the cells, rebuilds the model, hands over the whole state dict once for
        each tensor, encodes the whole vocabulary, and looks for each gene of it in a list of the
        request's genes that is made anew for each.
        """
        matrix, genes = _cells(cells)
        adata = AnnData(matrix)
        adata.var_names = genes
        started = time.perf_counter()
        preprocess.Preprocessor(
            use_key="X", normalize_total=1e4, log1p=True, binning=51, result_binned_key="X_binned"
        )(adata)
        self._build(checkpoint)
        state = self.model.state_dict()
        for name, tensor in self._weights(checkpoint).items():
            if name.replace("Wqkv.", "in_proj_") in state:
                state[name.replace("Wqkv.", "in_proj_")] = tensor
                self.model.load_state_dict(state)
        with torch.no_grad():
            table = self.model.encoder(torch.arange(len(self.vocab))).numpy()
        {g: table[i] for g, i in self.vocab.get_stoi().items() if g in adata.var.index.tolist()}
        return {"seconds": time.perf_counter() - started}

    def bins(self, cells: str, out: str, n_bins: int) -> dict[str, Any]:
        matrix, _ = _cells(cells)
        draws = np.load(cells)["draws"]
        binned = np.zeros(len(matrix.data), np.int64)
        original = np.random.rand
        try:
            for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
                np.random.rand = lambda n, a=start: draws[a : a + n]
                binned[start:stop] = preprocess.binning(matrix.data[start:stop], n_bins)
        finally:
            np.random.rand = original
        np.save(out, binned)
        return {}

    def encode(self, tokens: str, out: str) -> dict[str, Any]:
        arrays = np.load(tokens)
        genes, values = torch.from_numpy(arrays["genes"]), torch.from_numpy(arrays["values"])
        padding = genes.eq(self.vocab["<pad>"])
        started = time.perf_counter()
        with torch.no_grad():
            output = self.model._encode(genes, values.float(), src_key_padding_mask=padding)
        cls = output[:, 0].numpy()
        np.save(out, cls / np.linalg.norm(cls, axis=1, keepdims=True))
        return {"seconds": time.perf_counter() - started}


def _cells(path: str) -> tuple[scipy.sparse.csr_matrix, list[str]]:
    arrays = np.load(path)
    shape = (len(arrays["indptr"]) - 1, len(arrays["names"]))
    matrix = scipy.sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape)
    return matrix, [str(name) for name in arrays["names"]]


def main() -> None:
    upstream = Upstream()
    for line in sys.stdin:
        command = json.loads(line)
        operation = command.pop("do")
        try:
            answer = getattr(upstream, operation)(**command)
        except Exception as error:  # the other side must hear of everything
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    main()
