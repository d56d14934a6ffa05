"""The next alert and the next tile are one entry each, and a wrong one is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra import monitoring
from infra.monitoring import lakeview
from infra.settings import Monitoring


def test_a_threshold_is_a_number_or_a_key_of_the_settings() -> None:
    watch = Monitoring(error_rate_threshold=0.2)
    assert watch.threshold("error_rate_threshold") == 0.2
    assert watch.threshold(100) == 100.0


def test_tiles_over_one_file_have_the_same_values() -> None:
    first, *others = monitoring.TILES
    week = replace(first, key="week", values={"days": 30})
    with pytest.raises(ValueError, match=r"tile 'week': .*30.* another tile over it has .*7"):
        lakeview.serialized([first, *others, week], title="t", table="main.scgpt.p")
