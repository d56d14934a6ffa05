"""Tiles as the dashboards of Databricks are stored: datasets, and a page with widgets on a grid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from . import Tile, query

_WIDTH, _HEIGHT, _COLUMNS = 3, 6, 2


def serialized(tiles: Sequence[Tile], *, title: str, table: str) -> str:
    """The dashboard as text: the same tiles always give the same.

    Parameters
    ----------
    table
        Full name of the inference table.

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
                "queryLines": query(sql, table=table, **values).splitlines(keepends=True),
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
    return json.dumps(dashboard, separators=(",", ":"))


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
