"""What the lines of every answer have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import contract
from ..cells.cells import Cells
from ..errors import InvalidRequest
from .rows import Row


def cells_of(row: Row) -> Cells:
    """The cells of a row; refused where there are none."""
    if row.cells is None:
        raise InvalidRequest(
            "no_cells", f"this task needs cells, but {contract.MATRIX} is missing."
        )
    return row.cells


def rounded(embeddings: NDArray[Any]) -> list[list[float]]:
    """For JSON: eight decimals, half the size of a float32 written out and within 5e-9 of it."""
    return np.round(embeddings.astype(np.float64), 8).tolist()  # type: ignore[no-any-return]


def applied(steps: list[str]) -> dict[str, list[str]]:
    """The field that names the filters; absent where none was done."""
    return {"applied_steps": steps} if steps else {}
