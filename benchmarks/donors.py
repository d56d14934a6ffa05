"""Made-up data sets of five kinds of cells, each of a donor of its own.

A donor has a mixture, an offset of each kind of its cells and a depth of sequencing of its own; so
two donors of one distribution differ by more than their cells do.
"""

from __future__ import annotations

import numpy as np

from scgpt_databricks.model.judge.drift import Sample

KINDS, WIDTH = 5, 32
MIXTURE = (0.4, 0.25, 0.15, 0.12, 0.08)
_SIZES = np.array([7.0, 7.5, 8.0, 8.5, 7.8])  # logarithm of the library size of each kind
_ALIKE = 30.0  # the larger, the more alike are the mixtures of two donors
_OFFSET, _NOISE = 0.03, 0.08


def donors(
    rng: np.random.Generator,
    many: int,
    *,
    cells: int = 100,
    width: int = WIDTH,
    mixture: tuple[float, ...] = MIXTURE,
    moved: float = 0.0,
    lost: float = 0.0,
    whole: float = 1.0,
    deeper: float = 0.0,
) -> Sample:
    """Draw data sets.

    Parameters
    ----------
    moved
        How far another model puts every cell from where it was.
    lost
        Share of the common genes that are gone.
    whole
        Share of the requests with whole numbers.
    deeper
        Added to the logarithm of library sizes.
    """
    fixed = np.random.default_rng(0)
    centres = fixed.normal(size=(KINDS, width)) / np.sqrt(width)
    data_set = np.repeat(np.arange(many), cells)
    shares = rng.dirichlet(np.array(mixture) * _ALIKE, size=many)
    kind = np.concatenate([rng.choice(KINDS, cells, p=share) for share in shares])
    offsets = rng.normal(size=(many, KINDS, width)) * _OFFSET * np.sqrt(WIDTH / width)
    noise = rng.normal(size=(len(kind), width)) * _NOISE * np.sqrt(WIDTH / width)
    vectors = centres[kind] + offsets[data_set, kind] + noise
    vectors += moved * np.roll(vectors, 1, axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    depth = rng.normal(0, 0.2, many)[data_set] + rng.normal(0, 0.4, len(kind)) + deeper
    known = 0.95 + rng.normal(0, 0.01, many)[data_set] + rng.normal(0, 0.02, len(kind))
    return Sample(
        tuple(f"donor-{number}" for number in range(many)),
        data_set,
        _SIZES[kind] + depth,
        np.clip(known, 0, 1),
        vectors.astype(np.float32),
        np.full(many, whole),
        np.clip(lost + rng.random(many) * 0.01, 0, 1),
    )
