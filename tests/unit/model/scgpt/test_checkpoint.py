"""A checkpoint is understood completely or refused, with the reason."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from scgpt_databricks.model.errors import CheckpointError
from scgpt_databricks.model.scgpt.checkpoint import read_checkpoint
from scgpt_databricks.model.scgpt.checkpoint_files import CheckpointFiles, files_digest
from scgpt_databricks.model.scgpt.embedder import Embedder
from tests.unit.model.reference import CONFIG, GENES, ReferenceModel, make_model, write_checkpoint


@pytest.fixture
def folder(tmp_path: Path, reference_model: ReferenceModel) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", reference_model)


def edit_state(folder: Path, change: Callable[[dict], object]) -> None:
    state = torch.load(folder / "best_model.pt", weights_only=True)
    change(state)
    torch.save(state, folder / "best_model.pt")


def edit_json(folder: Path, name: str, change: Callable[[dict], object]) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def refusal(folder: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder)
    return caught.value


@pytest.mark.parametrize("flash", [True, False])
def test_every_tensor_is_used_or_ignored_by_name(
    tmp_path: Path, reference_model: ReferenceModel, flash: bool
) -> None:
    read = read_checkpoint(write_checkpoint(tmp_path, reference_model, flash=flash))
    state = reference_model.state_dict()
    assert set(read.weights) | set(read.ignored) == set(state)
    assert read.ignored == ("decoder.bias", "decoder.weight")
    for name, tensor in read.weights.items():
        assert torch.equal(tensor, state[name])


@pytest.mark.parametrize(
    "name", ["decoder.fc.0.weight", "mvc_decoder.W.weight", "cls_decoder.x", "flag_encoder.weight"]
)
def test_heads_are_ignored(folder: Path, name: str) -> None:
    edit_json(folder, "args.json", lambda a: a.update(include_zero_gene=False))
    edit_state(folder, lambda s: s.update({name: torch.zeros(2)}))
    assert name in read_checkpoint(folder).ignored


@pytest.mark.parametrize("name", ["dsbn.bns.0.running_mean", "bn.weight", "batch_encoder.x"])
def test_what_would_change_embeddings_is_refused(folder: Path, name: str) -> None:
    edit_state(folder, lambda s: s.update({name: torch.zeros(2)}))
    error = refusal(folder)
    assert error.code == "unsupported_tensors"
    assert name in error.message


@pytest.mark.parametrize("name", ["best_model.pt", "args.json", "vocab.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    error = refusal(folder)
    assert error.code == "missing_file"
    assert name in error.message


def test_a_missing_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").code == "missing_file"


@pytest.mark.parametrize("keep", [0, 10, 1000, -10])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / "best_model.pt"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(folder).code in {"damaged_weights", "unsafe_or_damaged_weights"}


def test_an_html_error_page_instead_of_weights(folder: Path) -> None:
    (folder / "best_model.pt").write_text("<html>404</html>")
    assert refusal(folder).code in {"damaged_weights", "unsafe_or_damaged_weights"}


class Payload:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.witness,))


@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_code_in_the_weights_is_never_executed(
    folder: Path, tmp_path: Path, write: Callable
) -> None:
    witness = tmp_path / "executed"
    write({"encoder.embedding.weight": Payload(witness)}, folder / "best_model.pt")
    error = refusal(folder)
    assert error.code == "unsafe_or_damaged_weights"
    assert "state_dict" in error.message
    assert not witness.exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": torch.zeros(1)}}, {"epoch": 3}])
def test_something_else_than_a_state_dict(folder: Path, content: object) -> None:
    torch.save(content, folder / "best_model.pt")
    assert refusal(folder).code == "not_a_state_dict"


def test_unknown_tensors(folder: Path) -> None:
    edit_state(folder, lambda s: s.update({"bert.pooler.weight": torch.zeros(1)}))
    error = refusal(folder)
    assert (error.code, "bert.pooler.weight" in error.message) == ("unknown_tensors", True)


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_one_tensor_under_both_its_names(folder: Path, part: str) -> None:
    layer = "transformer_encoder.layers.0.self_attn."
    names = {f"{layer}in_proj_{part}", f"{layer}Wqkv.{part}"}

    def double(state: dict) -> None:
        there = next(name for name in names if name in state)
        (other,) = names - {there}
        state[other] = state[there] * 2

    edit_state(folder, double)
    error = refusal(folder)
    assert error.code == "doubled_tensors"
    assert all(name in error.message for name in names)


def test_missing_tensors(folder: Path) -> None:
    edit_state(folder, lambda s: s.pop("transformer_encoder.layers.1.self_attn.in_proj_weight"))
    error = refusal(folder)
    assert (error.code, "in_proj_weight" in error.message) == ("missing_tensors", True)


@pytest.mark.parametrize(("layers", "code"), [(2, "unknown_tensors"), (4, "missing_tensors")])
def test_another_number_of_layers(folder: Path, layers: int, code: str) -> None:
    edit_json(folder, "args.json", lambda a: a.update(nlayers=layers))
    assert refusal(folder).code == code


def test_another_width(folder: Path) -> None:
    edit_json(folder, "args.json", lambda a: a.update(embsize=64))
    error = refusal(folder)
    assert (error.code, "args.json" in error.message) == ("other_architecture", True)


def test_another_vocabulary(folder: Path) -> None:
    edit_json(folder, "vocab.json", lambda v: v.update(EXTRA=len(GENES)))
    error = refusal(folder)
    assert error.code == "other_vocabulary"
    assert "123" in error.message
    assert "124" in error.message


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(G0=5),
        lambda v: v.update(G0=-1),
        lambda v: v.update(G0=7000),
        lambda v: v.update(G0="0"),
        lambda v: v.update(G0=True),
    ],
)
def test_vocabularies_that_are_none(folder: Path, change: Callable[[dict], object]) -> None:
    edit_json(folder, "vocab.json", change)
    assert refusal(folder).code == "invalid_vocabulary"


@pytest.mark.parametrize("name", ["args.json", "vocab.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_json_that_is_none(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    assert refusal(folder).code == "unreadable_file"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"embsize": None}, "invalid_config"),
        ({"embsize": "512"}, "invalid_config"),
        ({"nlayers": 0}, "invalid_config"),
        ({"nheads": 5}, "invalid_config"),
        ({"n_bins": 2}, "invalid_config"),
        ({"n_bins": 10**12}, "invalid_config"),
        ({"nlayers": 10**12}, "invalid_config"),
        ({"pad_value": 3}, "invalid_config"),
        ({"input_emb_style": "category"}, "unsupported_config"),
        ({"input_emb_style": "scaling"}, "unsupported_config"),
        ({"pre_norm": True}, "unsupported_config"),
        ({"include_zero_gene": True}, "unsupported_config"),
    ],
)
def test_impossible_and_unsupported_settings(folder: Path, change: dict, code: str) -> None:
    edit_json(folder, "args.json", lambda a: a.update(change))
    assert refusal(folder).code == code


def test_the_digest_names_the_content_and_not_the_place(
    folder: Path, tmp_path: Path, reference_model: ReferenceModel
) -> None:
    digest = files_digest(CheckpointFiles.of(folder))
    renamed = CheckpointFiles(
        (folder / "best_model.pt").rename(tmp_path / "w.pt"),
        (folder / "args.json").rename(tmp_path / "c.json"),
        (folder / "vocab.json").rename(tmp_path / "v.json"),
    )
    assert read_checkpoint(renamed).digest == digest
    other = write_checkpoint(tmp_path / "other", make_model(seed=1))
    assert files_digest(CheckpointFiles.of(other)) != digest


def test_special_tokens_in_the_file_are_not_appended_again(
    tmp_path: Path, reference_model: ReferenceModel, embedder: Embedder
) -> None:
    folder = write_checkpoint(tmp_path, reference_model)
    edit_json(folder, "vocab.json", lambda v: v.update({"<pad>": 120, "<cls>": 121, "<eoc>": 122}))
    vocab = read_checkpoint(folder).vocab
    assert (len(vocab), vocab.cls_id) == (123, 121)
    assert vocab.tokens == embedder.vocab.tokens


def test_half_precision_weights_are_read(tmp_path: Path, reference_model: ReferenceModel) -> None:
    folder = write_checkpoint(tmp_path, reference_model)
    edit_state(folder, lambda s: s.update({k: v.half() for k, v in s.items()}))
    assert {x.dtype for x in read_checkpoint(folder).weights.values()} == {torch.float32}


def test_integer_weights_are_refused(folder: Path) -> None:
    edit_state(folder, lambda s: s.update({"encoder.enc_norm.bias": torch.zeros(32).long()}))
    assert refusal(folder).code == "not_floating_point"


def test_pad_token_of_upstreams_name_only(folder: Path) -> None:
    assert CONFIG["pad_token"] == "<pad>"
    edit_json(folder, "args.json", lambda a: a.update(pad_token="[PAD]"))
    assert refusal(folder).code == "unsupported_config"


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize(
    "name", ["transformer_encoder.layers.0.linear1.bias", "encoder.embedding.weight"]
)
def test_weights_that_are_no_numbers_answer_nothing(folder: Path, name: str, value: float) -> None:
    """Also where the answer would look plausible: oneDNN's ReLU makes 0 of NaN."""
    edit_state(folder, lambda s: s[name].view(-1).__setitem__(-1, value))
    embedder = Embedder.load(folder)
    with pytest.raises(CheckpointError, match=f"NaN or infinity in {name}, ") as caught:
        embedder.embed_genes(GENES)
    assert caught.value.code == "not_finite_weights"


