"""``args.json``: what a fine-tuned checkpoint must say about genes with zero counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scgpt_databricks.model.errors import CheckpointError
from scgpt_databricks.model.scgpt.config import read_config

# What the official whole-human file says, as far as it is read or could be taken for a sign.
PRETRAINED: dict[str, Any] = {
    "load_model": None,
    "n_hvg": None,
    "pad_token": "<pad>",
    "input_style": "binned",
    "input_emb_style": "continuous",
    "n_bins": 51,
    "max_seq_len": 1200,
    "training_tasks": "both",
    "mask_ratio": [0.25, 0.5, 0.75],
    "trunc_by_sample": True,
    "epochs": 6,
    "no_cls": True,
    "nlayers": 12,
    "nheads": 8,
    "embsize": 512,
    "d_hid": 512,
    "n_layers_cls": 3,
    "mask_value": -1,
    "pad_value": -2,
    "USE_CLS": False,
    "MVC": True,
    "USE_GENERATIVE_TRAINING": True,
}
PRETRAINED_TENSORS = ["encoder.embedding.weight", "flag_encoder.weight", "mvc_decoder.W.weight"]


def write(folder: Path, **change: Any) -> Path:
    path = folder / "args.json"
    path.write_text(json.dumps(PRETRAINED | change))
    return path


def test_a_pretrained_checkpoint_may_be_silent(tmp_path: Path) -> None:
    config = read_config(write(tmp_path), PRETRAINED_TENSORS)
    assert (config.d_model, config.n_heads, config.max_length) == (512, 8, 1200)


@pytest.mark.parametrize(
    ("change", "tensors", "sign"),
    [
        ({"load_model": "../save/scGPT_human"}, [], "load_model"),
        ({"GEPC": True, "ecs_thres": 0.8}, [], "GEPC, ecs_thres"),
        ({"do_train": True, "dab_weight": 0.0}, [], "do_train"),
        ({}, ["cls_decoder.out_layer.weight", "cls_decoder.out_layer.bias"], "out_layer.bias"),
        ({}, ["grad_reverse_discriminator.out_layer.weight"], "grad_reverse_discriminator"),
    ],
)
def test_a_fine_tuned_one_must_say_whether_it_saw_zeros(
    tmp_path: Path, change: dict[str, Any], tensors: list[str], sign: str
) -> None:
    with pytest.raises(CheckpointError, match=f"{sign}.* fine-tuned.*include_zero_gene") as caught:
        read_config(write(tmp_path, **change), tensors)
    assert caught.value.code == "zero_genes_untold"
    assert read_config(write(tmp_path, **change, include_zero_gene=False), tensors).n_bins == 51
    with pytest.raises(CheckpointError, match="include_zero_gene = True") as caught:
        read_config(write(tmp_path, **change, include_zero_gene=True), tensors)
    assert caught.value.code == "unsupported_config"
