"""Reviewed changes on GitHub: a plan as a comment, the digest that was reviewed, drift as an issue.

What the workflows in ``.github/workflows`` call; each function works the same at a laptop, where
nothing is posted.
"""

from __future__ import annotations

from .drift import Drift, find_drift, incomparable, post_drift
from .merged import reviewed_digest
from .review import Review, post_review, review, unplannable
from .summary import summary

__all__ = [
    "Drift",
    "Review",
    "find_drift",
    "incomparable",
    "post_drift",
    "post_review",
    "review",
    "reviewed_digest",
    "summary",
    "unplannable",
]
