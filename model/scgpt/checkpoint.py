"""Read a scGPT checkpoint directory, strictly: every tensor used, every parameter filled.

Upstream keeps the tensors whose name and shape match and stays silent about the rest, which leaves
random weights in place. Here a checkpoint is understood completely or refused, and only tensors are
unpickled. Torch's meta device has no use here: it spares initialising a module that is then
overwritten, and no module is made; the network computes with the tensors mapped from the file.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import CheckpointError
from .checkpoint_files import (
    CONFIG_FILE,
    VOCAB_FILE,
    WEIGHTS_FILE,
    CheckpointFiles,
    files_digest,
    mistaken,
)
from .config import ModelConfig, read_config
from .vocab import GeneVocab, read_vocab

# Heads of training objectives: they read the encoder's output and never change it.
_IGNORED = (
    "decoder.",
    "mvc_decoder.",
    "cls_decoder.",
    "flag_encoder.",
    "grad_reverse_discriminator.",
)
# Attention weights, as flash attention names them and as torch does.
_THEIRS, _OURS = "self_attn.Wqkv.", "self_attn.in_proj_"
# Parts that take the batch label: embeddings without it are not the model's.
_REFUSED = ("dsbn.", "bn.", "batch_encoder.")
_SAVE = " Save the state dict alone: torch.save(model.state_dict(), path)."
_COPY = " Copy it again and compare checksums."


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was understood completely.

    Parameters
    ----------
    config, vocab
        From ``args.json`` and ``vocab.json``.
    weights
        Tensors that the network uses, under their ``in_proj_`` names, float32; memory-mapped.
    ignored
        Names of the tensors of heads that embeddings do not need.
    files
        Where it was read from.
    """

    config: ModelConfig
    vocab: GeneVocab
    weights: Mapping[str, Tensor]
    ignored: tuple[str, ...]
    files: CheckpointFiles

    @property
    def digest(self) -> str:
        """sha256 over the files (see ``files_digest``): the identity of the embedding space.

        Reads all of them: for a checkpoint of 200 MB that takes longer than all else.
        """
        return files_digest(self.files)

    def check_finite(self, dtype: torch.dtype = torch.float32) -> None:
        """Refuse weights that hold NaN or infinity, or would in `dtype`; reads all of them.

        Some would never show: oneDNN's ReLU makes 0 of NaN, and the embedding looks plausible.

        Raises
        ------
        CheckpointError
            ``not_finite_weights``.
        """
        bad = [
            name
            for name, tensor in self.weights.items()
            if not torch.stack(torch.aminmax(tensor)).to(dtype).isfinite().all()
        ]
        if bad:
            raise CheckpointError(
                "not_finite_weights",
                f"{self.files.weights.name} holds NaN or infinity in {_some(bad)}, or what is "
                f"infinite in {dtype}: the training diverged, or the file is damaged. Use another "
                "checkpoint, copy it again, or choose precision float32.",
            )


def read_checkpoint(source: str | Path | CheckpointFiles) -> Checkpoint:
    """Read and check a checkpoint.

    Parameters
    ----------
    source
        A directory with ``best_model.pt``, ``args.json`` and ``vocab.json`` (and perhaps
        ``gene_ids.json`` and ``gene_aliases.json``), or their paths.

    Raises
    ------
    CheckpointError
        A file is missing, truncated or not what it should be; tensors are unknown, missing or of
        the wrong shape; the checkpoint holds parts that would change the embeddings.
    """
    files = source if isinstance(source, CheckpointFiles) else CheckpointFiles.of(source)
    state = read_tensors(files.weights)
    config = read_config(files.config, state)
    vocab = read_vocab(files.vocab, files.ids, files.aliases)
    expected = expected_shapes(config, len(vocab))
    ignored = tuple(sorted(name for name in state if name.startswith(_IGNORED)))
    _check_names(state, expected, files.weights)
    _check_shapes(state, expected, files)
    return Checkpoint(
        config=config,
        vocab=vocab,
        weights={name: state[name].float() for name in expected},
        ignored=ignored,
        files=files,
    )


