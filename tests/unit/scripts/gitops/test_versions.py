from __future__ import annotations

from scgpt_databricks.scripts.gitops.endpoint import Split
from scgpt_databricks.scripts.gitops.versions import Built, comparison, weights_sentence

OLD = Built("a" * 64, "c" * 40, {"knn_accuracy": 0.7743, "loss": 1234567.0})
NEW = Built("b" * 64, "d" * 40, {"knn_accuracy": 0.7812})


def test_side_by_side() -> None:
    assert comparison(Split({1: 100}, {1: 95, 2: 5}), {1: OLD, 2: NEW}).splitlines() == [
        "|  | version 1 | version 2 |",
        "| --- | --- | --- |",
        "| requests now | 100 % | - |",
        "| requests after | 95 % | 5 % |",
        "| weights | `aaaaaaaaaaaa` | `bbbbbbbbbbbb` |",
        "| built from commit | `cccccccccccc` | `dddddddddddd` |",
        "| `knn_accuracy` | 0.7743 | 0.7812 |",
        "| `loss` | 1.235e+06 | - |",
    ]


def test_versions_without_metrics_or_runs() -> None:
    text = comparison(Split({}, {1: 100}), {1: Built()})
    assert "| weights | unknown |" in text
    assert text.endswith("No metrics are known of these versions.")


def test_many_metrics_are_cut() -> None:
    many = Built(metrics={f"m{number:03}": float(number) for number in range(40)})
    text = comparison(Split({}, {1: 100}), {1: many})
    assert "| `m024` |" in text
    assert "| `m025` |" not in text
    assert text.endswith("15 more metrics are in the registry.")


def test_may_old_and_new_embeddings_be_compared() -> None:
    swap = Split({1: 100}, {2: 100})
    assert "another space" in (weights_sentence(swap, {1: OLD, 2: NEW}) or "")
    assert "stay the same" in (weights_sentence(swap, {1: OLD, 2: OLD}) or "")
    assert weights_sentence(swap, {1: Built(), 2: NEW}) is None
    assert weights_sentence(Split({}, {2: 100}), {2: NEW}) is None
    assert weights_sentence(Split({1: 95, 2: 5}, {2: 100}), {1: OLD, 2: NEW}) is None
