"""Token <-> index, as much of torchtext's ``Vocab`` as scGPT's ``GeneVocab`` touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn


class Vocab(nn.Module):
    def __init__(self, vocab: dict[str, int]) -> None:
        super().__init__()
        self.vocab = vocab
        self.default: int | None = None

    def __contains__(self, token: str) -> bool:
        return token in self.vocab

    def __getitem__(self, token: str) -> int:
        if token in self.vocab:
            return self.vocab[token]
        if self.default is None:
            raise RuntimeError(f"unknown token {token!r} and no default index")
        return self.default

    def __len__(self) -> int:
        return len(self.vocab)

    def forward(self, tokens: Iterable[str]) -> list[int]:
        return [self[token] for token in tokens]

    def insert_token(self, token: str, index: int) -> None:
        if index != len(self.vocab):
            raise RuntimeError(f"{token!r} must get index {len(self.vocab)}, not {index}")
        self.vocab[token] = index

    def append_token(self, token: str) -> None:
        self.insert_token(token, len(self.vocab))

    def set_default_index(self, index: int | None) -> None:
        self.default = index

    def get_default_index(self) -> int | None:
        return self.default

    def get_stoi(self) -> dict[str, int]:
        return dict(self.vocab)

    def get_itos(self) -> list[str]:
        return sorted(self.vocab, key=self.vocab.__getitem__)


def vocab(ordered: Mapping[str, int], min_freq: int = 1) -> Vocab:
    kept = [token for token, frequency in ordered.items() if frequency >= min_freq]
    return Vocab({token: index for index, token in enumerate(kept)})
