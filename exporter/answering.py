"""Requests to answers: who may ask, what stands behind a path, and one making for all who want the same; owns no socket."""

from __future__ import annotations

import asyncio
import contextlib
import http
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import structlog

from exporter.answer import Answer, Later, Resource, text
from exporter.connection import Connection, Limits
from exporter.request import Refusal, Request, parsed
from exporter.response import CLOSE, KEEP, Heads
from exporter.web_security import Security
from exporter.workers import Workers

log = structlog.get_logger()

READING = ("GET", "HEAD")
MAX_KEPT_HEADS = 256
MAX_KEPT_HEAD_BYTES = 2048
MAX_LOGINS = 8
# Whoever guesses passwords burns this thread's share of a processor, and not that of those who are let in.
LOGIN_NICENESS = 10
# So often it is looked whether what is waited for is there.
PAUSE_SECONDS = 0.1
NOT_FOUND = text(404, "not found")
BUSY = text(503, "too busy", ("Retry-After", "1"))

T = TypeVar("T")


class House(Protocol):
    """The front, as far as answering needs it."""

    def shed(self, connection: Connection, cause: str) -> None:
        """Ends a connection without a word."""
        ...

    def count(self, cause: str) -> None:
        """One more was turned away for this cause."""
        ...

    def holds(self, connection: Connection) -> bool:
        """Whether the connection is still there."""
        ...

    def ending(self) -> bool:
        """Whether no request shall follow the ones that are under way."""
        ...


