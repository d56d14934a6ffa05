"""The wire contract: columns, params, tasks, limits. One table each, used by every way in.

The MLflow signature, the HTTP API and the client are all derived from what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from .errors import InvalidRequest

# --- input columns: one row is one AnnData (guide form) or one chunk of cells (packed form) ---
MATRIX, OBS, VAR = "adata_sparsematrix", "adata_obs", "adata_var"
PACKED = "packed"
GUIDE_COLUMNS = (MATRIX, OBS, VAR)

# --- tasks ---
CELL_EMBEDDINGS, GENE_EMBEDDINGS = "cell_embeddings", "gene_embeddings"
GENES_IN_CONTEXT = "contextual_gene_embeddings"
TASKS = (CELL_EMBEDDINGS, GENE_EMBEDDINGS, GENES_IN_CONTEXT)

# --- limits, of one row of input unless said otherwise, whatever its form ---
MAX_PACKED_CHARS = 16 * 1024 * 1024  # the platform's limit of a request
MAX_BODY_BYTES = 256 * 1024 * 1024  # of a packed answer, decompressed
# A packed string may hold a thousand times its own size. What comes from callers is bounded more
# tightly than answers: cells take up to five times the body while they are decoded.
MAX_CELLS_BYTES = 64 * 1024 * 1024  # bodies of all packed rows of a request, together
MAX_HEADER_BYTES = 8 * 1024 * 1024  # names of 200,000 genes and 20,000 cells, and labels
MAX_DIM = 65_536  # numbers of a vector
MAX_CELLS = 20_000
MAX_GENES = 200_000
MAX_JSON_GENES = 5_000  # gene vectors in one JSON answer; packed answers may hold the whole table

ResponseFormat = Literal["json", "float16", "float32"]
RESPONSE_FORMATS: tuple[str, ...] = get_args(ResponseFormat)
HVG_FLAVORS = ("cell_ranger", "seurat_v3", "seurat")

# Callers may name these, as the guide does; they must equal what the checkpoint says.
ARCHITECTURE_PARAMS = (
    "embsize",
    "nhead",
    "d_hid",
    "nlayers",
    "n_layers_cls",
    "ntokens",
    "pad_value",
    "mask_value",
    "n_input_bins",
    "binning",
)


@dataclass(frozen=True)
class Param:
    """One param of a request.

    Parameters
    ----------
    name
        As callers write it.
    dtype
        MLflow's name of the type: ``string``, ``long``, ``double`` or ``boolean``.
    default
        Value when the caller sends nothing; None: decided from the rest of the request.
    is_list
        A list of ``dtype``.
    allowed
        The permitted values, where they are few.
    """

    name: str
    dtype: str
    default: Any
    is_list: bool = False
    allowed: tuple[str, ...] = ()


def _param(dtype: str, default: Any = None, **extra: Any) -> Any:
    return field(default=default, metadata={"dtype": dtype, **extra})


@dataclass(frozen=True)
class Options:
    """The params of a request, checked. Each field is one param; ``PARAMS`` is derived from them.

    What a param means is told in ``docs/wire-format.md``. The upper part is ours, the lower part
    has the names of the published guide. None means "not sent": decided from the rest.
    """

    task: str | None = _param("string", allowed=TASKS)
    response_format: str = _param("string", "json", allowed=RESPONSE_FORMATS)
    ties: str = _param("string", "mid", allowed=("mid", "spread"))
    max_length: int | None = _param("long")
    seed: int = _param("long", 0)
    genes: tuple[str, ...] = _param("string", (), is_list=True)
    group_by: str = _param("string", "")
    gene_offset: int = _param("long", 0)
    gene_limit: int = _param("long", 0)
    min_counts_per_cell: float = _param("double", 0.0)
    min_known_fraction: float = _param("double", 0.5)
    allow_imputed: bool = _param("boolean", False)

    need_preprocess: bool = _param("boolean", True)
    input_data_path: str = _param("string", "")
    data_is_raw: bool = _param("boolean", False)
    use_key: str = _param("string", "X", allowed=("X",))
    filter_gene_by_counts: int = _param("long", 0)
    filter_cell_by_counts: bool = _param("boolean", False)
    normalize_total: float = _param("double", 1e4)
    result_normed_key: str = _param("string", "X_normed")
    log1p: bool | None = _param("boolean")
    result_log1p_key: str = _param("string", "X_log1p")
    subset_hvg: int = _param("long", 0)
    hvg_flavor: str | None = _param("string", allowed=HVG_FLAVORS)
    binning: int | None = _param("long")
    result_binned_key: str = _param("string", "X_binned")
    embsize: int | None = _param("long")
    nhead: int | None = _param("long")
    d_hid: int | None = _param("long")
    nlayers: int | None = _param("long")
    n_layers_cls: int | None = _param("long")
    ntokens: int | None = _param("long")
    pad_value: int | None = _param("long")
    mask_value: int | None = _param("long")
    n_input_bins: int | None = _param("long")

    def flavor(self) -> str:
        """How highly variable genes are found: as sent, else by ``data_is_raw``."""
        return self.hvg_flavor or ("seurat_v3" if self.data_is_raw else "cell_ranger")

    def changed(self) -> frozenset[str]:
        """The params that differ from their defaults; who sent a default cannot be told."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) != f.default)

    def architecture(self) -> dict[str, int]:
        """The architecture params that the caller sent."""
        sent = {name: getattr(self, name) for name in ARCHITECTURE_PARAMS}
        return {name: value for name, value in sent.items() if value is not None}


