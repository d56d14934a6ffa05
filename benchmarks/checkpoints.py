"""A checkpoint of whole-human size with random weights, for speed and parity.

Weights of attention and feed-forward layers are drawn larger than at initialisation, so that cells
differ (mean cosine about 0.990 instead of 0.998) and a largest difference between two embeddings
means something.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

GENES, WIDTH, HEADS, LAYERS = 60_694, 512, 8, 12
SPECIALS = ("<pad>", "<cls>", "<eoc>")
SCALE = 3.0  # of the deviation that initialisation would use


def whole_human(
    folder: Path, symbols: list[str], *, flash_keys: bool = True, layers: int = LAYERS
) -> Path:
    """Write the checkpoint directory, or find it.

    Parameters
    ----------
    folder
        Where.
    symbols
        Gene symbols that the vocabulary must hold; the rest are made up.
    flash_keys
        ``Wqkv`` as in the official files, else ``in_proj_``.
    """
    if (folder / "vocab.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    genes = [*symbols, *(f"GENE{i}" for i in range(GENES - len(symbols)))]
    state = _weights(len(genes) + len(SPECIALS), layers)
    if flash_keys:
        state = {name.replace("in_proj_", "Wqkv."): value for name, value in state.items()}
    torch.save(state, folder / "best_model.pt")
    args = {
        "embsize": WIDTH, "nheads": HEADS, "d_hid": WIDTH, "nlayers": layers, "n_layers_cls": 3,
        "dropout": 0.2, "n_bins": 51, "pad_token": "<pad>", "pad_value": -2, "mask_value": -1,
        "input_style": "binned", "input_emb_style": "continuous", "max_seq_len": 1200,
        "fast_transformer": flash_keys, "n_hvg": None,
    }  # fmt: skip
    (folder / "args.json").write_text(json.dumps(args))
    tokens = {token: i for i, token in enumerate([*genes, *SPECIALS])}
    (folder / "vocab.json").write_text(json.dumps(tokens))
    return folder


def _weights(rows: int, layers: int) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)

    def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
        drawn = rng.standard_normal(shape, dtype=np.float32)
        return torch.from_numpy(drawn * np.float32(scale / np.sqrt(shape[-1])))

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(WIDTH), f"{name}.bias": torch.zeros(WIDTH)}

    d = WIDTH
    state = {"encoder.embedding.weight": normal(rows, d), **norm("encoder.enc_norm")}
    state |= {
        "value_encoder.linear1.weight": normal(d, 1, scale=0.2),
        "value_encoder.linear1.bias": normal(d, scale=0.2),
        "value_encoder.linear2.weight": normal(d, d),
        "value_encoder.linear2.bias": normal(d),
        **norm("value_encoder.norm"),
    }
    for i in range(layers):
        at = f"transformer_encoder.layers.{i}"
        state |= {
            f"{at}.self_attn.in_proj_weight": normal(3 * d, d, scale=SCALE / 2),
            f"{at}.self_attn.in_proj_bias": torch.zeros(3 * d),
            f"{at}.self_attn.out_proj.weight": normal(d, d, scale=SCALE / 2),
            f"{at}.self_attn.out_proj.bias": torch.zeros(d),
            f"{at}.linear1.weight": normal(d, d, scale=SCALE / 2),
            f"{at}.linear1.bias": torch.zeros(d),
            f"{at}.linear2.weight": normal(d, d, scale=SCALE / 2),
            f"{at}.linear2.bias": torch.zeros(d),
            **norm(f"{at}.norm1"),
            **norm(f"{at}.norm2"),
        }
    return state
