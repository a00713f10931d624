"""The head of a request, from bytes to what it asks or why it is refused; pure, and h11 alone reads HTTP."""

from __future__ import annotations

import re
from typing import NamedTuple

import h11

from exporter.negotiation import Wanted, wanted

MAX_HEAD_BYTES = 16 * 1024
MAX_TARGET_BYTES = 8 * 1024
MAX_HEADERS = 100
END = b"\r\n\r\n"

# Prometheus' own default, for who does not say how long it waits; and what an answer needs for its way.
SCRAPE_TIMEOUT = 10.0
TIMEOUT_OFFSET = 0.5
# A connection whose answer takes a minute is let go.
SHORTEST_PATIENCE, LONGEST_PATIENCE = 0.1, 50.0

_METHODS = ("GET", "HEAD", "POST")
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n")
_METHOD_START = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: |$)")
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
# Proxies differ in how they read these; whoever sends them wants one request to be seen as two.
_SMUGGLING = re.compile(rb"\r\n[ \t]|(?<!\r)\n|\r(?!\n)|\0")


class Request(NamedTuple):
    """What is asked; `keep` where the connection may be asked again.

    `patience` is for how many seconds the answer may be waited for, where waiting makes it a better one.
    """

    method: str
    path: str
    wanted: Wanted
    keep: bool
    legacy: bool  # HTTP/1.0, whose clients take a connection for closed unless told
    authorization: str
    patience: float


class Refusal(NamedTuple):
    """Why a request is not answered; its connection is closed."""

    status: int
    words: str


def premature(start: bytes) -> Refusal | None:
    """Why a head that has not ended yet will be refused, told early; None while it may still become a request."""
    line, feed, _ = start.partition(b"\n")
    if len(line) > MAX_TARGET_BYTES:
        return Refusal(414, "request line too long")
    if len(start) > MAX_HEAD_BYTES:
        return Refusal(431, "request head too large")
    if (not feed and not _METHOD_START.match(start)) or (feed and not _LINE.fullmatch(line + feed)) or b"\n\n" in start:
        return Refusal(400, "not HTTP/1.1")
    return None


def parsed(head: bytes) -> Request | Refusal:
    """A head up to and with its empty line, read."""
    if refusal := premature(head):
        return refusal
    if _SMUGGLING.search(head):
        return Refusal(400, "malformed header")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return Refusal(400, "malformed request")
    if not isinstance(event, h11.Request):
        return Refusal(400, "malformed request")
    return _request(event)


def _request(event: h11.Request) -> Request | Refusal:
    if len(event.headers) > MAX_HEADERS:
        return Refusal(431, "too many headers")
    headers: dict[bytes, bytes] = {}
    for name, value in event.headers:
        headers[name] = headers[name] + b", " + value if name in headers else value
    if refusal := _refused(event, headers):
        return refusal
    path, _, query = event.target.decode("ascii").partition("?")
    accept, encoding, authorization, host, timeout = (headers.get(name, b"").decode("latin-1") for name in _NEGOTIATED)
    try:
        form = wanted(accept, encoding, query, host)
    except ValueError:
        return Refusal(400, "too many names")
    legacy = event.http_version == b"1.0"
    options = {option.strip() for option in headers.get(b"connection", b"").lower().split(b",")}
    keep = b"close" not in options and (not legacy or b"keep-alive" in options)
    return Request(event.method.decode("ascii"), path, form, keep, legacy, authorization, _patience(timeout))


_NEGOTIATED = (b"accept", b"accept-encoding", b"authorization", b"host", b"x-prometheus-scrape-timeout-seconds")


def _patience(timeout: str) -> float:
    seconds = float(timeout) if _SECONDS.fullmatch(timeout) else SCRAPE_TIMEOUT
    return min(max(seconds - TIMEOUT_OFFSET, SHORTEST_PATIENCE), LONGEST_PATIENCE)


def _refused(event: h11.Request, headers: dict[bytes, bytes]) -> Refusal | None:
    if event.method.decode("ascii") not in _METHODS:
        return Refusal(405, "method not allowed")
    if b"transfer-encoding" in headers:
        return Refusal(400, "no body is taken")
    if headers.get(b"content-length", b"0").strip(b"0"):
        return Refusal(413, "no body is taken")
    if not event.target.startswith(b"/"):
        return Refusal(400, "not a path")
    if not _HOST.fullmatch(headers.get(b"host", b"")):
        return Refusal(400, "not a host")
    return None
