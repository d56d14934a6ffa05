"""The entry point of the job on Databricks: embed a table of cells with the cluster's session."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from .job import Job, run
from .session import session


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed what is new, or go on for good with ``--every``; the last line is a JSON object."""
    parser = argparse.ArgumentParser(description="Embed a table of cells.")
    parser.add_argument("--cells", required=True, help="table with the column packed")
    parser.add_argument("--embeddings", required=True, help="table of embeddings")
    parser.add_argument(
        "--model", required=True, help="models:/catalog.schema.model/3, or a folder"
    )
    parser.add_argument("--checkpoint", required=True, help="folder in a volume for Spark's state")
    parser.add_argument("--files-per-commit", type=int, default=Job.files_per_commit)
    parser.add_argument("--every", help="go on for good, looking this often (10 seconds)")
    given = vars(parser.parse_args(arguments))
    every = given.pop("every")
    done = run(session(), Job(**given), every=every)
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
