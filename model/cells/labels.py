"""Labels of cells, from a column of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

_EXACT = 2**53  # up to here every whole float is one integer


def labels(values: Iterable[Any]) -> list[str | None]:
    """As strings; None where there is no label, in pandas' several ways of saying so.

    Whole floats are written as integers: a column of integers becomes one of floats as soon as one
    of them is missing, and its labels must stay what they are.
    """
    from pandas import NA  # late: what is imported by the client's modules stays light

    return [None if x is None or x is NA or x != x else _text(x) for x in values]


def _text(label: Any) -> str:
    is_float = isinstance(label, (float, np.floating))
    return str(int(label) if is_float and label.is_integer() and abs(label) < _EXACT else label)
