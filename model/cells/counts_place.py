"""The matrix of a data set that holds what was measured: ``X``, ``raw``, or a layer.

``X`` is often scaled or imputed by then, and the counts lie beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class CountsPlace:
    """The place of the measured counts.

    Parameters
    ----------
    layer
        Name of the layer; None: no layer.
    raw
        ``raw``, which has genes of its own; often all of which some were chosen for ``X``.

    Raises
    ------
    InvalidRequest
        ``two_matrices`` when both are given.
    """

    layer: str | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        if self.raw and self.layer is not None:
            raise InvalidRequest(
                "two_matrices", f"both raw and layer {self.layer!r} are asked for; give one."
            )

    @property
    def path(self) -> str:
        """Return the path of the matrix in an ``.h5ad``."""
        if self.layer is not None:
            return f"layers/{self.layer}"
        return "raw/X" if self.raw else "X"

    @property
    def var(self) -> str:
        """Path of the table of its genes in an ``.h5ad``."""
        return "raw/var" if self.raw else "var"

    def missing(self, where: str, layers: Iterable[str]) -> InvalidRequest:
        """``no_matrix``: what `where`, which has these layers, does not have."""
        if self.layer is not None:
            there = ", ".join(sorted(layers)) or "none"
            what = f"has no layer {self.layer!r}; its layers: {there}."
        elif self.raw:
            what = "has no raw; leave raw out to read X, or name the layer of the counts."
        else:
            what = "has no X; put the counts there, or say that they are in raw or a layer."
        return InvalidRequest("no_matrix", f"{where} {what}")

    def of(self, adata: AnnData) -> AnnData:
        """The cells with this matrix as ``X`` and its genes as ``var``; shares memory.

        Raises
        ------
        InvalidRequest
            ``no_matrix``.
        """
        from anndata import AnnData

        source = adata.raw if self.raw else adata
        if self.layer is not None:
            found = adata.layers.get(self.layer)
        else:
            found = None if source is None else source.X
        if found is None:
            raise self.missing("the AnnData", adata.layers)
        if self == CountsPlace():
            return adata
        return AnnData(found, obs=adata.obs[[]], var=source.var[[]])