PARAMS: tuple[Param, ...] = tuple(
    Param(f.name, default=f.default, **f.metadata) for f in fields(Options)
)
PARAM_NAMES = frozenset(param.name for param in PARAMS)

_NEVER_NEGATIVE = (
    "gene_offset",
    "gene_limit",
    "min_counts_per_cell",
    "min_known_fraction",
    "filter_gene_by_counts",
    "normalize_total",
    "subset_hvg",
)


def read_params(params: Mapping[str, Any] | None) -> Options:
    """Check params and fill in the defaults. A param that is None counts as not sent.

    Raises
    ------
    InvalidRequest
        ``unknown_param`` or ``invalid_param``, naming the param, the value and what is allowed.
    """
    sent = {name: value for name, value in (params or {}).items() if value is not None}
    check_param_names(sent)
    options = Options(**{p.name: _checked(p, sent[p.name]) for p in PARAMS if p.name in sent})
    for name in _NEVER_NEGATIVE:
        if getattr(options, name) < 0:
            raise InvalidRequest(
                "invalid_param", f"{name} is {getattr(options, name)}; it must be 0 or more."
            )
    if options.min_known_fraction > 1:
        raise InvalidRequest(
            "invalid_param",
            f"min_known_fraction is {options.min_known_fraction:g}; it must be 0 .. 1.",
        )
    if options.max_length is not None and options.max_length < 2:
        raise InvalidRequest(
            "invalid_param",
            f"max_length is {options.max_length}; it must be 2 or more: <cls> and a gene.",
        )
    return options


def params_to_send(
    asked: Mapping[str, Any] | None, **defaults: Any
) -> tuple[Options, dict[str, Any]]:
    """What a caller asks for over a client's own defaults: checked, and as JSON has it.

    Raises
    ------
    InvalidRequest
        As ``read_params``.
    """
    given = {name: value for name, value in (asked or {}).items() if value is not None}
    names = {**defaults, **given}
    options = read_params(names)
    return options, {name: getattr(options, name) for name in names}


# What only some tasks have a use for; elsewhere it would be ignored in silence.
_CELL_TASKS = (CELL_EMBEDDINGS, GENES_IN_CONTEXT)
_TASKS_OF = {
    "ties": _CELL_TASKS,
    "max_length": _CELL_TASKS,
    "seed": _CELL_TASKS,
    "allow_imputed": _CELL_TASKS,
    "genes": (GENE_EMBEDDINGS, GENES_IN_CONTEXT),
    "gene_offset": (GENE_EMBEDDINGS,),
    "gene_limit": (GENE_EMBEDDINGS,),
    "group_by": (GENES_IN_CONTEXT,),
}


def check_params_of(task: str, options: Options) -> None:
    """Refuse params that the task has no use for (``invalid_param``)."""
    for name, tasks in _TASKS_OF.items():
        if name in options.changed() and task not in tasks:
            raise InvalidRequest(
                "invalid_param",
                f"{name} is {getattr(options, name)!r}, but task is {task}; {name} belongs to "
                f"{' and '.join(tasks)}.",
            )
    if options.hvg_flavor and not options.subset_hvg:
        raise InvalidRequest(
            "invalid_param",
            f"hvg_flavor is {options.hvg_flavor!r}, but subset_hvg, which it belongs to, is off; "
            "send how many highly variable genes are wanted, or leave hvg_flavor out.",
        )


def check_param_names(names: Mapping[str, Any] | frozenset[str]) -> None:
    """Refuse names that are no params (``unknown_param``)."""
    unknown = sorted(set(names) - PARAM_NAMES)
    if unknown:
        raise InvalidRequest(
            "unknown_param",
            f"{', '.join(unknown)}: no such param. Known: {', '.join(sorted(PARAM_NAMES))}.",
        )


def _checked(param: Param, value: Any) -> Any:
    if param.is_list:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise _wrong_type(param, value)
        return tuple(_scalar(param, item) for item in value)
    return _scalar(param, value)


def _scalar(param: Param, sent: Any) -> Any:
    value: Any = sent.item() if hasattr(sent, "item") else sent  # numpy scalars
    kind = _PYTHON_TYPES[param.dtype]
    if not isinstance(value, kind) or (param.dtype != "boolean" and isinstance(value, bool)):
        raise _wrong_type(param, value)
    if isinstance(value, str) and not is_text(value):
        raise InvalidRequest(
            "invalid_text", f"{param.name} holds half of a surrogate pair, which is no character."
        )
    if isinstance(value, (int, float)) and not abs(value) < 2.0**63:  # NaN, infinity, too large
        raise _wrong_type(param, value)
    if param.allowed and value not in param.allowed:
        raise InvalidRequest(
            "invalid_param",
            f"{param.name} is {value!r}; it must be one of {', '.join(param.allowed)}.",
        )
    return value


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8: JSON may hold halves of surrogate pairs."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "long": (int,),
    "double": (int, float),
    "boolean": (bool,),
}


def _wrong_type(param: Param, value: Any) -> InvalidRequest:
    wanted = {
        "string": ("a string", "a list of strings"),
        "long": ("an integer below 2^63", "a list of integers"),
        "double": ("a finite number", "a list of numbers"),
        "boolean": ("true or false", "a list of booleans"),
    }[param.dtype]
    return InvalidRequest(
        "invalid_param",
        f"{param.name} is {value!r}; it must be {wanted[1] if param.is_list else wanted[0]}.",
    )