def test_weights_that_a_precision_cannot_hold(folder: Path) -> None:
    name = "transformer_encoder.layers.0.linear1.bias"
    edit_state(folder, lambda s: s[name].view(-1).__setitem__(0, 70_000.0))
    read_checkpoint(folder).check_finite()
    with pytest.raises(CheckpointError, match=r"infinite in torch\.float16") as caught:
        read_checkpoint(folder).check_finite(torch.float16)
    assert caught.value.code == "not_finite_weights"


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module."])
def test_a_prefix_before_each_tensor_is_named(folder: Path, prefix: str) -> None:
    state = torch.load(folder / "best_model.pt", weights_only=True)
    torch.save({prefix + name: x for name, x in state.items()}, folder / "best_model.pt")
    found = refusal(folder)
    assert found.code == "prefixed_tensors"
    assert f"removeprefix({prefix!r})" in found.message


@pytest.mark.parametrize("name", ["best_model.pt", "args.json", "vocab.json"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"<html>", "web page"),
    ],
)
def test_what_is_no_checkpoint_at_all_is_named(
    folder: Path, name: str, content: bytes, words: str
) -> None:
    (folder / name).write_bytes(content)
    assert words in refusal(folder).message


def test_odd_checkpoints_end_in_a_sentence(folder: Path) -> None:
    state = torch.load(folder / "best_model.pt", weights_only=True)
    first = next(iter(state))
    for odd in (
        {0: state[first]},
        {**state, first: state[first].to_sparse()},
        {**state, first: state[first].to("meta")},
        [state],
    ):
        torch.save(odd, folder / "best_model.pt")
        assert refusal(folder).code in ("not_a_state_dict", "unsupported_tensors")


@pytest.mark.parametrize("name", ["args.json", "vocab.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, "1" * 5000, ""])
def test_json_that_no_reader_follows(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    assert refusal(folder).code == "unreadable_file"
