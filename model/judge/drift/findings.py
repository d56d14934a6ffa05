"""The answers of a look: causes, the names of findings, and the effect that each must have."""

from __future__ import annotations

import math
from dataclasses import dataclass

INPUT, COMPOSITION, EMBEDDING = "input", "composition", "embedding"
CAUSES = (INPUT, COMPOSITION, EMBEDDING)

NORMALISED, LOST, SIZE, UNKNOWN = (
    "counts are already normalised",
    "genes are lost",
    "library size",
    "genes are unknown",
)
MIXTURE, MOVED = "mixture of cells", "embeddings moved"

LEAST = {
    NORMALISED: 0.1,
    LOST: 0.05,
    SIZE: math.log(1.25),
    UNKNOWN: 0.05,
    MIXTURE: 0.1,
    MOVED: 0.15,
}
"""Finding -> effect below which nobody is alarmed, however sure it is.

Shares for normalised data sets, lost and unknown genes and cells of another mixture; the logarithm
of a ratio for library sizes; for embeddings, the distance over the reference's own spread.
"""


@dataclass(frozen=True)
class Finding:
    """The answer about one cause.

    Parameters
    ----------
    finding
        Its name, which says the direction; empty where there is none.
    alarm
        It is there, large enough, and no consequence of another cause.
    p_value, effect
        None where there is no number; ``note`` then says why.
    threshold
        p-value at which this look alarms.
    """

    cause: str
    finding: str = ""
    alarm: bool = False
    p_value: float | None = None
    effect: float | None = None
    threshold: float = 0.0
    note: str = ""