def expected_shapes(config: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that the network uses."""
    d, hidden = config.d_model, config.d_hid
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.embedding.weight": (vocab_size, d),
        "encoder.enc_norm.weight": (d,),
        "encoder.enc_norm.bias": (d,),
        "value_encoder.linear1.weight": (d, 1),
        "value_encoder.linear1.bias": (d,),
        "value_encoder.linear2.weight": (d, d),
        "value_encoder.linear2.bias": (d,),
        "value_encoder.norm.weight": (d,),
        "value_encoder.norm.bias": (d,),
    }
    per_layer: dict[str, tuple[int, ...]] = {
        "self_attn.in_proj_weight": (3 * d, d),
        "self_attn.in_proj_bias": (3 * d,),
        "self_attn.out_proj.weight": (d, d),
        "self_attn.out_proj.bias": (d,),
        "linear1.weight": (hidden, d),
        "linear1.bias": (hidden,),
        "linear2.weight": (d, hidden),
        "linear2.bias": (d,),
        "norm1.weight": (d,),
        "norm1.bias": (d,),
        "norm2.weight": (d,),
        "norm2.bias": (d,),
    }
    for i in range(config.n_layers):
        shapes |= {f"transformer_encoder.layers.{i}.{k}": v for k, v in per_layer.items()}
    return shapes


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in a ``.pt`` file, under their ``in_proj_`` names; memory-mapped if possible.

    Raises
    ------
    CheckpointError
        There is no such file, it holds something other than a bare state dict, or one tensor
        under both its names (``doubled_tensors``).
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in _load(path).items():
        ours = name.replace(_THEIRS, _OURS)
        if ours in tensors:  # taking either in silence would choose the embeddings
            raise CheckpointError(
                "doubled_tensors",
                f"{path.name} holds {ours} and {ours.replace(_OURS, _THEIRS)}, two names of one "
                "tensor. Save the state dict of one model, with one of the two names.",
            )
        tensors[ours] = tensor
    return tensors


def _load(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(
            "missing_file",
            f"{path} does not exist. A checkpoint directory holds {WEIGHTS_FILE}, {CONFIG_FILE} "
            f"and {VOCAB_FILE}.",
        )
    try:
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        reason = str(error).partition("WeightsUnpickler error: ")[2].partition("\n")[0]
        raise CheckpointError(
            "unsafe_or_damaged_weights",
            f"{path} holds something other than tensors, or is damaged"
            f"{': ' + reason if reason else ''}. Nothing of it was executed."
            f"{mistaken(path) or _SAVE}",
        ) from error
    except Exception as error:  # torch raises whatever a damaged file leads it to
        raise CheckpointError(
            "damaged_weights",
            f"{path} ({path.stat().st_size:,} bytes) cannot be read as a torch file: it is "
            f"truncated or of another format.{mistaken(path) or _COPY}",
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(x, Tensor) for name, x in state.items()
    ):
        raise CheckpointError(
            "not_a_state_dict",
            f"{path} is no bare state dict (name -> tensor). Save model.state_dict() alone.",
        )
    odd = [name for name, x in state.items() if x.layout != torch.strided or x.is_meta]
    if odd:
        raise CheckpointError(
            "unsupported_tensors",
            f"{path} holds tensors that are sparse or without values (meta): {_some(odd)}. Save "
            "dense tensors: x.to_dense(), from a model that was loaded.",
        )
    return state


def _check_names(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path
) -> None:
    refused = sorted(name for name in state if name.startswith(_REFUSED))
    if refused:
        raise CheckpointError(
            "unsupported_tensors",
            f"{path.name} holds {_some(refused)}: it was trained with batch labels, and its "
            "embeddings without them are not the model's. Use a checkpoint without them.",
        )
    first = next(iter(expected))
    prefix = next((name.removesuffix(first) for name in state if name.endswith("." + first)), "")
    if prefix and all(name.startswith(prefix) for name in state):
        raise CheckpointError(
            "prefixed_tensors",
            f"{prefix!r} stands before each tensor of {path.name}, as DataParallel, Lightning or "
            f"torch.compile put it there. Save {{name.removeprefix({prefix!r}): tensor ...}}.",
        )
    unknown = sorted(
        name for name in state if name not in expected and not name.startswith(_IGNORED)
    )
    if unknown:
        raise CheckpointError(
            "unknown_tensors",
            f"{path.name} holds {len(unknown)} tensors that scGPT does not have: {_some(unknown)}. "
            "It is of another model, or args.json (nlayers) belongs to another checkpoint.",
        )
    missing = sorted(name for name in expected if name not in state)
    if missing:
        raise CheckpointError(
            "missing_tensors",
            f"{path.name} lacks {len(missing)} of {len(expected)} tensors: {_some(missing)}. "
            "The file is incomplete, or args.json (nlayers) belongs to another checkpoint.",
        )


def _check_shapes(
    state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], files: CheckpointFiles
) -> None:
    table = "encoder.embedding.weight"
    rows, wanted = state[table].shape[:1], expected[table][:1]
    if tuple(rows) != wanted:
        raise CheckpointError(
            "other_vocabulary",
            f"{files.weights.name} has a gene table of {rows[0] if rows else 0} rows, but "
            f"{files.vocab.name} (with special tokens) has {wanted[0]} tokens. "
            "Use the vocab.json that came with these weights.",
        )
    wrong = [
        f"{name} {tuple(state[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if tuple(state[name].shape) != shape
    ]
    if wrong:
        raise CheckpointError(
            "other_architecture",
            f"{files.weights.name} does not fit {files.config.name}: {_some(wrong)}. "
            "Use the args.json that came with these weights.",
        )
    odd = [name for name in expected if not state[name].is_floating_point()]
    if odd:
        raise CheckpointError(
            "not_floating_point", f"{files.weights.name}: {_some(odd)} are not floating point."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
