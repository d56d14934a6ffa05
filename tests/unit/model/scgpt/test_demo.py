"""The demo checkpoint: bit-identical, cached, and never half there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scgpt_databricks.model.errors import CheckpointError
from scgpt_databricks.model.scgpt import demo
from scgpt_databricks.model.scgpt.demo import (
    SHIPPED,
    Recipe,
    copy_shipped,
    is_shipped,
    pbmc_cells,
    random_checkpoint,
    train,
)
from scgpt_databricks.model.scgpt.embedder import Embedder

SHORT = Recipe(steps=20, batch_size=8, genes_per_cell=8, nlayers=1)
FILES = {"args.json", "best_model.pt", "vocab.json"}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("demo") / "checkpoint", SHORT)


def test_equal_recipes_give_equal_bytes(trained: Path, tmp_path: Path) -> None:
    torch.rand(17)  # what the process drew before does not matter
    again = train(tmp_path / "checkpoint", SHORT)
    assert content(again) == content(trained)
    assert content(again).keys() == FILES


def test_training_changes_weights_and_seeds_differ(trained: Path, tmp_path: Path) -> None:
    weights = [
        content(folder)["best_model.pt"]
        for folder in (
            trained,
            random_checkpoint(tmp_path / "random", SHORT),
            train(tmp_path / "seed", Recipe(**{**vars(SHORT), "seed": 1})),
        )
    ]
    assert len(set(weights)) == 3


def test_it_has_the_official_form(trained: Path) -> None:
    state = torch.load(trained / "best_model.pt", weights_only=True)
    assert "transformer_encoder.layers.0.self_attn.Wqkv.weight" in state
    vocab = json.loads((trained / "vocab.json").read_text())
    assert list(vocab)[:765] == list(pbmc_cells().var_names)
    assert list(vocab)[765:] == ["<pad>", "<cls>", "<eoc>"]
    cells = pbmc_cells()[:3]
    answer = Embedder.load(trained).embed_cells(cells.X, list(cells.var_names))
    assert answer.embeddings.shape == (3, 64)
    assert not answer.truncated.any()


def test_the_shipped_checkpoint_is_of_the_recipe() -> None:
    """Whoever changes the recipe ships what it makes."""
    assert content(SHIPPED).keys() == FILES
    assert json.loads((SHIPPED / "args.json").read_text())["demo_recipe"] == vars(Recipe())
    vocabulary = json.loads((SHIPPED / "vocab.json").read_text())
    assert list(vocabulary)[:765] == list(pbmc_cells().var_names)


def test_a_copy_is_whole_and_one_of_the_same_recipe_is_kept(tmp_path: Path) -> None:
    folder = copy_shipped(tmp_path / "checkpoint")
    assert content(folder) == content(SHIPPED)
    assert is_shipped(folder)
    (folder / "best_model.pt").write_bytes(b"trained on another machine")
    assert not is_shipped(copy_shipped(folder))
    (folder / "args.json").write_text('{"demo_recipe": {"version": 0}}')
    assert content(copy_shipped(folder)) == content(SHIPPED)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_it_is_cached(trained: Path) -> None:
    before = stamps(trained)
    calls: list[tuple[int, int]] = []
    train(trained, SHORT, lambda done, total: calls.append((done, total)))
    assert stamps(trained) == before
    assert calls == []


def test_another_recipe_replaces_it(tmp_path: Path) -> None:
    folder = random_checkpoint(tmp_path / "checkpoint", SHORT)
    longer = Recipe(**{**vars(SHORT), "steps": 21})
    calls: list[tuple[int, int]] = []
    train(folder, longer, lambda done, total: calls.append((done, total)))
    assert json.loads((folder / "args.json").read_text())["demo_recipe"] == vars(longer)
    assert calls == [(20, 21)]


def test_a_stopped_training_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "checkpoint", SHORT, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_writing_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = random_checkpoint(tmp_path / "checkpoint", SHORT)
    before = content(folder)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(demo, "_args", stop)  # after the weights, before the last file
        with pytest.raises(KeyboardInterrupt):
            random_checkpoint(folder, Recipe(**{**vars(SHORT), "seed": 5}))
    assert content(folder) == before
    random_checkpoint(folder, Recipe(**{**vars(SHORT), "seed": 5}))
    assert content(folder) != before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("content", [{"thesis.txt": "x"}, {"args.json": '{"embsize": 512}'}])
def test_somebody_elses_folder_is_left_alone(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match="is no demo checkpoint"):
        train(tmp_path, SHORT)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == content
