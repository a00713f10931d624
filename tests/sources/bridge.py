"""A bridge for tests, on a real socket: speaks py4j's protocol as the listener does, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from exporter.secret import Secret
from exporter.sources.driver_folder import Connection

TOKEN = "tOkEn-of-43-characters-that-nobody-may-print"
SUCCESS = b"!yv\n"

# What is done with a call: the connection and the call's lines -> nothing; a connection it leaves open is served on.
Answer = Callable[[socket.socket, list[str]], None]


def says(text: str) -> Answer:
    """Answers every call with this text."""
    return raw(b"!ys" + text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").encode() + b"\n")


def raw(answer: bytes) -> Answer:
    """Answers every call with these bytes."""
    return lambda connection, call: connection.sendall(answer)


def hangs_up(after: bytes = b"") -> Answer:
    """Sends these bytes and closes the connection."""

    def answer(connection: socket.socket, call: list[str]) -> None:
        connection.sendall(after)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


class Bridge:
    """Listens on loopback while its block runs; `calls` are the lines of each call, `connections` counts them."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.tokens: list[str] = []
        self.calls: list[list[str]] = []
        self.port: int = self._listening.getsockname()[1]

    def connection(self, token: str = TOKEN) -> Connection:
        return Connection("local-1", "e1", self.port, Secret(token))

    def __enter__(self) -> Bridge:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for connection in self._open:
            connection.close()

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
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection.makefile("r", encoding="utf-8", newline="\n") as lines:
            try:
                assert lines.readline() == "A\n"
                self.tokens.append(lines.readline().removesuffix("\n"))
                wrong = self.tokens[-1] != TOKEN
                admits = b"!xsAuthentication error: bad auth token received.\n" if wrong else SUCCESS
                connection.sendall(admits)
                while not wrong:
                    call = []
                    while (line := lines.readline().removesuffix("\n")) not in ("e", ""):
                        call.append(line)
                    if not call:
                        return
                    self.calls.append(call)
                    answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    answer(connection, call)
            except OSError:
                return
