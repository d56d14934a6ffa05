"""Cells and genes through an endpoint: numpy, scipy, anndata and HTTP; no torch, no MLflow."""

from .conversation import Report
from .embed import embed
from .endpoint import Endpoint
from .gene_table import gene_table

__all__ = ["Endpoint", "Report", "embed", "gene_table"]
