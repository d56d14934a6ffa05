"""The matrix of a data set that holds what was measured: ``X``, ``raw``, or a layer.

``X`` is often scaled or imputed by then, and the counts lie beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from ..errors import InvalidRequest
from .find_counts import Sample, find_matrix, find_names
from .gene_columns import GeneColumns
from .labels import labels

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
    gene_names
        Column of its ``var`` that names the genes; None: the index does. A gene without a name
        there keeps that of the index.
    sum_duplicates
        Columns of one name are added up; else they are refused.
    find_matrix, find_genes
        The rule of ``find_counts`` finds the matrix, or the names of its genes.

    Raises
    ------
    InvalidRequest
        ``two_matrices`` when both are given.
    """

    layer: str | None = None
    raw: bool = False
    gene_names: str | None = None
    sum_duplicates: bool = False
    find_matrix: bool = False
    find_genes: bool = False

    @classmethod
    def asked(
        cls,
        layer: str | None = None,
        raw: bool = False,
        gene_names: str | None = None,
        sum_duplicates: bool = False,
    ) -> Self:
        """Take what a user names; the rule finds the rest.

        Parameters
        ----------
        layer
            A layer, or ``X``; None: ``raw`` if asked for, else by the rule.
        raw
            ``raw``.
        gene_names
            A column of ``var``, or ``index``; None: by the rule.
        sum_duplicates
            As above.
        """
        if raw and layer is not None:  # X as well, which is no layer below
            raise _two_matrices(layer)
        find = {"find_matrix": layer is None and not raw, "find_genes": gene_names is None}
        layer, gene_names = (
            None if given == own else given for given, own in ((layer, "X"), (gene_names, "index"))
        )
        return cls(layer, raw, gene_names, sum_duplicates, **find)

    def found(self, matrices: Mapping[str, Sample]) -> Self:
        """Return the place whose matrix the rule finds; this one where it is named."""
        if not self.find_matrix:
            return self
        path = find_matrix(matrices)
        layer = path.removeprefix("layers/") if path.startswith("layers/") else None
        return replace(self, layer=layer, raw=path == "raw/X", find_matrix=False)

    def __post_init__(self) -> None:
        if self.raw and self.layer is not None:
            raise _two_matrices(self.layer)

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

    def columns(
        self, index: Sequence[str], there: Iterable[str], read: Callable[[str], Iterable[Any]]
    ) -> GeneColumns:
        """Name the columns of the matrix.

        Parameters
        ----------
        index
            The index of ``var``.
        there
            The columns that ``var`` has.
        read
            Reads one of them.

        Raises
        ------
        InvalidRequest
            ``no_gene_names``: ``var`` has no such column, or one of another length.
        """
        known = list(there)
        column = find_names(index, known) if self.find_genes else self.gene_names
        if column is None:
            return GeneColumns.of(index, sum_duplicates=self.sum_duplicates)
        if column not in known:
            raise InvalidRequest(
                "no_gene_names",
                f"{self.var} has no column {column!r}; its columns: "
                f"{', '.join(map(str, known)) or 'none'}.",
            )
        found = labels(read(column))
        if len(found) != len(index):
            raise InvalidRequest(
                "no_gene_names",
                f"{column!r} of {self.var} names {len(found)} of {len(index)} genes; "
                "write the file anew.",
            )
        names = [name or own for name, own in zip(found, index, strict=True)]
        if self.find_genes and not self.sum_duplicates:
            return GeneColumns.first_keeps(names, index, column)
        return GeneColumns.of(names, sum_duplicates=self.sum_duplicates, column=column)

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
        if self.layer is None and not self.raw:
            return adata
        return AnnData(found, obs=adata.obs[[]], var=source.var[[]])


def _two_matrices(layer: str) -> InvalidRequest:
    return InvalidRequest("two_matrices", f"both raw and layer {layer!r} are asked for; give one.")
