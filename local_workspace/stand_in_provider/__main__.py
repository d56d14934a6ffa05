"""Entry point of the provider process; works from any folder and without an installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from scgpt_databricks.local_workspace.stand_in_provider.server import serve

sys.exit(serve())
