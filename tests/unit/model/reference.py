"""An independent scGPT: torch's own transformer under upstream's names, and its checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GENES = [f"G{i}" for i in range(120)]
CONFIG = {
    "embsize": 32,
    "nheads": 4,
    "d_hid": 48,
    "nlayers": 3,
    "n_layers_cls": 3,
    "n_bins": 51,
    "pad_token": "<pad>",
    "pad_value": -2,
    "mask_value": -1,
    "max_seq_len": 64,
    "input_style": "binned",
    "input_emb_style": "continuous",
    "dropout": 0.2,
    "n_hvg": None,
}


class ValueEncoder(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear1, self.linear2, self.norm = nn.Linear(1, d), nn.Linear(d, d), nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.clamp(x.unsqueeze(-1), max=512)
        return self.norm(self.linear2(torch.relu(self.linear1(x))))


class ReferenceModel(nn.Module):
    """Written from the description of scGPT, without the code under test."""

    def __init__(self, vocab_size: int, config: dict) -> None:
        super().__init__()
        d = config["embsize"]
        self.encoder = nn.ModuleDict(
            {"embedding": nn.Embedding(vocab_size, d), "enc_norm": nn.LayerNorm(d)}
        )
        self.value_encoder = ValueEncoder(d)
        layer = nn.TransformerEncoderLayer(
            d, config["nheads"], config["d_hid"], dropout=0.0, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, config["nlayers"], enable_nested_tensor=False
        )
        self.decoder = nn.Linear(d, 1)  # a head that must be ignored

    def forward(self, genes: Tensor, values: Tensor, padding: Tensor) -> Tensor:
        x = self.encoder["enc_norm"](self.encoder["embedding"](genes)) + self.value_encoder(values)
        x = self.transformer_encoder(x, src_key_padding_mask=padding)[:, 0]
        return x / x.norm(dim=-1, keepdim=True)


def make_model(config: dict | None = None, seed: int = 0) -> ReferenceModel:
    """Random weights, scaled up so that different cells get clearly different embeddings."""
    torch.manual_seed(seed)
    model = ReferenceModel(len(GENES) + 3, config or CONFIG).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "layers" in name:
                weight.mul_(2.0)
            if "norm" in name:
                weight.add_(torch.randn_like(weight) * 0.2)
            elif name.endswith("bias"):
                weight.copy_(torch.randn_like(weight) * 0.2)
    return model


def write_checkpoint(
    folder: Path, model: ReferenceModel, *, flash: bool = False, config: dict | None = None
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    if flash:
        state = {name.replace("in_proj_", "Wqkv."): x for name, x in state.items()}
    torch.save(state, folder / "best_model.pt")
    (folder / "args.json").write_text(json.dumps(config or CONFIG))
    (folder / "vocab.json").write_text(json.dumps({gene: i for i, gene in enumerate(GENES)}))
    return folder


def make_counts(n_cells: int, n_genes: int, seed: int = 0, density: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(1, 0.2, (n_cells, n_genes)) + 1
    return (counts * (rng.random(counts.shape) < density)).astype(np.float32)
