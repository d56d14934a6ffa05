"""Progress of a data set: told to the caller's own function, or in a line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..errors import InvalidRequest

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""


def teller(progress: Progress | bool | None, what: str) -> Progress:
    """Return the function to call; for True one that keeps a line on stderr up to date.

    None stands for True in a terminal and in a notebook.

    Raises
    ------
    InvalidRequest
        ``invalid_progress``: another type.
    """
    if progress is None:
        progress = _is_watched()
    if progress is True:
        return lambda done, total: _show(what, done, total)
    if not progress:
        return lambda done, total: None
    if not callable(progress):
        raise InvalidRequest(
            "invalid_progress",
            f"progress is {progress!r}; it must be True, or a function of (done, in all).",
        )
    return progress


def _is_watched() -> bool:
    """Say if somebody looks at stderr: in a terminal, or below the cell of a notebook."""
    notebook = sys.modules.get("IPython")
    return sys.stderr.isatty() or bool(notebook and notebook.get_ipython() is not None)


def _show(what: str, done: int, total: int) -> None:
    sys.stderr.write(f"\r{done:,} of {total:,} {what}" + ("\n" if done >= total else ""))
    sys.stderr.flush()
