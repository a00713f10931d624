"""What a scraper asks for, read from its headers and its query; pure, and hands on what is of a known shape alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MAX_NAMES = 100
# What resources read of a query; all else in one is for nobody.
PARAMETERS = ("target", "cluster_id", "kind")

_OPENMETRICS_VERSIONS = ("", "1.0.0", "0.0.1")
_TEXT_VERSIONS = ("", "0.0.4")
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


class Wanted(NamedTuple):
    """One form of a page, and what else tells one answer from another; who wants the same is answered by the same bytes.

    `parameters` are those of PARAMETERS, as often as they were given. `host` is what the client calls us: a name or an address,
    and maybe a port; empty where it says nothing of that kind.
    """

    openmetrics: bool = False
    gzip: bool = False
    names: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    host: str = ""

    @property
    def form(self) -> Wanted:
        """What matters to a page that is the same for all hosts and parameters."""
        return Wanted(*self[:3])

    def values(self, parameter: str) -> tuple[str, ...]:
        """What was given for a parameter, in order."""
        return tuple(value for name, value in self.parameters if name == parameter)

    @property
    def content_type(self) -> str:
        """The type of a page of this form: one of two fixed texts."""
        return OPENMETRICS if self.openmetrics else TEXT


def wanted(accept: str, accept_encoding: str, query: str, host: str = "") -> Wanted:
    """What four texts of a request ask for, in the plainest form where they leave it open.

    Raises ValueError for a query that has more parts, or more names to filter by, than anybody needs.
    """
    fields = parse_qsl(query, keep_blank_values=True, max_num_fields=2 * MAX_NAMES)
    names = tuple(sorted({value for name, value in fields if name == "name[]"}))
    if len(names) > MAX_NAMES:
        raise ValueError(f"at most {MAX_NAMES} names can be filtered by")
    parameters = tuple(field for field in fields if field[0] in PARAMETERS)
    return Wanted(_openmetrics(accept), _gzip(accept_encoding), names, parameters, host if _HOST.fullmatch(host) else "")


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
