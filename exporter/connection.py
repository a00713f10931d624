"""One connection of the web front: bytes in to heads, answers to bytes out, each within its deadline; knows no path."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Protocol

from exporter.request import END, MAX_HEAD_BYTES, Refusal, premature

# A piece that is handed to the kernel at once: a slow reader holds no more of a page than this beside the page itself.
PIECE = 256 * 1024
# How long a client that was refused may go on talking: closed at once, it would lose the answer.
LAST_WORDS_SECONDS = 1.0
TOO_MANY = Refusal(429, "too many requests at once")
TOO_SLOW = Refusal(408, "request not complete in time")


@dataclass(frozen=True)
class Limits:
    """What one front bears, in connections, seconds and requests."""

    connections: int = 512
    handshake: float = 5.0
    head: float = 5.0
    made: float = 60.0
    write: float = 10.0
    idle: float = 300.0
    pipelined: int = 16
    makings: int = 64
    penalty: float = 1.0


class Desk(Protocol):
    """Where a connection hands its requests in."""

    limits: Limits

    def asked(self, connection: Connection, head: bytes) -> None:
        """A whole head came; `connection.reply` or `connection.refuse` follows, now or later, or it is shed."""
        ...

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """What came is no request."""
        ...

    def shed(self, connection: Connection, cause: str) -> None:
        """A deadline has passed."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection is closed."""
        ...


class Connection(asyncio.Protocol):
    """Reads one head after the other; the next is looked at when the answer to the one before is written."""

    def __init__(self, desk: Desk, peer: str) -> None:
        self._desk = desk
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.busy = False
        self.penalised = False
        self.answered = 0
        self.cause = "handshake"
        self.deadline = time.monotonic() + desk.limits.handshake + 1.0  # asyncio's own deadline for it comes first
        self._patience = math.inf
        self._pending = b""
        self._rest: memoryview | None = None
        self._keep = False
        self._writing_paused = self._reading_paused = False
        self._advancing = self._ended = self._draining = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The way is open, TLS and all: the clock for the first head starts."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 -- what TCP has; tells the type checker
        self.transport = transport
        # Not 0: asyncio's TLS takes an empty buffer for a full one then, pauses, and is never heard of again.
        transport.set_write_buffer_limits(1)
        self._await("head", min(self._desk.limits.head, self._patience))

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._draining:
            return
        self._pending = self._pending + data if self._pending else data
        if not self.busy:
            self._advance()
        elif len(self._pending) > MAX_HEAD_BYTES and self.transport is not None:
            self._reading_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The client says no more; what it asked before is still answered, where the way can be half closed."""
        self._ended = True
        return self.busy and not self._draining and self.transport is not None and self.transport.can_write_eof()

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """All that was handed over is gone."""
        self._writing_paused = False
        # Not at once: asyncio is still at work on this transport, and one that is closed here it would close twice.
        asyncio.get_running_loop().call_soon(self._resumed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- why a client went away is its affair
        """The end, whoever made it."""
        self.busy = False
        self._rest = None
        self._pending = b""
        self._desk.gone(self)

    def reply(self, head: bytes, body: bytes, *, keep: bool) -> None:
        """Writes an answer; with `keep`, the next request follows."""
        if self.transport is None or self.transport.is_closing():
            return
        self._keep = keep
        self._await("write", self._desk.limits.write)
        if len(body) <= PIECE:
            self._rest = memoryview(b"")
            self.transport.write(head + body)
        else:
            self._rest = memoryview(body)
            self.transport.write(head)
        self._write()

    def refuse(self, answer: bytes) -> None:
        """Writes an answer, hears the client out for a moment, and closes."""
        self._pending = b""
        self._draining = True
        self.busy = True
        self.reply(answer, b"", keep=False)

    def overdue(self) -> None:
        """Its deadline has passed."""
        if self._draining or self.cause != "head" or not self._pending:
            self._desk.shed(self, "closing" if self._draining else self.cause)
        else:
            self._desk.refused(self, TOO_SLOW)

    def finish(self, seconds: float) -> None:
        """Waits for a request no longer than so many seconds: one may be on the way, and hears that it is the last."""
        self._patience = seconds
        if not self.busy:
            self.deadline = min(self.deadline, time.monotonic() + seconds)

    def _await(self, cause: str, seconds: float) -> None:
        self.cause = cause
        self.deadline = time.monotonic() + seconds

    def _advance(self) -> None:
        self._advancing = True
        while self._pending and not self.busy and not self._draining:
            if self.cause == "idle":
                self._await("head", self._desk.limits.head)
            end = self._pending.find(END)
            if end < 0 or end + len(END) > MAX_HEAD_BYTES:
                if refusal := premature(self._pending):
                    self._desk.refused(self, refusal)
                break
            head, self._pending = self._pending[: end + len(END)], self._pending[end + len(END) :]
            if self._pending and self._pending.count(END) >= self._desk.limits.pipelined:
                self._desk.refused(self, TOO_MANY)
                break
            self.busy = True
            self._await("made", self._desk.limits.made)
            self._desk.asked(self, head)
        self._advancing = False

    def _resumed(self) -> None:
        if self._rest is not None:
            self._write()

    def _write(self) -> None:
        assert self.transport is not None  # noqa: S101 -- nothing is written before connection_made
        # A client that went away is noticed by the first piece; asyncio would complain of each of the others.
        while self._rest and not self._writing_paused and not self.transport.is_closing():
            piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
            self.transport.write(piece)
        if not self._rest and not self._writing_paused and not self.transport.is_closing():
            self._rest = None
            self._written()

    def _written(self) -> None:
        assert self.transport is not None  # noqa: S101 -- the same
        self.answered += 1
        if self._keep:
            self.busy = False
            self._await("idle", min(self._desk.limits.idle, self._patience))
            if self._reading_paused:
                self._reading_paused = False
                self.transport.resume_reading()
            if not self._advancing:
                self._advance()
            if self._ended and not self.busy:
                self.transport.close()
        elif self._draining and not self._ended and self.transport.can_write_eof():
            self.transport.write_eof()
            self._await("closing", LAST_WORDS_SECONDS)
        else:
            # Its deadline stays that of the writing: of what goes through TLS, asyncio may still hold a part for a slow reader.
            self.transport.close()
