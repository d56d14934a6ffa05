"""``python -m scgpt_databricks.local_workspace serve``: the process of an instance."""

from __future__ import annotations

import argparse
from pathlib import Path

from .server.process import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scgpt_databricks.local_workspace")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("serve", help="serve one instance in the foreground")
    command.add_argument("--folder", type=Path, required=True)
    command.add_argument("--port", type=int, required=True)
    command.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    serve(arguments.folder, arguments.port, arguments.config)


if __name__ == "__main__":
    main()
