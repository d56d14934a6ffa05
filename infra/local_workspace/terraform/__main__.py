"""Entry point of the provider process; works from any folder and without an installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from infra.local_workspace.terraform.server import serve

sys.exit(serve())
