"""Load for one server, as a program: a few connections that ask again as soon as they are answered; prints how it went.

Where a server keeps no connection, each request opens one: that is what scraping it costs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import selectors
import socket
import time
from contextlib import ExitStack, closing
from typing import NamedTuple

from benchmarks.report import quantile

BUFFER_BYTES = 1 << 20
PATIENCE_SECONDS = 60.0
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Round(NamedTuple):
    """How one round went: answers, all of them 200 and whole, a second, and how long one takes."""

    requests: int
    a_second: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int


@dataclasses.dataclass
class _Client:
    """A connection, and how far its answer has come; `missing` is what its body lacks, -1 until its head is here."""

    request: bytes
    socket: socket.socket
    began: float = 0.0
    head: bytes = b""
    missing: int = -1

    def ask(self, began: float) -> None:
        self.began, self.head, self.missing = began, b"", -1
        self.socket.sendall(self.request)

    def close(self) -> None:
        self.socket.close()

    def answered(self, buffer: memoryview) -> bool:
        """Takes what has come; whether that was the last of it. Raises ValueError for any answer but a whole 200."""
        count = self.socket.recv_into(buffer)
        if not count:
            raise ValueError("the connection ended amid an answer")
        if self.missing >= 0:
            self.missing -= count
            return not self.missing
        self.head += buffer[:count]
        end = self.head.find(_END)
        if end < 0:
            return False
        found = _LENGTH.search(self.head, 0, end + 2)
        if found is None or self.head.split(b" ", 2)[1] != b"200":
            raise ValueError(f"no answer to count: {self.head[:end]!r}")
        self.missing = int(found[1]) - (len(self.head) - end - len(_END))
        self.head = self.head[:end]
        return not self.missing

    @property
    def length(self) -> int:
        """How long the last answer's body was."""
        found = _LENGTH.search(self.head + b"\r\n")
        return int(found[1]) if found else 0

    @property
    def kept(self) -> bool:
        """Whether the connection may be asked again."""
        return self.head.startswith(b"HTTP/1.1 ") and b"\r\nconnection: close" not in self.head.lower()


def drive(port: int, request: bytes, seconds: float, connections: int) -> Round:
    """Asks for so long, hears out what is under way then, and tells how it went; raises ValueError for a wrong answer."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    took: list[float] = []
    with selectors.DefaultSelector() as asked, ExitStack() as stack:
        clients = [_Client(request, _opened(port)) for _ in range(connections)]
        for client in clients:
            stack.callback(client.close)
        began = last = time.perf_counter()
        for client in clients:
            client.ask(time.perf_counter())
            asked.register(client.socket, selectors.EVENT_READ, client)
        while asked.get_map():
            ready = asked.select(PATIENCE_SECONDS)
            if not ready:
                raise ValueError(f"no answer within {PATIENCE_SECONDS:g} seconds")
            for key, _ in ready:
                client = key.data
                if not client.answered(buffer):
                    continue
                last = time.perf_counter()
                took.append(last - client.began)
                more = last - began < seconds
                if more and client.kept:
                    client.ask(last)
                    continue
                asked.unregister(client.socket)
                client.close()
                if more:
                    client.socket = _opened(port)
                    client.ask(last)
                    asked.register(client.socket, selectors.EVENT_READ, client)
    took.sort()
    return Round(
        len(took), len(took) / (last - began), 1000 * quantile(took, 0.5), 1000 * quantile(took, 0.99), clients[0].length
    )


def fetched(port: int, request: bytes) -> bytes:
    """The body of one answer; raises ValueError where that is no 200."""
    with closing(_opened(port)) as one:
        one.sendall(request)
        found = b""
        while part := one.recv(BUFFER_BYTES):
            found += part
    head, _, body = found.partition(_END)
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise ValueError(f"no answer to count: {head!r}")
    return body


def request(*headers: str) -> bytes:
    """A scrape of /metrics as Prometheus sends it, compressed, with these headers besides."""
    lines = ("GET /metrics HTTP/1.1", "Host: 127.0.0.1", "Accept: text/plain;version=0.0.4", "Accept-Encoding: gzip", *headers)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def _opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    print(json.dumps(drive(options.port, request(*options.header), options.seconds, options.connections)))


if __name__ == "__main__":
    main()
