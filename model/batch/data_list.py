"""AnnData and files of ``batch_inference`` whose cell embeddings are written."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client.endpoint import Endpoint
from ..contract import CELL_EMBEDDINGS
from ..errors import InvalidRequest
from .many import two_models
from .through_endpoint import embed_files_through

if TYPE_CHECKING:
    from anndata import AnnData


def embed_data_list(
    items: Sequence[AnnData | Path],
    into: Path,
    endpoint: Endpoint,
    params: Mapping[str, Any] | None,
    *,
    again: bool = False,
) -> list[dict[str, Any]]:
    """Embed AnnData and files through an endpoint; return the status of each.

    Parameters
    ----------
    items
        The files, and AnnData, which become files beside `into` until all is done. They are named
        by their place: ``data_list_0``, ...
    into, again
        As ``many.embed_files`` takes them.
    endpoint, params
        As ``client.embed`` takes them; ``task`` is ``cell_embeddings``.

    Raises
    ------
    InvalidRequest
        ``invalid_anndata``: an item is neither; and as ``many.embed_files``.
    """
    folder = into.with_name(f"{into.name}.data_list")
    files, states = list[Path](), dict[Path, Any]()
    for number, item in enumerate(items):
        if isinstance(item, Path):
            files.append(item)
            continue
        if not hasattr(item, "write_h5ad"):
            raise InvalidRequest(
                "invalid_anndata",
                f"data_list holds a {type(item).__name__}, which `into` cannot take; give AnnData "
                "or files.",
            )
        files.append(folder / f"data_list_{number}.h5ad")
        states[files[-1]] = _written(item, files[-1])
    asked = {"task": CELL_EMBEDDINGS, **(params or {})}
    found = embed_files_through(files, into, endpoint, again=again, states=states, params=asked)
    if all(each.is_done for each in found):
        shutil.rmtree(folder, ignore_errors=True)
    if mixed := two_models(found):
        warnings.warn(mixed, stacklevel=3)
    return [asdict(each) for each in found]


def _written(item: AnnData, path: Path) -> str:
    """Write an AnnData, unless its very file is there: a run goes on with a file that it knows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    item.write_h5ad(new)
    content = new.read_bytes()
    if path.exists() and path.read_bytes() == content:
        new.unlink()
    else:
        new.replace(path)
    return hashlib.sha256(content).hexdigest()
