"""`scgpt build` on what is no good checkpoint: one sentence, exit code 1, nothing logged."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scgpt_databricks.model.scgpt.demo import Recipe, random_checkpoint
from tests.acceptance.site import Site

pytestmark = pytest.mark.acceptance


def missing(folder: Path) -> None:
    (folder / "best_model.pt").unlink()


def truncated(folder: Path) -> None:
    weights = folder / "best_model.pt"
    weights.write_bytes(weights.read_bytes()[:50_000])


def other_vocabulary(folder: Path) -> None:
    vocab = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**vocab, "EXTRA1": len(vocab)}))


def other_width(folder: Path) -> None:
    args = json.loads((folder / "args.json").read_text())
    (folder / "args.json").write_text(json.dumps({**args, "embsize": 128}))


def unknown_tensors(folder: Path) -> None:
    state = torch.load(folder / "best_model.pt", weights_only=True)
    torch.save({**state, "adapter.lora_A": torch.zeros(2)}, folder / "best_model.pt")


class Code:
    """Unpickled, it writes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (f"open({str(self.proof)!r}, 'w').write('executed')",)


def code(folder: Path) -> None:
    torch.save({"encoder.embedding.weight": Code(folder / "proof")}, folder / "best_model.pt")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, ["best_model.pt does not exist", "args.json"]),
        (truncated, ["best_model.pt (50,000 bytes)", "truncated"]),
        (other_vocabulary, ["768 rows", "769 tokens"]),
        (other_width, ["does not fit args.json", "(768, 64) instead of (768, 128)"]),
        (unknown_tensors, ["adapter.lora_A", "tensors that scGPT does not have"]),
        (code, ["other than tensors", "Nothing of it was executed"]),
    ],
)
def test_a_bad_checkpoint(
    spoil: Callable[[Path], None], words: list[str], registry: Site, tmp_path: Path
) -> None:
    checkpoint = random_checkpoint(tmp_path / "checkpoint", Recipe(steps=0))
    spoil(checkpoint)
    before = traces(registry)
    done = registry.scgpt("build", "local", "--checkpoint", checkpoint, "--no-clean-environment")
    assert (done.code, done.out) == (1, "")
    for word in words:
        assert word in done.err
    assert traces(registry) == before
    assert not (checkpoint / "proof").exists()


def test_the_pickled_code_would_run(tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    pickle.loads(pickle.dumps(Code(tmp_path / "proof")))
    assert (tmp_path / "proof").read_text() == "executed"


def traces(site: Site) -> list[object]:
    """List the traces of a build: writing requests to mlflow, versions, the manifest."""
    sent = site.control("GET", "requests?method=POST&path=/mlflow/")["requests"]
    created = [request["path"] for request in sent if "create" in request["path"]]
    return [created, site.versions(), site.manifest.exists() and site.manifest.read_bytes()]
