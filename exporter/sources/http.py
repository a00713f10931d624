"""One HTTP call under one deadline, from the name's lookup to the body's last byte; alone opens connections to web services."""

from __future__ import annotations

import functools
import logging
import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import prepend_scheme_if_needed

from exporter import __version__
from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.http_failures import BadBody, failure

MAX_BODY_BYTES = 64 * 1024 * 1024
# A call that is overdue keeps its thread until the name's lookup, which nothing can end, is over: hence a cap.
MAX_CALLS = 4
USER_AGENT = f"lakehouse-exporter/{__version__}"

_CHUNK_BYTES = 64 * 1024
_ID = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,128}")

Headers = Mapping[str, Secret]
Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Endpoint:
    """What may be asked: `name` for labels, the method, and a path whose {members} are ids."""

    name: str
    method: str
    path: str


@dataclass(frozen=True)
class Request:
    """One call. `hidden` are secrets, beside those of the headers, that an answer must not bring back to light."""

    endpoint: Endpoint
    ids: Mapping[str, str] = field(default_factory=dict)
    parameters: Parameters = ()
    headers: Headers = field(default_factory=dict)
    body: Secret | None = None
    content_type: str = "application/json"
    hidden: tuple[Secret, ...] = ()


@dataclass(frozen=True)
class Response:
    """An answer, whatever its status; header names in small letters, the body inflated."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Network:
    """How to get there: a proxy (which may bear a password) and the authorities to trust; the environment is not asked."""

    proxy: Secret | None = None
    ca_file: Path | None = None


DIRECT = Network()


class Http:
    """Calls to one address, for any number of threads; no call outlives its deadline, and at most MAX_CALLS run at once.

    What the socket's own timeouts can't bound (a name's lookup, headers of a byte a second) is left behind on its thread,
    and its connection cut. `name` says in errors who is asked. Endpoints that are not among these raise before a socket opens.
    """

    def __init__(
        self,
        name: str,
        address: str,
        endpoints: AbstractSet[Endpoint],
        network: Network = DIRECT,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._address = address
        self._endpoints = endpoints
        self._network = network
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._calls: set[_Call] = set()
        self._idle: list[_Line] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._closed = False

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Calls so far by (endpoint's name, status); without an answer, by the reason instead."""
        with self._changed:
            return dict(self._counts)

    def send(self, request: Request, deadline: float) -> Response:
        """The answer, whatever its status, redirects among them; raises SourceError where there is none until `deadline`.

        The deadline is a moment of the monotonic clock.
        """
        endpoint = request.endpoint
        if endpoint not in self._endpoints:
            raise self._failed(endpoint, Reason.INTERNAL, "is not on the list of what may be asked")
        url = self._address + self._path(request)
        try:
            response = self._answer(request, url, deadline)
        except SourceError as error:
            self._count(endpoint, error.reason.value)
            raise
        self._count(endpoint, str(response.status))
        return response

    def close(self) -> None:
        """Ends every connection, and with it the calls under way, at once; later calls fail."""
        with self._changed:
            self._closed = True
            for call in self._calls:
                self._give_up(call, Reason.DISCONNECTED, "the exporter stops")
            while self._idle:
                self._idle.pop().close()
            self._changed.notify_all()

    def _answer(self, request: Request, url: str, deadline: float) -> Response:
        with self._changed:
            for call in self._calls:
                if call.outcomes:  # it may have opened its connection after it was cut
                    call.line.cut()
            self._changed.wait_for(lambda: self._closed or len(self._calls) < MAX_CALLS, deadline - self._monotonic())
            left = deadline - self._monotonic()
            if self._closed:
                raise self._failed(request.endpoint, Reason.DISCONNECTED, "the exporter stops")
            if len(self._calls) >= MAX_CALLS:
                raise self._failed(request.endpoint, Reason.TIMEOUT, f"{MAX_CALLS} other calls hang")
            if left <= 0:
                raise self._failed(request.endpoint, Reason.TIMEOUT, "no time is left to ask")
            call = _Call(request, self._idle.pop() if self._idle else _Line(self._network))
            # The thread is no part of the process that must end: what hangs in it can't be made to.
            thread = threading.Thread(target=self._run, args=(call, url, left), name=self.name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                call.line.close()
                raise self._failed(request.endpoint, Reason.INTERNAL, "no thread can be started") from None
            self._calls.add(call)
            if not self._changed.wait_for(lambda: call.outcomes, left):
                self._give_up(call, Reason.TIMEOUT, f"no answer within {left:.3g} s")
            outcome = call.outcomes[0]
        if isinstance(outcome, SourceError):
            raise outcome
        return outcome

    def _give_up(self, call: _Call, reason: Reason, what: str) -> None:
        call.outcomes.append(self._failed(call.request.endpoint, reason, what))
        call.line.cut()

    def _run(self, call: _Call, url: str, seconds: float) -> None:
        outcome: Response | SourceError
        _thread.is_ours = True
        try:
            outcome = call.line.exchange(call.request, url, seconds, self._max_bytes)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller waits for an outcome
            outcome = self._failed(call.request.endpoint, *failure(error))
        with self._changed:
            self._calls.discard(call)
            if isinstance(outcome, SourceError) or call.outcomes:
                call.line.close()
            else:
                self._idle.append(call.line)
            call.outcomes.append(outcome)
            self._changed.notify_all()

    def _count(self, endpoint: Endpoint, code: str) -> None:
        with self._changed:
            self._counts[endpoint.name, code] += 1

    def _path(self, request: Request) -> str:
        """The path with its ids; an id is never more than one member of a path."""
        for name, value in request.ids.items():
            if not _ID.fullmatch(value):
                raise self._failed(request.endpoint, Reason.INTERNAL, f"{name} is no id")
        try:
            return request.endpoint.path.format_map(request.ids)
        except KeyError as error:
            raise self._failed(request.endpoint, Reason.INTERNAL, f"{error.args[0]} is missing") from None

    def _failed(self, endpoint: Endpoint, reason: Reason, what: str) -> SourceError:
        return SourceError(reason, f"{self.name}: {endpoint.method} {endpoint.path}: {what}")


class _Call:
    """A call on its thread. The first outcome is its caller's, for whom it is then over, though the thread may not be."""

    def __init__(self, request: Request, line: _Line) -> None:
        self.request = request
        self.line = line
        self.outcomes: list[Response | SourceError] = []


class _Line:
    """One connection, opened at the first exchange and kept alive; used by one thread at a time, cut by any.

    An adapter without a Session around it: a Session asks ~/.netrc and the environment, keeps cookies, and reads the whole
    body of a redirect that nobody follows.
    """

    def __init__(self, network: Network) -> None:
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._ca_file = network.ca_file
        self._proxies: dict[str, str] = {}
        if network.proxy is not None:
            # As the adapter spells it when it looks for the manager that is made here.
            proxy = prepend_scheme_if_needed(network.proxy.reveal(), "http")  # type: ignore[no-untyped-call]
            self._proxies["https"] = proxy
        self._connection: Any = None
        self._socket: Any = None
        for manager in (self._adapter.poolmanager, *map(self._adapter.proxy_manager_for, self._proxies.values())):
            pools = manager.pool_classes_by_scheme
            manager.pool_classes_by_scheme = {scheme: functools.partial(self._pool, pool) for scheme, pool in pools.items()}

    def exchange(self, request: Request, url: str, seconds: float, max_bytes: int) -> Response:
        """Asks and reads the answer; raises what requests, urllib3 and the socket raise, and BadBody."""
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        prepared = requests.Request(
            request.endpoint.method,
            url,
            headers=headers,
            params=list(request.parameters),
            data=None if request.body is None else request.body.reveal().encode(),
            auth=functools.partial(_authorized, request.headers),
        ).prepare()
        if self._ca_file is not None:
            self._ca_file.stat()
        verify = True if self._ca_file is None else str(self._ca_file)
        # The caller's own deadline comes first, and cuts the line: a socket's timeout begins anew with every byte.
        answer = self._adapter.send(prepared, stream=True, timeout=seconds + 1, verify=verify, proxies=self._proxies)
        received = {name.lower(): value for name, value in answer.headers.items()}
        with closing(answer.raw) as content:
            chunks = iter(functools.partial(content.read, _CHUNK_BYTES, decode_content=False), b"")
            body = _body(chunks, received.get("content-encoding", ""), max_bytes)
        return Response(answer.status_code, received, body)

    def cut(self) -> None:
        """Ends an exchange under way on another thread."""
        # The connection forgets its socket once it knows that the answer ends with it. While a name is looked up there is
        # none, while hands are shaken it is another one, and both may be gone already.
        # Reading alone is ended: to shake hands over a socket that is all shut leaves it open behind the library's back.
        for opened in (self._connection and self._connection.sock, self._socket):
            with suppress(AttributeError, OSError):
                opened.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Lets go of the connection."""
        self._adapter.close()
        if self._connection is not None:
            self._connection.close()

    def _pool(self, pool: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """A pool as urllib3 makes it, whose connection is known here: it is the only way to what is to be cut."""
        made = pool(*arguments, **settings)
        made.ConnectionCls = functools.partial(self._opened, made.ConnectionCls)
        return made

    def _opened(self, connect: Callable[..., Any], **settings: Any) -> Any:
        self._connection = opened = connect(**settings)
        respond = opened.getresponse

        def getresponse(*arguments: Any, **named: Any) -> Any:
            self._socket = opened.sock
            return respond(*arguments, **named)

        opened.getresponse = getresponse
        return opened


def _is_others(record: logging.LogRecord) -> bool:  # noqa: ARG001 -- a logging.Filter
    return not getattr(_thread, "is_ours", False)


# urllib3 warns of headers that it can't read, and shows them: an answer may repeat the token there.
_thread = threading.local()
logging.getLogger("urllib3.connection").addFilter(_is_others)


def _authorized(headers: Headers, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    prepared.headers.update({name: value.reveal() for name, value in headers.items()})
    return prepared


def _body(chunks: Iterator[bytes], encoding: str, limit: int) -> bytes:
    """The body, inflated; raises BadBody where it is larger than the limit, or not what it says it is."""
    if encoding in {"", "identity"}:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            _check_size(body, limit)
        return bytes(body)
    if encoding not in {"gzip", "x-gzip"}:
        raise BadBody("an encoding that was not asked for")
    return _inflated(chunks, limit)


def _inflated(chunks: Iterator[bytes], limit: int) -> bytes:
    body = bytearray()
    inflater = None  # nothing at all is an empty body
    for chunk in chunks:
        rest = chunk
        while rest:
            if inflater is None or inflater.eof:  # gzip files may follow one another
                inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            body += inflater.decompress(rest, limit + 1 - len(body))
            _check_size(body, limit)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if inflater is not None and not inflater.eof:
        raise BadBody("a compressed body that ends in the middle")
    return bytes(body)


def _check_size(body: bytearray, limit: int) -> None:
    if len(body) > limit:
        raise BadBody(f"a body of more than {limit} bytes")
