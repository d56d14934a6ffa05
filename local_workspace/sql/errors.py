"""The error of a statement."""

from __future__ import annotations


class SqlError(Exception):
    """A statement that cannot be run; the message begins with the error class in brackets."""
