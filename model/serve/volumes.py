"""``input_data_path``: an AnnData file instead of the columns, from folders named beforehand.

Off unless the model was loaded with ``allowed_path_prefixes``, each below ``/Volumes``. A path that
leaves them, by ``..``, by a symbolic link or by a link inside the file, is refused; so is whether
anything lies there: the refusal is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import CheckpointError, InvalidRequest

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
    try:
        found = Path(sent).resolve()
        is_file = found.is_file()
    except (OSError, RuntimeError):  # links that go round, a name that no file can have
        raise _no_file(path) from None
    if not any(folder.resolve() in found.parents for folder in inside):
        raise _not_allowed(path, folders)
    if not is_file or found.suffix != ".h5ad":
        raise _no_file(path)
    return found


def _no_file(path: str) -> InvalidRequest:
    return InvalidRequest("no_such_file", f"{path[:200]!r} is no .h5ad file.")


def _not_allowed(path: str, folders: Sequence[Path]) -> InvalidRequest:
    where = (
        f"only files below {', '.join(map(str, folders))} may be read."
        if folders
        else "this model reads no files for its callers. Send the cells in the request."
    )
    return InvalidRequest("path_not_allowed", f"input_data_path is {path[:200]!r}; {where}")
