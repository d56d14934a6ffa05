"""A small scGPT checkpoint of real cells, for the quickstart and the tests, and its recipe.

It has the official directory form (``best_model.pt`` with flash-attention keys, ``args.json``,
``vocab.json``) and 600 kB, and comes with this package. Trained for a minute on 500 of the 700 PBMC
cells that scanpy ships, it shows that the whole path works; it says nothing about scGPT's quality.

The training network below is plain :class:`torch.nn.TransformerEncoder`: it shares no code with the
inference network.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .config import SPECIAL_TOKENS
from .tokenizer import tokenize

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy import sparse

PAD_VALUE, MASK_VALUE, N_BINS, MAX_LENGTH = -2, -1, 51, 1200

SHIPPED = Path(__file__).with_name("demo_checkpoint")
"""The checkpoint that ``train`` made by ``Recipe()``, as it comes with this package (ADR 21)."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """Everything that the weights depend on, beside the cells.

    ``version`` counts changes of the training code itself, so that a cached checkpoint of an older
    one is not taken for today's. The other defaults come from trying: short random subsets of a
    cell's genes buy many steps, and predicting the whole panel from ``<cls>`` (zeros included) is
    what makes cell types separate.
    """

    version: int = 1
    seed: int = 0
    steps: int = 1200
    batch_size: int = 64
    genes_per_cell: int = 64
    mask_ratio: float = 0.4
    learning_rate: float = 4e-3
    training_cells: int = 500
    embsize: int = 64
    nheads: int = 4
    d_hid: int = 64
    nlayers: int = 3
    threads: int = 2


def pbmc_cells() -> AnnData:
    """The 700 PBMC cells that scanpy ships, with all their measured genes.

    Returns
    -------
    AnnData
        700 cells x 765 genes, log-normalised values from ``.raw`` (``.X`` of the shipped file holds
        z-scores, which scGPT cannot read), cell types in ``obs["bulk_labels"]``.
    """
    import scanpy

    measured: AnnData = scanpy.datasets.pbmc68k_reduced().raw.to_adata()
    _matrix(measured).sort_indices()
    return measured


def _matrix(cells: AnnData) -> sparse.csr_matrix:
    return cast("sparse.csr_matrix", cells.X)


class _TrainingModel(nn.Module):
    """scGPT for training, with upstream's parameter names."""

    def __init__(self, vocab_size: int, recipe: Recipe) -> None:
        super().__init__()
        d = recipe.embsize
        embedding = nn.Embedding(vocab_size, d)
        nn.init.uniform_(embedding.weight, -0.1, 0.1)
        self.encoder = nn.ModuleDict({"embedding": embedding, "enc_norm": nn.LayerNorm(d)})
        self.value_encoder = nn.ModuleDict(
            {"linear1": nn.Linear(1, d), "linear2": nn.Linear(d, d), "norm": nn.LayerNorm(d)}
        )
        layer = nn.TransformerEncoderLayer(
            d, recipe.nheads, recipe.d_hid, dropout=0.0, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, recipe.nlayers, enable_nested_tensor=False
        )
        self.decoder = nn.ModuleDict(
            {
                "fc": nn.Sequential(
                    nn.Linear(d, d),
                    nn.LeakyReLU(),
                    nn.Linear(d, d),
                    nn.LeakyReLU(),
                    nn.Linear(d, 1),
                )
            }
        )
        self.mvc_decoder = nn.ModuleDict(
            {"gene2query": nn.Linear(d, d), "W": nn.Linear(d, d, bias=False)}
        )

    def genes(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self.encoder["enc_norm"](self.encoder["embedding"](ids))
        return embedded

    def forward(self, ids: Tensor, values: Tensor, panel: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted values of the input tokens [cells, tokens] and of the panel [cells, genes]."""
        value = self.value_encoder
        hidden = value["linear2"](torch.relu(value["linear1"](values.unsqueeze(-1))))
        output = self.transformer_encoder(self.genes(ids) + value["norm"](hidden))
        masked = self.decoder["fc"](output).squeeze(-1)
        queries = self.mvc_decoder["W"](
            torch.sigmoid(self.mvc_decoder["gene2query"](self.genes(panel)))
        )
        return masked, output[:, 0] @ queries.T


def copy_shipped(folder: Path) -> Path:
    """Copy the shipped checkpoint; one that the same recipe made there is kept."""
    if not _is_made_by(folder, Recipe()):
        with _appearing(folder) as unfinished:
            shutil.copytree(SHIPPED, unfinished, dirs_exist_ok=True)
    return folder


def is_shipped(folder: Path) -> bool:
    """Return True where a checkpoint holds the shipped weights."""
    return filecmp.cmp(folder / "best_model.pt", SHIPPED / "best_model.pt", shallow=False)


def train(folder: Path, recipe: Recipe | None = None, progress: Progress | None = None) -> Path:
    """Train the demo checkpoint, or find it trained already.

    Parameters
    ----------
    folder
        Where the checkpoint directory is to be. It appears only when it is complete.
    recipe
        Training settings; equal recipes give bit-identical weights on one machine.
    progress
        Called with (steps done, steps in all).

    Returns
    -------
    Path
        `folder`.
    """
    recipe = recipe or Recipe()
    if _is_made_by(folder, recipe):
        return folder
    cells = pbmc_cells()
    genes = [str(name) for name in cells.var_names]
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            weights = optimise(bins_of(cells), recipe, progress)
    finally:
        torch.set_num_threads(threads)
    return write_checkpoint(folder, genes, weights, recipe)


def random_checkpoint(folder: Path, recipe: Recipe | None = None) -> Path:
    """A checkpoint of the same size that was never trained: what the demo is compared with."""
    recipe = recipe or Recipe(steps=0)
    if _is_made_by(folder, recipe):
        return folder
    genes = [str(name) for name in pbmc_cells().var_names]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        weights = _TrainingModel(len(genes) + len(SPECIAL_TOKENS), recipe).state_dict()
    return write_checkpoint(folder, genes, weights, recipe)


def bins_of(cells: AnnData, n_bins: int = N_BINS) -> Tensor:
    """Bin of every gene in every cell, 0 where it is not expressed: float [cells, genes]."""
    tokens = tokenize(
        _matrix(cells),
        np.arange(cells.n_vars),
        cls_id=cells.n_vars,
        n_bins=n_bins,
        pad_value=PAD_VALUE,
        max_length=MAX_LENGTH,
    )
    binned = np.zeros((cells.n_obs, cells.n_vars + 1), np.float32)
    binned[np.repeat(np.arange(cells.n_obs), tokens.lengths()), tokens.genes] = tokens.values
    return torch.from_numpy(binned[:, :-1])


def optimise(binned: Tensor, recipe: Recipe, progress: Progress | None) -> dict[str, Tensor]:
    """Masked-value and whole-panel objective over `binned` [cells, genes], bins 0 (not expressed)
    to 50.
    """
    torch.manual_seed(recipe.seed)
    n_genes = binned.shape[1]
    model = _TrainingModel(n_genes + len(SPECIAL_TOKENS), recipe)
    cls_id, panel = n_genes + SPECIAL_TOKENS.index("<cls>"), torch.arange(n_genes)
    training = binned[torch.randperm(len(binned))[: recipe.training_cells]]
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    model.train()
    for step in range(recipe.steps):
        target = training[torch.randint(len(training), (recipe.batch_size,))]
        ids = (
            torch.where(target > 0, torch.rand_like(target), -1.0)
            .topk(recipe.genes_per_cell)
            .indices
        )
        true = target.gather(1, ids)
        hidden = torch.rand_like(true) < recipe.mask_ratio
        values = true.masked_fill(hidden, MASK_VALUE)
        tokens = torch.cat([torch.full((len(ids), 1), cls_id), ids], dim=1)
        values = torch.cat([torch.full((len(ids), 1), float(PAD_VALUE)), values], dim=1)
        masked, whole = model(tokens, values, panel)
        loss = (masked[:, 1:][hidden] - true[hidden]).square().mean() + (
            whole - target
        ).square().mean()
        optimiser.zero_grad(set_to_none=True)
        (loss / 100).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if progress and (step + 1) % 20 == 0:
            progress(step + 1, recipe.steps)
    return model.state_dict()


def write_checkpoint(
    folder: Path, genes: list[str], weights: dict[str, Tensor], recipe: Recipe
) -> Path:
    """The official directory form, renamed into place when complete."""
    with _appearing(folder) as unfinished:
        state = {name.replace("in_proj_", "Wqkv."): tensor for name, tensor in weights.items()}
        torch.save(state, unfinished / "best_model.pt")
        vocab = {token: index for index, token in enumerate([*genes, *SPECIAL_TOKENS])}
        (unfinished / "vocab.json").write_text(json.dumps(vocab))
        (unfinished / "args.json").write_text(json.dumps(_args(recipe), indent=2, sort_keys=True))
    return folder


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of ``folder`` when it is complete."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _args(recipe: Recipe) -> dict[str, Any]:
    return {
        **{key: getattr(recipe, key) for key in ("embsize", "nheads", "d_hid", "nlayers")},
        "n_layers_cls": 3,
        "dropout": 0.0,
        "n_bins": N_BINS,
        "pad_token": SPECIAL_TOKENS[0],
        "pad_value": PAD_VALUE,
        "mask_value": MASK_VALUE,
        "input_style": "binned",
        "input_emb_style": "continuous",
        "max_seq_len": MAX_LENGTH,
        "n_hvg": None,
        "fast_transformer": True,
        "MVC": True,
        "no_cls": True,
        "demo_recipe": asdict(recipe),
    }


def _is_made_by(folder: Path, recipe: Recipe) -> bool:
    """Find out if the folder is of this recipe; refuse one that no recipe made (``taken``)."""
    try:
        made_by = json.loads((folder / "args.json").read_text())["demo_recipe"]
    except (OSError, ValueError, LookupError, TypeError):
        made_by = None
    if made_by is None and folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise CheckpointError(
            "taken",
            f"{folder} exists and is no demo checkpoint; name a folder that is new or empty.",
        )
    return bool(made_by == asdict(recipe))
