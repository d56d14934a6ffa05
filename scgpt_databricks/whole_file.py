"""Files that appear whole or not at all.

A draft is written beside its target and takes the target's name when it is complete. Until then,
what was there before stays as it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # of file systems without it
_VOLUMES = Path("/Volumes")  # Unity Catalog's file system takes writes in order only


class TargetError(Exception):
    """A file cannot be written to where it was asked for."""


def check_target(target: Path, n_bytes: int = 0) -> None:
    """Refuse a target that cannot be written, before work is done for it. Leaves nothing behind.

    Parameters
    ----------
    target
        The file. Folders on the way to it may be missing.
    n_bytes
        Space that it takes.

    Raises
    ------
    TargetError
        The sentence says why.
    """
    with _said_of(target):
        folder = _existing_folder(target)
        if target.is_dir():
            raise TargetError(f"{target} is a folder; name a file to write.")
        if not folder.is_dir():
            raise TargetError(f"{target} lies below {folder}, which is a file; name another.")
        if target.exists() and not target.is_file():
            raise TargetError(f"{target} is no ordinary file; name another.")
        if target.exists() and not os.access(target, os.W_OK):
            raise TargetError(f"{target} is write-protected; name another file.")
        trial = _draft_name(folder, target)
        try:
            trial.write_bytes(b"-")
        finally:
            trial.unlink(missing_ok=True)
        made_in = {folder} if takes_any_order(folder) else {folder, Path(tempfile.gettempdir())}
        for place in made_in:
            _check_space(place, target, n_bytes)


def takes_any_order(folder: Path) -> bool:
    """Find out by a trial if files in a folder can be written out of order, as HDF5 does."""
    if folder.resolve().is_relative_to(_VOLUMES):
        return False
    trial = _draft_name(folder, Path("trial"))
    try:
        with trial.open("w+b", buffering=0) as file:
            for place, byte in ((0, b"a"), (0, b"b"), (2, b"c")):
                file.seek(place)
                file.write(byte)
        return trial.read_bytes() == b"b\0c"
    except OSError:
        return False
    finally:
        with suppress(OSError):
            trial.unlink()


@contextmanager
def draft(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a path to write to, in order; the file there takes the target's name at the end.

    Parameters
    ----------
    target
        The file; where it is a link, what it leads to.
    folder
        Where the draft lies: on the target's file system; by default beside the target.

    Raises
    ------
    TargetError
        Something cannot be written. What was at the target is as it was.
    """
    with _said_of(target):
        resolved = target.resolve()
        folder = folder or resolved.parent
        folder.mkdir(parents=True, exist_ok=True)
        path = _draft_name(folder, resolved)
        try:
            yield path
            if resolved.exists():
                with suppress(OSError):  # Volumes have no modes
                    shutil.copymode(resolved, path)
            _to_disk(path)
            path.replace(resolved)
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def draft_in_any_order(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield a path as ``draft`` does; it may be written to in any order.

    Where the file system takes writes in order only, the draft lies on the local disk first.
    """
    (folder or target.resolve().parent).mkdir(parents=True, exist_ok=True)
    if takes_any_order(folder or target.resolve().parent):
        with draft(target, folder) as path:
            yield path
        return
    with _said_of(target), tempfile.TemporaryDirectory(prefix="scgpt-") as local:
        path = Path(local) / f"draft{target.suffix}"
        yield path
        with draft(target, folder) as copy:
            shutil.copyfile(path, copy)


def write_text(target: Path, text: str) -> None:
    """Write a text whole (UTF-8)."""
    with draft(target) as path:
        path.write_text(text, encoding="utf-8")


def _existing_folder(target: Path) -> Path:
    """Find the nearest ancestor that exists."""
    return next(path for path in target.resolve().parents if os.path.lexists(path))


def _draft_name(folder: Path, target: Path) -> Path:
    """Name a draft: hidden, of bounded length, with the target's ending."""
    return folder / f".{target.name[:32]}.{uuid.uuid4().hex[:8]}{target.suffix[:16]}"


def _check_space(folder: Path, target: Path, n_bytes: int) -> None:
    found = shutil.disk_usage(folder)
    if found.total and found.free < n_bytes:  # some file systems do not tell their size
        raise TargetError(
            f"{target} needs about {n_bytes / 1e9:,.1f} GB, and {found.free / 1e9:,.1f} GB are "
            f"free in {folder}. Make room, or name a file elsewhere."
        )


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise


@contextmanager
def _said_of(target: Path) -> Iterator[None]:
    """Say of which target an error of the file system is."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise TargetError(f"{target} cannot be written: {error}") from error