class Answering:
    """Answers on the front's one thread, `loop`'s; what takes longer is done by workers."""

    def __init__(
        self,
        house: House,
        loop: asyncio.AbstractEventLoop,
        resources: Mapping[str, Resource],
        posts: Mapping[str, Resource],
        security: Security | None,
        limits: Limits,
    ) -> None:
        self._house, self._loop = house, loop
        self._resources, self._posts = dict(resources), dict(posts)
        self._security = security
        self._penalty = limits.penalty
        self._requests: dict[bytes, Request] = {}
        self._flights: dict[Hashable, list[tuple[Connection, Callable[[Future[Any]], None]]]] = {}
        self._response = Heads()
        self._makers = Workers("web-maker", 2, limits.makings)
        self._logins = Workers("web-passwords", 1, MAX_LOGINS, LOGIN_NICENESS)

    def close(self) -> None:
        """Ends the workers."""
        self._makers.close()
        self._logins.close()

    def asked(self, connection: Connection, head: bytes) -> None:
        """Sees to it that the request of this head is answered, now or later."""
        try:
            request = self._requests.get(head)
            if request is None:
                found = parsed(head)
                if isinstance(found, Refusal):
                    self.refused(connection, found)
                    return
                request = self._remembered(head, found)
            if self._security is None:
                self._routed(connection, request)
            else:
                self._guarded(connection, request, self._security)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not take other connections down
            self._fault(connection, error)

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Tells a client why what it sent is not answered."""
        self._house.count("too_many_requests" if refusal.status == http.HTTPStatus.TOO_MANY_REQUESTS else "bad_request")
        allowed = (("Allow", ", ".join(READING)),) if refusal.status == http.HTTPStatus.METHOD_NOT_ALLOWED else ()
        answer = text(refusal.status, refusal.words, *allowed)
        connection.refuse(self._response.of(answer, self._headers(), CLOSE) + answer.body)

    def busy(self) -> bytes:
        """What a connection is told that there is no room for."""
        return self._response.of(BUSY, (), CLOSE) + BUSY.body

    def _remembered(self, head: bytes, request: Request) -> Request:
        # A head with a password is not kept: nothing here shall hold one for longer than it is looked at.
        if len(head) <= MAX_KEPT_HEAD_BYTES and not request.authorization:
            if len(self._requests) >= MAX_KEPT_HEADS:
                del self._requests[next(iter(self._requests))]
            self._requests[head] = request
        return request

    def _guarded(self, connection: Connection, request: Request, security: Security) -> None:
        if not security.whole():
            self._house.count("security")
            self._refuse(connection, request, text(500, "web configuration broken"))
        elif not security.admits(connection.transport):
            self._house.shed(connection, "client_certificate")
        elif not security.lets(connection.peer):
            self._house.count("too_many_requests")
            self._answer(connection, request, text(429, "too many requests"))
        else:
            known = security.known(request.authorization)
            if known is None:
                key, examined = security.examiner(request.authorization)
                self._once(
                    connection,
                    ("password", key),
                    self._logins,
                    examined,
                    lambda future: self._judged(connection, request, admitted=future.result()),
                    lambda: self._penalised(connection, lambda: self._crowded(connection, request)),
                )
            elif known or not request.authorization:
                self._judged(connection, request, admitted=known)
            else:
                self._penalised(connection, lambda: self._judged(connection, request, admitted=False))

    def _penalised(self, connection: Connection, then: Callable[[], None]) -> None:
        """Lets who guesses wait: answered at once, thirty of them would ask so often that nobody else is heard."""
        self._after(self._penalty, connection, then)

    def _after(self, seconds: float, connection: Connection, then: Callable[[], None]) -> None:
        """Does `then` so much later; a connection that waits for time to pass is the first to go where there is no room."""
        connection.penalised = True

        def over() -> None:
            connection.penalised = False
            if self._house.holds(connection):
                try:
                    then()
                except Exception as error:  # noqa: BLE001 -- as in `asked`
                    self._fault(connection, error)

        self._loop.call_later(seconds, over)

    def _crowded(self, connection: Connection, request: Request) -> None:
        self._house.count("too_many_requests")
        self._refuse(connection, request, text(429, "too many logins at once"))

    def _judged(self, connection: Connection, request: Request, *, admitted: bool) -> None:
        if admitted:
            self._routed(connection, request)
        else:
            self._house.count("unauthorized")
            self._answer(connection, request, text(401, "unauthorized", ("WWW-Authenticate", "Basic")))

    def _routed(self, connection: Connection, request: Request, until: float | None = None) -> None:
        """Answers, at the moment `until` of the loop's clock at the latest where the resource would have it waited."""
        method, path, wanted = request[:3]
        resource = (self._posts if method == "POST" else self._resources).get(path)
        if resource is None:
            allowed = [*(READING if path in self._resources else ()), *(["POST"] if path in self._posts else ())]
            if allowed:
                self._refuse(connection, request, text(405, "method not allowed", ("Allow", ", ".join(allowed))))
            else:
                self._answer(connection, request, NOT_FOUND)
            return
        answer = resource.kept(wanted)
        if isinstance(answer, Answer):
            self._answer(connection, request, answer)
            return
        now = self._loop.time()
        until = now + request.patience if until is None else until
        if answer is Later.LATER and now < until and not self._house.ending():
            self._after(min(PAUSE_SECONDS, until - now), connection, lambda: self._routed(connection, request, until))
            return
        making = resource
        # One page is for all who want it; what acts does so for each who asks.
        alone = object() if method == "POST" else None
        self._once(
            connection,
            (method, path, wanted, alone),
            self._makers,
            lambda: making.made(wanted),
            lambda future: self._answer(connection, request, future.result()),
            lambda: self._answer(connection, request, BUSY),
        )

    def _once(
        self,
        connection: Connection,
        key: Hashable,
        workers: Workers,
        work: Callable[[], T],
        then: Callable[[Future[T]], None],
        otherwise: Callable[[], None],
    ) -> None:
        """Has `work` done by a worker, once for all who want the same meanwhile; `otherwise` where too much is waiting."""
        waiting = self._flights.get(key)
        if waiting is not None:
            waiting.append((connection, then))
            return
        future = workers.submit(work)
        if future is None:
            otherwise()
            return
        self._flights[key] = [(connection, then)]
        future.add_done_callback(lambda done: self._handed_back(key, done))

    def _handed_back(self, key: Hashable, done: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the front has ended meanwhile
            self._loop.call_soon_threadsafe(self._landed, key, done)

    def _landed(self, key: Hashable, done: Future[Any]) -> None:
        if (error := done.exception()) is not None:
            log.error("request not answered", exc_info=error)
        for connection, then in self._flights.pop(key):
            if not self._house.holds(connection):
                continue
            if error is not None:
                self._house.shed(connection, "fault")
                continue
            try:
                then(done)
            except Exception as fault:  # noqa: BLE001 -- as in `asked`
                self._fault(connection, fault)

    def _refuse(self, connection: Connection, request: Request, answer: Answer) -> None:
        body = b"" if request.method == "HEAD" else answer.body
        connection.refuse(self._response.of(answer, self._headers(), CLOSE) + body)

    def _answer(self, connection: Connection, request: Request, answer: Answer) -> None:
        keep = request.keep and not self._house.ending()
        option = "" if keep and not request.legacy else KEEP if keep else CLOSE
        head = self._response.of(answer, self._headers(), option)
        connection.reply(head, b"" if request.method == "HEAD" else answer.body, keep=keep)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        return self._security.headers() if self._security is not None else ()

    def _fault(self, connection: Connection, error: BaseException) -> None:
        log.error("request not answered", exc_info=error)
        self._house.shed(connection, "fault")
