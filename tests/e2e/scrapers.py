"""Clients that scrape as fast as they can and judge every answer by its length; each has a thread of its own."""

from __future__ import annotations

import enum
import random
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n"
CLIENTS = 4
PATIENCE_SECONDS = 20.0
# As long as nobody listens: asked without a pause, the clients would take the processor from the exporter that starts.
BREATH_SECONDS = 0.01


class Outcome(enum.Enum):
    """What became of one scrape."""

    WHOLE = "an answer as long as its head says"
    CUT = "bytes of an answer, and not all of them"
    UNANSWERED = "a request on a new connection, and no byte of an answer"
    RACED = "a request on a connection that had been answered before, and no byte: HTTP leaves it to the client to ask again"
    NOT_TAKEN = "no connection, or no handshake on it: nothing was asked"


class Scrapers:
    """Four clients of one port, while its block runs, two of them for gzip; each of their connections is for 1 to `most` scrapes."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, seed: int, *, most: int = 8) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._port, self._tls, self._most = port, tls, most
        self._over = threading.Event()
        self._lock = threading.Lock()
        drawn = random.Random(seed)
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(drawn.random()), (b"identity", b"gzip")[number % 2]))
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Scrapers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Lets each finish the scrape it is at."""
        self._over.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _run(self, drawn: random.Random, encoding: bytes) -> None:
        while not self._over.is_set():
            for outcome in self._connection(REQUEST % encoding, drawn.randint(1, self._most)):
                with self._lock:
                    self.outcomes[outcome] += 1
                if outcome is Outcome.NOT_TAKEN:
                    self._over.wait(BREATH_SECONDS)

    def _connection(self, request: bytes, most: int) -> Iterator[Outcome]:
        """What becomes of each of at most so many scrapes on one connection."""
        try:
            with connected(self._port, self._tls) as peer:
                for number in range(most):
                    head, missing = asked(peer, request)
                    if not head:
                        yield Outcome.RACED if number else Outcome.UNANSWERED
                        return
                    yield Outcome.CUT if missing else Outcome.WHOLE
                    if missing or b"\r\nConnection: close\r\n" in head:
                        return
        except OSError:
            yield Outcome.NOT_TAKEN


@contextmanager
def connected(port: int, tls: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A new connection, its handshake done; raises OSError where there is none to be had."""
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)) as plain:
        if tls is None:
            yield plain
            return
        with closing(tls.wrap_socket(plain, server_hostname="127.0.0.1")) as peer:
            yield peer


def asked(peer: socket.socket, request: bytes) -> tuple[bytes, int]:
    """The head of what came for this request, and how many bytes of the answer never came; b"" where not one came."""
    received, head, missing = bytearray(), b"", 1
    try:
        peer.sendall(request)
        while missing and (part := peer.recv(1 << 18)):
            received += part
            if not head and (end := received.find(b"\r\n\r\n")) > 0:
                head = bytes(received[: end + 4])
            if head:
                missing = len(head) + int(re.findall(rb"Content-Length: (\d+)\r\n", head)[0]) - len(received)
    except OSError:  # reset, or without a word for too long: what came until then is judged
        pass
    return head or bytes(received), missing
