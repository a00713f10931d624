"""Requests that nobody should send: known bad ones, changed at random, and noise; each sent whole on its own connection."""

from __future__ import annotations

import random
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

PATIENCE_SECONDS = 30.0
WORDS = (
    b"GET", b"HEAD", b"POST", b" ", b"/", b"/metrics", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"Host: x", b":",
    b"\0", b"\xff", b"?name[]=", b"%", b"Content-Length: 7", b"Transfer-Encoding: chunked", b"Accept: */*",
)  # fmt: skip
MAX_NOISE_BYTES = 400
MAX_WORDS = 12
# What stands for a connection that was closed without an answer, and for one that could not be had.
NOTHING, UNREACHABLE = 0, -1
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def requests(seed: int, count: int, seeds: Sequence[bytes]) -> Iterator[bytes]:
    """So many, the same ones for the same seed; `seeds` are those that some of them are made of."""
    chance = random.Random(seed)  # noqa: S311 -- a run must be repeatable
    for _ in range(count):
        kind = chance.randrange(4)
        if kind == 0:
            yield b"".join(chance.choices(WORDS, k=chance.randint(1, MAX_WORDS)))
        elif kind == 1:
            yield b"GET /metrics HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % chance.randbytes(chance.randrange(MAX_NOISE_BYTES))
        else:
            yield _changed(chance, chance.choice(seeds))


def statuses(port: int, sent: Sequence[Iterator[bytes]]) -> Counter[int]:
    """How often which status came, NOTHING and UNREACHABLE counted too; as many clients at once as there are iterators."""
    with ThreadPoolExecutor(len(sent)) as clients:
        return sum(clients.map(lambda those: Counter(_status(port, one) for one in those), sent), Counter())


def _changed(chance: random.Random, request: bytes) -> bytes:
    """The request with a few of its bytes replaced, doubled or left out, and now and then cut."""
    found = bytearray(request)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) + 1)
        width = chance.randint(0, 3)
        found[at : at + width] = chance.choice((b"", chance.choice(WORDS), chance.randbytes(width), 2 * found[at : at + width]))
    if chance.random() < 1 / 8:
        del found[chance.randrange(len(found) + 1) :]
    return bytes(found)


def _status(port: int, request: bytes) -> int:
    try:
        one = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    except OSError:
        return UNREACHABLE
    with closing(one):
        try:
            one.sendall(request)
            one.shutdown(socket.SHUT_WR)
        except OSError:  # it was refused before all of it was sent
            pass
        answer = b""
        try:
            while part := one.recv(65536):
                answer = answer or part
        except ConnectionError:
            pass
    found = _STATUS.match(answer)
    return int(found[1]) if found else NOTHING
