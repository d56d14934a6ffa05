"""Cells and genes through an endpoint: numpy, scipy, anndata and HTTP; no torch, no MLflow."""

from .embed import embed
from .endpoint import Endpoint, Report
from .gene_table import gene_table

__all__ = ["Endpoint", "Report", "embed", "gene_table"]
