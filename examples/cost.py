"""Compute what an environment's endpoint costs in a month, from its size and a price that you give.

    python -m examples.cost prod --price 2.00 --hours 730

Prices are inputs: docs/cost.md says where to find them, and what else is billed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from scgpt_databricks.infra import release, settings
from scgpt_databricks.infra.settings import Settings

REQUESTS_PER_GPU = 4
"""Requests at a time that one GPU replica takes, as the platform documents it."""
CONCURRENCY = {"Small": (4, 4), "Medium": (8, 16), "Large": (16, 64)}
"""Least and most requests at a time by ``workload_size``."""
HOURS_PER_MONTH = 730.0


def units(wanted: Settings) -> tuple[int, int, str]:
    """Return the least and the most that one served version has while it is up, and of what.

    On a GPU these are replicas; a CPU has no such rule, so they are requests at a time.
    """
    bounds = wanted.endpoint.provisioned_concurrency
    least, most = (
        (bounds.min, bounds.max)
        if bounds
        else CONCURRENCY[wanted.endpoint.workload_size or "Small"]
    )
    if wanted.workload_type == "CPU":
        return least, most, "requests at a time"
    return least // REQUESTS_PER_GPU, most // REQUESTS_PER_GPU, "replicas"


def served_versions(wanted: Settings) -> int:
    """Return how many versions the release manifest serves; one before the first release."""
    found = release.find(wanted.manifest_path, model=wanted.names.full_model)
    return len(found.served) if found else 1


def main(arguments: Sequence[str] | None = None) -> None:
    """Print replicas and the cost of a month."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment")
    parser.add_argument(
        "--price",
        type=float,
        required=True,
        help="of one replica (on CPU: request at a time) for an hour",
    )
    parser.add_argument("--hours", type=float, default=HOURS_PER_MONTH, help="per month")
    given = parser.parse_args(arguments)
    wanted = settings.load(given.environment)
    (least, most, unit), versions = units(wanted), served_versions(wanted)
    each = versions * given.hours * given.price
    print(
        f"{wanted.environment}: {wanted.workload_type}, {least} to {most} {unit} "
        f"for each of {versions} served versions\n"
        f"per month of {given.hours:g} hours: {least * each:.2f} to {most * each:.2f}"
    )


if __name__ == "__main__":
    main()
