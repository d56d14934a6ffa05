"""The params that only scGPT understands, and how they are held against a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..contract import CELL_TASKS, Options, param, params_of
from ..errors import InvalidRequest
from .config import ModelConfig
from .tokenizer import TIES


@dataclass(frozen=True)
class ScgptOptions(Options):
    """The params of a request to scGPT, checked (see ``Options``).

    ``ties``, ``max_length`` and ``seed`` say how cells become tokens. The others are the guide's:
    callers may name the architecture, and must name it as the checkpoint has it.
    """

    ties: Literal["mid", "spread"] = param("string", "mid", allowed=TIES, tasks=CELL_TASKS)
    max_length: int | None = param("long", least=2, tasks=CELL_TASKS)
    seed: int = param("long", 0, tasks=CELL_TASKS)

    binning: int | None = param("long")
    result_binned_key: str = param("string", "X_binned")
    embsize: int | None = param("long")
    nhead: int | None = param("long")
    d_hid: int | None = param("long")
    nlayers: int | None = param("long")
    n_layers_cls: int | None = param("long")
    ntokens: int | None = param("long")
    pad_value: int | None = param("long")
    mask_value: int | None = param("long")
    n_input_bins: int | None = param("long")


# The signature of every version lists them in this order.
PARAMS = params_of(ScgptOptions, ("task", "response_format", "ties", "max_length", "seed"))


def check_options(options: ScgptOptions, config: ModelConfig, vocab_size: int) -> None:
    """Refuse options that a checkpoint cannot follow.

    Raises
    ------
    InvalidRequest
        ``other_architecture``: an architecture param differs from the checkpoint's.
        ``invalid_param``: ``max_length`` exceeds its own.
    """
    actual = {
        "embsize": config.d_model,
        "nhead": config.n_heads,
        "d_hid": config.d_hid,
        "nlayers": config.n_layers,
        "n_layers_cls": config.n_layers_cls,
        "ntokens": vocab_size,
        "pad_value": config.pad_value,
        "mask_value": config.mask_value,
        "n_input_bins": config.n_bins,
        "binning": config.n_bins,
    }
    for name, value in actual.items():
        sent = getattr(options, name)
        if sent is not None and sent != value:
            raise InvalidRequest(
                "other_architecture",
                f"{name} is {sent}, but this checkpoint has {value}; its architecture "
                "cannot be chosen by a request. Leave the param out.",
            )
    if options.max_length is not None and options.max_length > config.max_length:
        raise InvalidRequest(
            "invalid_param",
            f"max_length is {options.max_length}; it must be 2 .. {config.max_length}, the length "
            "that the checkpoint was trained with.",
        )
