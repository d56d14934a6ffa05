"""The files of a checkpoint, and the identity that follows from their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

WEIGHTS_FILE, CONFIG_FILE, VOCAB_FILE = "best_model.pt", "args.json", "vocab.json"
IDS_FILE, ALIASES_FILE = "gene_ids.json", "gene_aliases.json"  # may lie beside them


@dataclass(frozen=True)
class CheckpointFiles:
    """The places of the files, whatever they are called.

    Parameters
    ----------
    weights, config, vocab
        The three files of every checkpoint.
    ids, aliases
        Ensembl ids to symbols, and former symbols to symbols, where there are any.
    """

    weights: Path
    config: Path
    vocab: Path
    ids: Path | None = None
    aliases: Path | None = None

    @classmethod
    def of(cls, directory: str | Path) -> CheckpointFiles:
        """The files of an official checkpoint directory."""
        folder = Path(directory)
        ids, aliases = folder / IDS_FILE, folder / ALIASES_FILE
        return cls(
            folder / WEIGHTS_FILE,
            folder / CONFIG_FILE,
            folder / VOCAB_FILE,
            ids if ids.exists() else None,
            aliases if aliases.exists() else None,
        )


def mistaken(path: Path) -> str:
    """Say what lies there in the place of a checkpoint's file, where its beginning tells."""
    with path.open("rb") as file:
        start = file.read(200).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return " It is a pointer of Git LFS, not the file: run `git lfs pull`."
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return " It is a web page, not the file: download the file itself."
    return ""


def files_digest(files: CheckpointFiles) -> str:
    """sha256 of the lines ``<role> <sha256 of the file>`` for weights, config and vocab, and for
    gene_ids and gene_aliases where there are such files.

    The names of the files do not enter, so the guide's own file names give the same digest.
    """
    lines = [
        f"{role} {_sha256(path)}\n"
        for role, path in (
            ("weights", files.weights),
            ("config", files.config),
            ("vocab", files.vocab),
            ("gene_ids", files.ids),
            ("gene_aliases", files.aliases),
        )
        if path is not None
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
