"""Labels of cells, from a column of a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd


def labels(values: Iterable[Any]) -> list[str | None]:
    """As strings; None where there is no label, in pandas' several ways of saying so."""
    return [None if x is None or x is pd.NA or x != x else str(x) for x in values]
