"""Databricks' enum values as label values: small letters, and a bounded set of them; pure."""

from __future__ import annotations

from collections.abc import Collection

OTHER = "other"
"""In the place of a value that is not among those known here: Databricks adds new ones without a word."""


def known(value: str | None, allowed: Collection[str]) -> str:
    """`value` in small letters where it is one of `allowed`, else OTHER; empty where nothing was said."""
    if not value:
        return ""
    word = value.lower()
    return word if word in allowed else OTHER
