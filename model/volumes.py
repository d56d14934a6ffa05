"""``input_data_path``: an AnnData file instead of the columns, from folders named beforehand.

Off unless the model was loaded with ``allowed_path_prefixes``, each below ``/Volumes``. A path that
leaves them, by ``..``, by a symbolic link or by a link inside the file, is refused; so is whether
anything lies there: the refusal is the same.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from model.codec import Cells
from model.contract import MAX_CELLS, MAX_GENES
from model.errors import CheckpointError, InvalidRequest, LimitExceeded
from model.labels import labels
from model.matrix import as_csr

if TYPE_CHECKING:
    from anndata import AnnData

VOLUMES = Path("/Volumes")


def check_prefixes(prefixes: Sequence[str]) -> tuple[Path, ...]:
    """The folders that may be read from.

    Raises
    ------
    CheckpointError
        ``invalid_model_config``: one of them is not a folder below ``/Volumes``.
    """
    folders = tuple(Path(prefix) for prefix in prefixes)
    for folder in folders:
        if ".." in folder.parts or VOLUMES not in folder.parents:
            raise CheckpointError(
                "invalid_model_config",
                f"allowed_path_prefixes holds {str(folder)!r}; each must be a folder below "
                f"{VOLUMES} (such as {VOLUMES}/main/scgpt/artifacts).",
            )
    return folders


def allowed_file(path: str, folders: Sequence[Path]) -> Path:
    """The file behind a path, all links followed, if it lies in one of the folders.

    Raises
    ------
    InvalidRequest
        ``path_not_allowed``; ``no_such_file`` for what is allowed but not there.
    """
    sent = PurePosixPath(path)
    inside = [folder for folder in folders if folder in Path(sent).parents]
    if "\0" in path or ".." in sent.parts or not inside:
        raise _not_allowed(path, folders)
    found = Path(sent).resolve()
    if not any(folder.resolve() in found.parents for folder in inside):
        raise _not_allowed(path, folders)
    if not found.is_file() or found.suffix != ".h5ad":
        raise InvalidRequest("no_such_file", f"{path!r} is no .h5ad file.")
    return found


def read_cells(file: Path, columns: Collection[str] = ()) -> Cells:
    """The cells of an AnnData file; of obs, only the given columns.

    Raises
    ------
    InvalidRequest
        ``invalid_file``: it is no readable AnnData file, or holds links to others.
    LimitExceeded
        More cells or genes than a row of a request may have.
    """
    from anndata import read_h5ad  # slow to import, and seldom needed

    try:
        _refuse_links(file)
        backed = read_h5ad(file, backed="r")
        try:
            for what, count, limit in (
                ("cells", backed.n_obs, MAX_CELLS),
                ("genes", backed.n_vars, MAX_GENES),
            ):
                if count > limit:
                    raise LimitExceeded(
                        f"too_many_{what}", f"{count:,} {what} in the file; {limit:,} are allowed."
                    )
            return cells_of_anndata(backed.to_memory(), columns)
        finally:
            backed.file.close()
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            "invalid_file", f"{file.name} cannot be read as an AnnData file: {error}"
        ) from error


def cells_of_anndata(adata: AnnData, columns: Collection[str] | None = None) -> Cells:
    """``X``, gene names and cell names, with the given columns of obs (None: all) as labels."""
    if adata.X is None:
        raise InvalidRequest("no_matrix", "the AnnData has no X; put the counts there.")
    wanted = adata.obs.columns if columns is None else [c for c in columns if c in adata.obs]
    obs = {str(name): labels(adata.obs[name].astype(object)) for name in wanted}
    return Cells(
        as_csr(adata.X).astype(np.float32),
        [str(gene) for gene in adata.var_names],
        [str(cell) for cell in adata.obs_names],
        obs,
    )


def _refuse_links(file: Path) -> None:
    """HDF5 files may point into other files; those were never allowed."""
    import h5py

    def outside(name: str, link: Any) -> Any:
        return name if isinstance(link, h5py.ExternalLink) else None

    def stored_outside(name: str, item: Any) -> Any:
        return name if isinstance(item, h5py.Dataset) and item.external else None

    with h5py.File(file, "r") as data:
        found = data.visititems_links(outside) or data.visititems(stored_outside)
    if found is not None:
        raise InvalidRequest(
            "invalid_file", f"{file.name} holds a link to another file ({found}); copy the data in."
        )


def _not_allowed(path: str, folders: Sequence[Path]) -> InvalidRequest:
    where = (
        f"only files below {', '.join(map(str, folders))} may be read."
        if folders
        else "this model reads no files for its callers. Send the cells in the request."
    )
    return InvalidRequest("path_not_allowed", f"input_data_path is {path!r}; {where}")
