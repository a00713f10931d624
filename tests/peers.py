"""Clients over raw sockets, for tests of the web front: what they send is exactly what the test says."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from exporter.answer import Answer, Plain, Resource, text
from exporter.negotiation import TEXT
from exporter.web import Front

PAGE = b"lake_up 1\n"
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
KEPT = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def page(body: bytes = PAGE) -> Resource:
    """A page that is kept."""
    return Plain(lambda: Answer(200, TEXT, body))


@contextmanager
def fronted(
    resources: Mapping[str, Resource] | None = None, addresses: Sequence[str] = ("127.0.0.1:0",), **more: Any
) -> Iterator[Front]:
    """A front with a page at /metrics and a path that is healthy."""
    healthy = Plain(lambda: text(200, "healthy"))
    with closing(Front(addresses, {"/metrics": page(), "/-/healthy": healthy, **(resources or {})}, **more)) as one:
        yield one


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def rest(peer: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset ends it, too."""
    parts = []
    try:
        while part := peer.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def said(port: int, sent: bytes) -> bytes:
    """What comes back for exactly these bytes, until the other side closes."""
    with closing(connected(port)) as peer:
        with suppress(ConnectionError):
            peer.sendall(sent)
        return rest(peer)


def one_answer(peer: socket.socket) -> bytes:
    """The next answer of a connection that is kept."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = peer.recv(1)
        assert part, found
        found += part
    (length,) = re.findall(rb"Content-Length: (\d+)", found)
    parts, missing = [found], int(length)
    while missing:
        part = peer.recv(min(missing, 65536))
        assert part, found
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def status(answer: bytes) -> int:
    """The status of the first answer, 0 for none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0
