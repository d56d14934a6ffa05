"""Copies of a checkpoint, and of a version's files, that are wrong or only look different."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from torch import Tensor

from scgpt_databricks.model.build import ENGINE_PREFIX
from scgpt_databricks.model.scgpt.demo import pbmc_cells


def shift_vocabulary(checkpoint: Path) -> None:
    """Give each gene the row of the next one."""
    vocab = json.loads((checkpoint / "vocab.json").read_text())
    genes = pbmc_cells().n_vars
    moved = {token: (i + 1) % genes if i < genes else i for token, i in vocab.items()}
    (checkpoint / "vocab.json").write_text(json.dumps(moved))


def swap_queries_and_keys(checkpoint: Path) -> None:
    """Take each layer's query rows for its key rows."""
    state = torch.load(checkpoint / "best_model.pt", weights_only=True)
    for name in [name for name in state if "Wqkv" in name]:
        query, key, value = state[name].chunk(3)
        state[name] = torch.cat([key, query, value])
    torch.save(state, checkpoint / "best_model.pt")


def reverse_dimensions(checkpoint: Path) -> None:
    """Number the dimensions of the embedding backwards: other weights, the same neighbours."""
    state = torch.load(checkpoint / "best_model.pt", weights_only=True)
    backwards = {name: _backwards(name, tensor) for name, tensor in state.items()}
    torch.save(backwards, checkpoint / "best_model.pt")


def _backwards(name: str, tensor: Tensor) -> Tensor:
    reads = ("embedding.weight", "Wqkv.weight", ".linear1.weight")
    if name.startswith(("value_encoder.linear1", "decoder", "mvc_decoder")):
        return tensor
    if name.endswith(reads):
        return tensor.flip(1)
    if name.endswith(("Wqkv.bias", ".linear1.bias")):
        return tensor
    return tensor.flip(0)


def bins_off_by_one(files: Path, copy: Path, step: int = -1) -> Path:
    """Copy a version's files, with code of its own whose bins are one too low or too high."""
    shutil.copytree(files, copy)
    (package,) = (copy / "code").glob(f"{ENGINE_PREFIX}*")
    name = f"{ENGINE_PREFIX}{'low' if step < 0 else 'high'}"
    tokenizer = package / "scgpt" / "tokenizer.py"
    right = "bins = np.ceil(draw * (low - high) + high).astype(np.int64)"
    text = tokenizer.read_text()
    assert right in text, "the code to break is somewhere else now"
    wrong = f"{right}\n    bins = (bins + {step}).clip(0, n_bins - 1)"
    tokenizer.write_text(text.replace(right, wrong))
    for entry in copy.glob("*.py"):
        entry.write_text(entry.read_text().replace(package.name, name))
    package.rename(package.with_name(name))
    return copy
