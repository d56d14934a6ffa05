"""A request of the wire contract: read, checked, judged and filtered, but nothing computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from .. import contract
from ..cells.cells import BATCH
from ..cells.imputed import check_not_imputed
from ..cells.known_genes import CheckedCells, check_known_fraction
from ..contract import Options
from ..errors import InvalidRequest
from ..wire.rows import FORMS, Row, holds_input, no_cells, read_rows
from .engine import Engine
from .preprocess import preprocess
from .volumes import allowed_file

_FILTERS = (
    "filter_gene_by_counts",
    "filter_cell_by_counts",
    "min_counts_per_cell",
    "subset_hvg",
)


@dataclass(frozen=True)
class Question:
    """The question to the engine about one row of a request.

    Parameters
    ----------
    input_row
        Position of the row.
    task, options
        Those of the request.
    sent
        The row's cells after the filters; None where the answer does not depend on any.
    genes
        The symbols that the row names; None when it names none.
    steps
        A sentence for each filter that was done.
    """

    input_row: int
    task: str
    options: Options
    sent: CheckedCells | None
    genes: list[str] | None
    steps: tuple[str, ...] = ()

    @property
    def cells(self) -> CheckedCells:
        """The row's cells; refused where there are none."""
        if self.sent is None:
            raise no_cells()
        return self.sent

    @property
    def is_json(self) -> bool:
        """The answer is not packed."""
        return self.options.response_format == "json"

    @property
    def whole_table(self) -> bool:
        """All genes are meant: the guide's first version had no pipeline and no file of data."""
        return not self.options.need_preprocess and not self.options.input_data_path


def read_request(
    engine: Engine,
    model_input: pd.DataFrame,
    params: Mapping[str, Any] | None,
    folders: Sequence[Path] = (),
    *,
    with_hvg: bool = False,
) -> list[Question]:
    """Read a request: one question per row.

    Parameters and errors as ``answer``.
    """
    if not isinstance(model_input, pd.DataFrame):
        raise InvalidRequest(
            "no_form",
            f"the input is of type {type(model_input).__name__}, which names no genes. Send a "
            f"DataFrame. {FORMS}",
        )
    options = contract.read_params(params, engine.options)
    engine.check_options(options)
    if options.task == contract.DIAGNOSTICS:
        contract.check_params_of(options.task, options)
        return [Question(0, options.task, options, None, None)]
    rows = _rows(model_input, options, folders)
    task = options.task or (
        contract.CELL_EMBEDDINGS if rows[0].is_packed else contract.GENE_EMBEDDINGS
    )
    contract.check_params_of(task, options)
    asked = [Question(i, task, options, None, row.genes) for i, row in enumerate(rows)]
    about_cells = task in contract.CELL_TASKS
    wants_cells = about_cells or not (options.genes or asked[0].whole_table)
    reads_cells = wants_cells and any(row.cells is not None for row in rows)
    check_filters(options, reads_cells=reads_cells)
    if not reads_cells:
        return asked
    for i, row in enumerate(rows):
        if row.cells is not None:
            asked[i] = replace(asked[i], sent=CheckedCells.of(row.cells, engine.vocab))
    sent = [question.sent for question in asked if question.sent]
    check_known_fraction(engine.vocab, sent, options.min_known_fraction)
    if about_cells and not options.allow_imputed:
        check_not_imputed([checked.cells for checked in sent])
    return _filtered(engine, asked, with_hvg=with_hvg)


def _rows(model_input: pd.DataFrame, options: Options, folders: Sequence[Path]) -> list[Row]:
    columns = [name for name in (*contract.GUIDE_COLUMNS, contract.PACKED) if name in model_input]
    sent = [
        dict(zip(columns, values, strict=True))
        for values in zip(*(model_input[name] for name in columns), strict=True)
    ]
    labels = {BATCH, options.group_by}
    if not options.input_data_path:
        return read_rows(sent, labels)
    file = allowed_file(options.input_data_path, folders)
    if holds_input(sent):
        raise InvalidRequest(
            "two_forms", "input_data_path came with cells in the columns; send one of them."
        )
    from ..cells.h5ad import read_cells  # slow to import; few endpoints ever need it

    cells = read_cells(file, labels)
    return [Row(is_packed=False, cells=cells, genes=cells.genes)]


def _filtered(engine: Engine, asked: Sequence[Question], *, with_hvg: bool) -> list[Question]:
    """Filter each row, and judge its cells again, for known genes may be gone."""
    filtered: list[Question] = []
    for question in asked:
        if question.sent is None:
            filtered.append(question)
            continue
        cells, steps = preprocess(question.sent.cells, question.options, with_hvg=with_hvg)
        sent = question.sent.narrowed(cells) if steps else question.sent
        filtered.append(replace(question, sent=sent, genes=cells.genes, steps=tuple(steps)))
    done = [step for question in filtered for step in question.steps]
    if done:
        left = [question.sent for question in filtered if question.sent]
        try:
            check_known_fraction(engine.vocab, left, asked[0].options.min_known_fraction)
        except InvalidRequest as error:
            said = f"after {done[0]}: {error.message} Without this filter the request is answered."
            raise InvalidRequest(error.code, said) from error
    return filtered


def check_filters(options: Options, *, reads_cells: bool) -> None:
    """Refuse filters that would filter nothing, lest somebody believe in them (``invalid_param``).

    Parameters
    ----------
    reads_cells
        The request's cells have a part in its answer.
    """
    of_cells = () if reads_cells else (*_FILTERS, "min_known_fraction")
    of_pipeline = () if options.need_preprocess else _FILTERS
    for name in (*of_cells, *of_pipeline):
        if name in options.changed():
            why = (
                "the answer does not depend on cells here (genes named by genes or without a "
                "matrix, or the whole table)"
                if name in of_cells
                else "need_preprocess is false, which turns all filters off"
            )
            raise InvalidRequest(
                "invalid_param",
                f"{name} is {getattr(options, name)!r}, but {why}. Leave {name} out.",
            )
