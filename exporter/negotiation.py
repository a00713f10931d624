"""What a scraper asks for, read from its headers and its query; pure, and nothing that it sends is ever echoed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MAX_NAMES = 100

_OPENMETRICS_VERSIONS = ("", "1.0.0", "0.0.1")
_TEXT_VERSIONS = ("", "0.0.4")
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


class Wanted(NamedTuple):
    """One form of a page; two requests that want the same are answered by the same bytes."""

    openmetrics: bool = False
    gzip: bool = False
    names: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        """The type of a page of this form: one of two fixed texts."""
        return OPENMETRICS if self.openmetrics else TEXT


def wanted(accept: str, accept_encoding: str, query: str) -> Wanted:
    """The form that three texts of a request ask for, the plainest where they leave it open.

    Raises ValueError for a query that has more parts, or more names to filter by, than anybody needs.
    """
    fields = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * MAX_NAMES)
    names = tuple(sorted({value for name, value in fields if name == "name[]"}))
    if len(names) > MAX_NAMES:
        raise ValueError(f"at most {MAX_NAMES} names can be filtered by")
    return Wanted(_openmetrics(accept), _gzip(accept_encoding), names)


def _openmetrics(accept: str) -> bool:
    asked = text = 0.0
    ranges: dict[str, float] = {}
    for kind, parameters, quality in _choices(accept):
        version = parameters.get("version", "")
        if kind == "application/openmetrics-text" and version in _OPENMETRICS_VERSIONS:
            asked = max(asked, quality)
        elif kind != "text/plain" or version in _TEXT_VERSIONS:
            ranges[kind] = max(quality, ranges.get(kind, 0.0))
    # The most exact range that speaks of text decides: `text/plain;q=0, */*` does not want text.
    text = next((ranges[kind] for kind in ("text/plain", "text/*", "*/*") if kind in ranges), 0.0)
    return asked > 0 and asked >= text


def _gzip(accept_encoding: str) -> bool:
    qualities = {coding: quality for coding, _, quality in _choices(accept_encoding)}
    quality = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return quality > 0 and quality >= qualities.get("identity", 0.0)


def _choices(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """The choices of a header, each with its parameters and its quality; one whose quality can't be read is none."""
    for choice in header.split(","):
        name, *rest = (part.strip().lower() for part in choice.split(";"))
        parameters = {}
        for part in rest:
            key, _, value = part.partition("=")
            parameters[key.rstrip()] = value.strip().strip('"')
        quality = parameters.pop("q", "1")
        if name and _QUALITY.fullmatch(quality):
            yield name, parameters, float(quality)
