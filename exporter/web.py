"""The web front: listens, accepts, lets go, and ends in order, on one thread; what a request means is answering's affair."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog

from exporter import listening
from exporter.answer import Answer, Plain, Resource
from exporter.answering import Answering
from exporter.connection import Connection, Limits
from exporter.request import Refusal
from exporter.web_security import Security

__all__ = ["Answer", "Front", "Limits", "Plain", "Resource"]

log = structlog.get_logger()

SWEEP_SECONDS = 0.25
# Until then a process out of file descriptors waits for one; asked again at once, the kernel would say the same for ever.
BREATH_SECONDS = 0.1
# What a connection that waits is given for one request more when the front ends: it may be on the way.
LAST_REQUEST_SECONDS = 0.5
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Why connections and requests were turned away: the keys of `Front.counts()`.
CAUSES = (
    "head", "write", "idle", "made", "handshake", "closing", "evicted", "full", "no_descriptor",
    "bad_request", "too_many_requests", "unauthorized", "security", "client_certificate", "fault",
)  # fmt: skip


class Front:
    """Serves `resources` by exact paths, `posts` to POST, on one thread until `close`; raises OSError where it can't listen."""

    def __init__(
        self,
        addresses: Sequence[str],
        resources: Mapping[str, Resource],
        limits: Limits = Limits(),  # noqa: B008 -- it is frozen
        security: Security | None = None,
        posts: Mapping[str, Resource] | None = None,
        sockets: Iterable[socket.socket] = (),
    ) -> None:
        self.limits = limits
        self._security = security
        self._connections: dict[Connection, socket.socket] = {}
        self._counts = dict.fromkeys(CAUSES, 0)
        self._sweep: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listeners = list(sockets)
        self._handed_over = bool(self._listeners)
        try:
            for address in addresses if not self._listeners else ():
                self._listeners.append(listening.opened(address))
        except OSError:
            for one in self._listeners:
                one.close()
            raise
        self.addresses = tuple(map(listening.name, self._listeners))
        self.ports = tuple(int(one.getsockname()[1]) for one in self._listeners if one.family != socket.AF_UNIX)
        self._ending: asyncio.Future[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_told)
        self._answering = Answering(self, self._loop, resources, posts or {}, security, limits)
        for one in self._listeners:
            self._loop.add_reader(one, self._accept, one)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The first of `ports`: the given one, or the one that the system chose for 0."""
        return self.ports[0]

    def counts(self) -> dict[str, int]:
        """How many connections and requests were turned away, by cause."""
        return dict(self._counts)

    def connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    def close(self, seconds: float = 0.0) -> None:
        """Ends listening; answers under way are finished, where that takes no longer than `seconds`."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._closed(seconds), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._answering.close()

    # What a connection tells

    def asked(self, connection: Connection, head: bytes) -> None:
        """An event of `Desk`."""
        self._answering.asked(connection, head)

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """An event of `Desk`."""
        self._answering.refused(connection, refusal)

    def shed(self, connection: Connection, cause: str) -> None:
        """An event of `Desk`, and how the front lets a connection go: at once, so that the next look does not find it."""
        self.count(cause)
        connection.deadline = math.inf
        one = self._connections.pop(connection, None)
        if cause == "write" and one is not None:
            # A reset: else the kernel would hold what is not read, megabytes a connection, for as long as the reader pleases.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if connection.transport is not None:
            connection.transport.abort()
        elif one is not None:
            # Still in its handshake: there the transport is asyncio's, which sees the end by itself.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._look_whether_over()

    def gone(self, connection: Connection) -> None:
        """An event of `Desk`."""
        self._connections.pop(connection, None)
        self._look_whether_over()

    # Accepting

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _accept(self, listener: socket.socket) -> bool:
        """Takes one connection, no more: out of descriptors, the kernel says so before it says that nobody is there."""
        try:
            one, peer = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            if error.errno not in EXHAUSTED:
                log.error("connection not accepted", error=str(error))
            self.count("no_descriptor")
            self._evict()
            self._loop.remove_reader(listener)
            self._loop.call_later(BREATH_SECONDS, self._accept_again, listener)
            return False
        one.setblocking(False)
        if len(self._connections) < self.limits.connections or self._evict():
            self._take(one, str(peer[0]) if isinstance(peer, tuple) else "")
        else:
            self._turn_away(one)
        return True

    def _accept_again(self, listener: socket.socket) -> None:
        if self._ending is None:
            self._loop.add_reader(listener, self._accept, listener)

    def _evict(self) -> bool:
        """Sheds the eldest connection that has no request under way; False where all have one."""
        for connection in self._connections:
            if not connection.busy or connection.penalised:
                self.shed(connection, "evicted")
                return True
        return False

    def _turn_away(self, one: socket.socket) -> None:
        self.count("full")
        if self._security is None or self._security.context() is None:
            try:
                one.send(self._answering.busy())
                one.shutdown(socket.SHUT_WR)
                # The request that comes now must not be answered by a reset, which would take the 503 back.
                one.recv(65536)
            except OSError:
                pass  # it is being closed anyway
        one.close()

    def _take(self, one: socket.socket, peer: str) -> None:
        connection = Connection(self, peer)
        self._connections[connection] = one
        context = self._security.context() if self._security is not None else None
        task = self._loop.create_task(self._up(connection, one, context))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_SECONDS, self._swept)

    async def _up(self, connection: Connection, one: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, one, ssl=context, ssl_handshake_timeout=self.limits.handshake if context else None
            )
        except OSError:  # a handshake that failed or took too long, or a peer that is gone
            if self._connections.pop(connection, None) is not None:
                self.count("handshake")
            one.close()
            self._look_whether_over()

    def _swept(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._connections if one.deadline < now]:
            connection.overdue()
        self._sweep = self._loop.call_later(SWEEP_SECONDS, self._swept) if self._connections else None

    async def _closed(self, seconds: float) -> None:
        self._ending = self._loop.create_future()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            # Whoever is in the queue was told that it is connected; that of one which was handed over is the next process's.
            if not self._handed_over:
                listening.hush(listener)
                while self._accept(listener):
                    pass
            listener.close()
        for connection in list(self._connections):
            connection.finish(min(LAST_REQUEST_SECONDS, seconds))
        self._look_whether_over()
        await asyncio.wait([self._ending], timeout=seconds)
        for connection in list(self._connections):
            self.shed(connection, "closing")
        if self._sweep is not None:
            self._sweep.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        # One more turn, in which the transports that were shed close their sockets.
        await asyncio.sleep(0)

    def _look_whether_over(self) -> None:
        if self._ending is not None and not self._connections and not self._ending.done():
            self._ending.set_result(None)

    # What answering wants to know

    def count(self, cause: str) -> None:
        """A word of `House`."""
        self._counts[cause] += 1

    def holds(self, connection: Connection) -> bool:
        """A word of `House`."""
        return connection in self._connections

    def ending(self) -> bool:
        """A word of `House`."""
        return self._ending is not None


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001 -- asyncio's signature
    error = context.get("exception")
    # A client that goes away is nobody's fault, and no reason for a traceback; all else is a fault of ours.
    if not isinstance(error, OSError):
        log.error("web front", told=context.get("message"), exc_info=error)
