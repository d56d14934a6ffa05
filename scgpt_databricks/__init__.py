"""The scGPT single-cell foundation model as governed infrastructure on Databricks.

The client is here: ``from scgpt_databricks import embed, gene_table``. Importing the package alone
imports nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model.client import Endpoint, Report, embed, gene_table
    from .model.client.batch_inference import batch_inference

    __version__: str

__all__ = ["Endpoint", "Report", "__version__", "batch_inference", "embed", "gene_table"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("scgpt-databricks")
    if name == "batch_inference":  # needs pandas, which the others do without
        from .model.client.batch_inference import batch_inference

        return batch_inference
    if name in __all__:
        from .model import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
