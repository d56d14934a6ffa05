"""The wire contract: columns, params, tasks, limits. One table each, used by every way in.

The MLflow signature, the HTTP API and the client are all derived from what stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from .errors import InvalidRequest

# --- input columns: one row is one AnnData (guide form) or one chunk of cells (packed form) ---
MATRIX, OBS, VAR = "adata_sparsematrix", "adata_obs", "adata_var"
PACKED = "packed"
GUIDE_COLUMNS = (MATRIX, OBS, VAR)

# --- tasks ---
CELL_EMBEDDINGS, GENE_EMBEDDINGS = "cell_embeddings", "gene_embeddings"
GENES_IN_CONTEXT = "contextual_gene_embeddings"
DIAGNOSTICS = "diagnostics"  # of the process that answers: device, type, torch
TASKS = (CELL_EMBEDDINGS, GENE_EMBEDDINGS, GENES_IN_CONTEXT, DIAGNOSTICS)
CELL_TASKS = (CELL_EMBEDDINGS, GENES_IN_CONTEXT)  # whose answers depend on cells
GENE_TASKS = (GENE_EMBEDDINGS, GENES_IN_CONTEXT)

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

RESPONSE_FORMATS = ("json", "float16", "float32")
HVG_FLAVORS = ("cell_ranger", "seurat_v3", "seurat")


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
    least, most
        The range of a number; None: no limit.
    tasks
        The tasks that the param belongs to; empty: all. Elsewhere it would be ignored in silence.
    """

    name: str
    dtype: str
    default: Any
    is_list: bool = False
    allowed: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    tasks: tuple[str, ...] = ()


def param(dtype: str, default: Any = None, **more: Any) -> Any:
    """Declare a field of ``Options`` as a param; `more` as in ``Param``."""
    return field(default=default, metadata={"dtype": dtype, **more})


@dataclass(frozen=True)
class Options:
    """The params of a request, checked. Each field is one param.

    These are common to all families of models; a family adds its own in a subclass. The meaning of
    a param is told in ``docs/wire-format.md``. The upper part is ours, the lower part has the names
    of the published guide. None means "not sent": decided from the rest.
    """

    task: str | None = param("string", allowed=TASKS)
    response_format: str = param("string", "json", allowed=RESPONSE_FORMATS)
    genes: tuple[str, ...] = param("string", (), is_list=True, tasks=GENE_TASKS)
    group_by: str = param("string", "", tasks=(GENES_IN_CONTEXT,))
    gene_offset: int = param("long", 0, least=0, tasks=(GENE_EMBEDDINGS,))
    gene_limit: int = param("long", 0, least=0, tasks=(GENE_EMBEDDINGS,))
    min_counts_per_cell: float = param("double", 0.0, least=0)
    min_known_fraction: float = param("double", 0.5, least=0, most=1)
    allow_imputed: bool = param("boolean", False, tasks=CELL_TASKS)

    need_preprocess: bool = param("boolean", True)
    input_data_path: str = param("string", "")
    data_is_raw: bool = param("boolean", False)
    use_key: str = param("string", "X", allowed=("X",))
    filter_gene_by_counts: int = param("long", 0, least=0)
    filter_cell_by_counts: bool = param("boolean", False)
    normalize_total: float = param("double", 1e4, least=0)
    result_normed_key: str = param("string", "X_normed")
    log1p: bool | None = param("boolean")
    result_log1p_key: str = param("string", "X_log1p")
    subset_hvg: int = param("long", 0, least=0)
    hvg_flavor: str | None = param("string", allowed=HVG_FLAVORS)

    def flavor(self) -> str:
        """Return the way to find highly variable genes: as sent, else by ``data_is_raw``."""
        return self.hvg_flavor or ("seurat_v3" if self.data_is_raw else "cell_ranger")

    def changed(self) -> frozenset[str]:
        """Return the params that differ from their defaults; a default that was sent is none."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) != f.default)


Family = TypeVar("Family", bound=Options)


def params_of(kind: type[Options], first: Sequence[str] = ()) -> tuple[Param, ...]:
    """Return the table of a family's params; those named in `first` stand at its top."""
    table = {f.name: Param(f.name, default=f.default, **f.metadata) for f in fields(kind)}
    return tuple(table[name] for name in dict.fromkeys([*first, *table]))


def read_params(params: Mapping[str, Any] | None, kind: type[Family]) -> Family:
    """Check params and fill in the defaults. A param that is None counts as not sent.

    Raises
    ------
    InvalidRequest
        ``unknown_param`` or ``invalid_param``, naming the param, the value and what is allowed.
    """
    sent = {name: value for name, value in (params or {}).items() if value is not None}
    table = {param.name: param for param in params_of(kind)}
    check_param_names(sent, table)
    return kind(**{name: _checked(table[name], value) for name, value in sent.items()})


def params_to_send(
    asked: Mapping[str, Any] | None, kind: type[Family], **defaults: Any
) -> tuple[Family, dict[str, Any]]:
    """Put what a caller asks for over a client's own defaults: checked, and as JSON has it.

    Raises
    ------
    InvalidRequest
        As ``read_params``.
    """
    given = {name: value for name, value in (asked or {}).items() if value is not None}
    names = {**defaults, **given}
    options = read_params(names, kind)
    return options, {name: getattr(options, name) for name in names}


def check_params_of(task: str, options: Options) -> None:
    """Refuse params that the task has no use for (``invalid_param``)."""
    changed = options.changed()
    for param in params_of(type(options)):
        if param.name in changed and param.tasks and task not in param.tasks:
            raise InvalidRequest(
                "invalid_param",
                f"{param.name} is {getattr(options, param.name)!r}, but task is {task}; "
                f"{param.name} belongs to {' and '.join(param.tasks)}.",
            )


def check_param_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names that are no params (``unknown_param``)."""
    unknown = sorted(map(str, set(names) - set(known)))
    if unknown:
        raise InvalidRequest(
            "unknown_param",
            f"{', '.join(unknown)}: no such param. Known: {', '.join(sorted(known))}.",
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
    number: Any = value
    least, most = param.least, param.most
    if (least is not None and number < least) or (most is not None and number > most):
        allowed = f"{least} or more" if most is None else f"{least} .. {most}"
        raise InvalidRequest("invalid_param", f"{param.name} is {value!r}; it must be {allowed}.")
    return value


def is_text(value: str) -> bool:
    """Say if a string can be written as UTF-8: JSON may hold halves of surrogate pairs."""
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
