"""A web service for tests, on a real socket of loopback: answers what it is told to, and misbehaves on order."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

OVER = 10.0


class Asked(NamedTuple):
    """A request as it came; header names in small letters."""

    method: str
    target: str
    headers: dict[str, str]
    body: str


# What is done with a request: the connection and the request -> nothing; a connection it leaves open is served on.
Answer = Callable[[socket.socket, Asked], None]


def raw(answer: bytes) -> Answer:
    """Sends these bytes."""
    return lambda connection, asked: connection.sendall(answer)


def says(body: object, status: str = "200 OK", **headers: str) -> Answer:
    """Answers with this body: JSON of what is neither text nor bytes. Headers' names are written with `_` for `-`."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fields = {"Content_Type": "application/json", "Content_Length": str(len(content)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return raw(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content)


def zipped(body: bytes) -> Answer:
    """Answers with this body, compressed."""
    return says(gzip.compress(body), Content_Encoding="gzip")


def hangs_up(after: bytes = b"") -> Answer:
    """Sends these bytes and closes the connection."""

    def answer(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(after)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


class Server:
    """Listens on loopback while its block runs; `asked` are the requests, `connections` counts what they came over.

    Answers go out one after the other, the last one again and again. `closing` is set as the block ends: what drips or hangs
    waits on it.
    """

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.ended = threading.Semaphore(0)
        self.asked: list[Asked] = []
        self.connections = 0
        self.port: int = self._listening.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def drips(self, first: bytes, drop: bytes = b" ", every: float = 0.05) -> Answer:
        """Sends these bytes, and then a drop now and then for as long as somebody listens."""

        def answer(connection: socket.socket, asked: Asked) -> None:
            connection.sendall(first)
            while not self.closing.wait(every):
                connection.sendall(drop)

        return answer

    def hangs(self, connection: socket.socket, asked: Asked) -> None:  # noqa: ARG002 -- an Answer
        """Says nothing until the other side, or the block, ends."""
        connection.settimeout(None)
        connection.recv(1)

    def then(self, *answers: Answer) -> Server:
        """The same server with these answers, some of which need to know it."""
        self._answers = list(answers)
        return self

    def __enter__(self) -> Server:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(OVER)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True) as opened:
                opened.settimeout(OVER)
                self._open.append(opened)
                while (asked := _read(opened)) is not None:
                    with self._lock:
                        self.asked.append(asked)
                        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    answer(opened, asked)
        except OSError:
            connection.close()
        finally:
            self.ended.release()


def _read(connection: socket.socket) -> Asked | None:
    with connection.makefile("rb") as lines:
        first = lines.readline().decode().split()
        if not first:
            return None
        headers: dict[str, str] = {}
        while line := lines.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return Asked(first[0], first[1], headers, lines.read(int(headers.get("content-length", "0"))).decode())
