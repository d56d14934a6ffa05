"""Tiles as the dashboards of Databricks are stored: datasets, and a page with widgets on a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from . import Tile, query

_WIDTH, _HEIGHT, _COLUMNS = 3, 6, 2


def serialized(
    tiles: Sequence[Tile], *, title: str, table: str, warehouse: str | None = None
) -> str:
    """Return the dashboard as text, which is the same for the same tiles.

    Parameters
    ----------
    table
        Full name of the inference table.
    warehouse
        The SQL warehouse that a file of settings names. Where it changes, the text changes too:
        the provider takes a text that it leaves alone from the workspace, which writes it in
        another form, and the next plan would change it back.

    Raises
    ------
    ValueError
        Two tiles over one file give it other values: they share its dataset.
    """
    asked: dict[str, dict[str, int]] = {}
    for tile in tiles:
        if asked.setdefault(tile.sql, tile.values) != tile.values:
            raise ValueError(
                f"tile {tile.key!r}: {tile.values} for {tile.sql}.sql, another tile over it has "
                f"{asked[tile.sql]}: give the same, or copy the file"
            )
    dashboard = {
        "datasets": [
            {
                "name": sql,
                "displayName": sql,
                "queryLines": [
                    *([f"-- asked of the SQL warehouse {warehouse}\n"] if warehouse else []),
                    *query(sql, table=table, **values).splitlines(keepends=True),
                ],
            }
            for sql, values in asked.items()
        ],
        "pages": [
            {
                "name": "overview",
                "displayName": title,
                "pageType": "PAGE_TYPE_CANVAS",
                "layout": [_placed(tile, index) for index, tile in enumerate(tiles)],
            }
        ],
    }
    # As the workspace keeps it: when another field changes, the provider sends what it read.
    return json.dumps(dashboard) + "\n"


def _placed(tile: Tile, index: int) -> dict[str, Any]:
    row, column = divmod(index, _COLUMNS)
    return {
        "widget": {
            "name": tile.key,
            "queries": [
                {
                    "name": "main_query",
                    "query": {
                        "datasetName": tile.sql,
                        "fields": [
                            {"name": name, "expression": f"`{name}`"} for name in (tile.x, tile.y)
                        ],
                        "disaggregated": True,
                    },
                }
            ],
            "spec": {
                "version": 3,
                "widgetType": tile.chart,
                "encodings": {
                    "x": {
                        "fieldName": tile.x,
                        "displayName": tile.x,
                        "scale": {"type": "temporal"},
                    },
                    "y": {
                        "fieldName": tile.y,
                        "displayName": tile.y,
                        "scale": {"type": "quantitative"},
                    },
                },
                "frame": {"showTitle": True, "title": tile.title},
            },
        },
        "position": {
            "x": column * _WIDTH,
            "y": row * _HEIGHT,
            "width": _WIDTH,
            "height": _HEIGHT,
        },
    }
