"""Architecture and tokenising settings of a checkpoint, read from its ``args.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import CheckpointError
from .checkpoint_files import mistaken

SPECIAL_TOKENS = ("<pad>", "<cls>", "<eoc>")
# Far above what anybody trains. The table of values has a row for each bin, and layers are named
# before the weights show that they are not there.
_MOST_LAYERS, _MOST_BINS = 1_000, 65_536

CLS_TOKEN = "<cls>"  # noqa: S105 - a token of the vocabulary

# The network is built for these: args.json may be silent about them, but not contradict them.
_SUPPORTED: dict[str, object] = {
    "input_style": "binned",
    "input_emb_style": "continuous",
    "cell_emb_style": "cls",
    "norm_scheme": "post",
    "pre_norm": False,
    "include_zero_gene": False,
    "use_batch_labels": False,
    "pad_token": "<pad>",
}

# Signs of fine-tuning in args.json and in the weights. Pretraining saw non-zero genes only; recipes
# of fine-tuning differ: integration and perturbation give the model the zeros, annotation does not.
_FINE_TUNED_ARGS = ("load_model", "do_train", "GEPC", "DSBN", "ecs_thres", "dab_weight")
_FINE_TUNED_TENSORS = ("cls_decoder.", "grad_reverse_discriminator.")


@dataclass(frozen=True)
class ModelConfig:
    """The settings that a checkpoint fixes.

    Parameters
    ----------
    d_model, n_heads, d_hid, n_layers
        Width, attention heads, feed-forward width and number of transformer layers.
    n_layers_cls
        Layers of the classification head. Never used here; callers may name it.
    n_bins
        Expression values become ``1 .. n_bins - 1``.
    pad_value
        The value that goes with ``<cls>``.
    mask_value
        The value of masked genes in training. Never used here; callers may name it.
    max_length
        Tokens per cell, ``<cls>`` included.
    """

    d_model: int
    n_heads: int
    d_hid: int
    n_layers: int
    n_layers_cls: int = 3
    n_bins: int = 51
    pad_value: int = -2
    mask_value: int = -1
    max_length: int = 1200

    def summary(self) -> dict[str, int]:
        """Every field by name, for tags and logs."""
        return asdict(self)


def read_config(path: Path, tensors: Iterable[str] = ()) -> ModelConfig:
    """Read ``args.json``.

    Parameters
    ----------
    path
        The file.
    tensors
        Names of the checkpoint's tensors: they tell a fine-tuned checkpoint as well.

    Raises
    ------
    CheckpointError
        Missing or unreadable file, missing or impossible value, an input style that changes the
        embeddings and is not supported; ``zero_genes_untold``: fine-tuned, and silent about
        whether genes with zero counts were tokens.
    """
    args = read_json_object(path)
    _refuse_untold_zero_genes(args, tensors, path)
    for name, wanted in _SUPPORTED.items():
        if args.get(name, wanted) != wanted:
            raise CheckpointError(
                "unsupported_config",
                f"{path.name} says {name} = {args[name]!r}; this engine computes {wanted!r} only. "
                "Use a checkpoint that was trained that way.",
            )
    config = ModelConfig(
        d_model=_integer(args, path, "embsize"),
        n_heads=_integer(args, path, "nheads", "nhead"),
        d_hid=_integer(args, path, "d_hid"),
        n_layers=_integer(args, path, "nlayers", most=_MOST_LAYERS),
        n_layers_cls=_integer(args, path, "n_layers_cls", default=3),
        n_bins=_integer(args, path, "n_bins", default=51, least=3, most=_MOST_BINS),
        pad_value=_integer(args, path, "pad_value", default=-2, least=-64),
        mask_value=_integer(args, path, "mask_value", default=-1, least=-64),
        max_length=_integer(args, path, "max_seq_len", default=1200, least=2),
    )
    if config.d_model % config.n_heads:
        raise CheckpointError(
            "invalid_config",
            f"{path.name}: embsize {config.d_model} is not a multiple of nheads {config.n_heads}.",
        )
    if config.pad_value > 0:
        raise CheckpointError(
            "invalid_config",
            f"{path.name}: pad_value {config.pad_value} would be taken for a bin; "
            "it must be 0 or negative (scGPT uses -2).",
        )
    return config


def _refuse_untold_zero_genes(
    args: Mapping[str, object], tensors: Iterable[str], path: Path
) -> None:
    if "include_zero_gene" in args:
        return
    signs = [name for name in _FINE_TUNED_ARGS if args.get(name)]
    signs += sorted(name for name in tensors if name.startswith(_FINE_TUNED_TENSORS))[:1]
    if signs:
        raise CheckpointError(
            "zero_genes_untold",
            f"{', '.join(signs)} say that this checkpoint was fine-tuned, but {path.name} does not "
            "say include_zero_gene: whether genes with zero counts were tokens, which changes "
            'every embedding. Look into the settings of that run, and write "include_zero_gene": '
            f"false into {path.name} if it saw non-zero genes only (true is not supported).",
        )


def read_json_object(path: Path) -> dict[str, object]:
    """The JSON object in a checkpoint's file; CheckpointError when there is none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            "missing_file",
            f"{path} does not exist. A checkpoint directory holds best_model.pt, args.json "
            "and vocab.json.",
        ) from None
    except (ValueError, RecursionError) as error:
        why = f"{path} is not readable JSON: {error}.{mistaken(path)}"
        raise CheckpointError("unreadable_file", why) from error
    except OSError as error:
        raise CheckpointError("unreadable_file", f"{path} cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise CheckpointError("unreadable_file", f"{path} must hold a JSON object.")
    return loaded


def _integer(
    args: Mapping[str, object],
    path: Path,
    *names: str,
    default: int | None = None,
    least: int = 1,
    most: int | None = None,
) -> int:
    value = next((args[name] for name in names if args.get(name) is not None), default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise CheckpointError(
            "invalid_config",
            f"{path.name}: {names[0]} is {value!r}; it must be an integer of at least {least}.",
        )
    if most is not None and value > most:
        raise CheckpointError(
            "invalid_config", f"{path.name}: {names[0]} is {value}; {most:,} is the most."
        )
    return value
