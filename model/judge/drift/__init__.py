"""Drift of later requests from a frozen reference: which cause, how large, how sure.

The unit is the data set (of one donor, say), never the cell: cells of one donor are alike, and a
test that takes each for evidence of its own alarms with every new donor. All tests ask whether the
data sets of both sides could have been dealt the other way round (permutations of data sets).

Input, composition and embedding are told apart: input and embedding are compared within
neighbourhoods of cells, so that another mixture of the same cells changes neither.
"""

from .findings import CAUSES, COMPOSITION, EMBEDDING, INPUT, LEAST, MIXTURE, MOVED, Finding
from .kernel import kernel_sums
from .look import FEWEST_DATA_SETS, find_drift
from .samples import FEWEST_CELLS, Reference, Sample, make_reference

__all__ = [
    "CAUSES",
    "COMPOSITION",
    "EMBEDDING",
    "FEWEST_CELLS",
    "FEWEST_DATA_SETS",
    "INPUT",
    "LEAST",
    "MIXTURE",
    "MOVED",
    "Finding",
    "Reference",
    "Sample",
    "find_drift",
    "kernel_sums",
    "make_reference",
]
