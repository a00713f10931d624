"""The running workspace: the one mutable thing that all requests share. It moves the world, chooses faults, and answers."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit
from zlib import MAX_WBITS, compressobj

from exporter.demo.workspace.answers import identity, routes
from exporter.demo.workspace.answers.requests import Document, RefusedError, Request
from exporter.demo.workspace.faults import Fault, Kind, changed, forbid, refuse
from exporter.demo.workspace.ledger import Ledger
from exporter.demo.workspace.tokens import Credentials, grant
from exporter.demo.workspace.world.runs import Run
from exporter.demo.workspace.world.sizes import SECOND
from exporter.demo.workspace.world.world import World

JSON = "application/json"
LOGIN = b"<!doctype html><html><head><title>Sign in</title></head><body>Sign in to your workspace.</body></html>"
MIB = 1 << 20
KEPT_REQUESTS = 10_000


@dataclass(frozen=True)
class Asked:
    """A request that came, in order to see what a client does; its credentials are left out."""

    at_ms: int
    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What goes back; `manner` is a fault of the transport, or `None` for an answer that simply comes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    manner: Fault | None = None


class Workspace:
    """Time passes `speed` times as fast as `clock` tells seconds, or by `advance` alone where it is 0."""

    def __init__(self, world: World, speed: float, clock: Callable[[], float], url: str) -> None:
        self.world, self.url = world, url
        self.requests: deque[Asked] = deque(maxlen=KEPT_REQUESTS)
        self.credentials = Credentials()
        self._speed, self._clock, self._told = speed, clock, clock()
        self._faults: list[tuple[Fault, int | None]] = []
        self._lock = threading.Lock()

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    def now(self) -> float:
        """The workspace's time in epoch seconds; what falls into the time until then has happened."""
        with self._lock:
            self._catch_up()
            return self.world.now_ms / SECOND

    def advance(self, seconds: float) -> None:
        """Lets this much time pass at once."""
        with self._lock:
            self.world.advance(seconds)

    def start(
        self, job_id: int, ending: str = "success", seconds: float = 60.0, repairs: Sequence[tuple[float, float, str]] = ()
    ) -> Run:
        """Starts a run by hand: see `World.start`."""
        with self._lock:
            return self.world.start(job_id, ending, seconds, repairs)

    def faults(self, *faults: Fault) -> None:
        """These, and no others, from the next request on."""
        with self._lock:
            self._faults = [(fault, fault.times) for fault in faults]

    def accept(self, credentials: Credentials) -> None:
        """These credentials and no others, from the next request on: tokens of before are answered 401."""
        with self._lock:
            self.credentials = credentials

    def reply(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to one request, whose headers are named in small letters; safe on any thread."""
        path = urlsplit(target).path
        with self._lock:
            self._catch_up()
            self.requests.append(Asked(self.world.now_ms, method, target, b"" if path.startswith("/oidc/") else body))
            faults = self._due(path)
            status, document, more = self._answered(method, target, headers, body, faults)
            date = formatdate(self.world.now_ms / SECOND, usegmt=True)
        text = json.dumps(document).encode()
        more = {"Date": date, "Content-Type": JSON, "X-Databricks-Org-Id": str(identity.WORKSPACE_ID), **more}
        return _sent(status, more, text, faults, gzip="gzip" in headers.get("accept-encoding", ""))

    def _catch_up(self) -> None:
        now = self._clock()
        if self._speed:
            self.world.advance((now - self._told) * self._speed)
        self._told = now

    def _due(self, path: str) -> list[Fault]:
        """The faults of this request; those that last for some requests have one less."""
        due = [fault for fault, left in self._faults if fault.concerns(path) and left != 0]
        self._faults = [(fault, left - 1 if left and fault in due else left) for fault, left in self._faults]
        return due

    def _answered(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, faults: list[Fault]
    ) -> tuple[int, Document, dict[str, str]]:
        parts = urlsplit(target)
        odd = frozenset(fault.kind.value for fault in faults)
        try:
            query = {name: tuple(values) for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            refuse(faults)
            if parts.path == "/.well-known/databricks-config":
                return 200, identity.databricks_config(self.url), {}
            if parts.path == "/oidc/.well-known/oauth-authorization-server":
                return 200, identity.authorization_server(self.url), {}
            if (method, parts.path) == ("POST", "/oidc/v1/token"):
                form = {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
                now = self.world.now_ms / SECOND
                status, document, self.credentials = grant(self.credentials, form, headers.get("authorization", ""), now)
                return status, document, {}
            if not self.credentials.accepts(headers.get("authorization", ""), self.world.now_ms / SECOND):
                raise RefusedError(401, "UNAUTHENTICATED", "Credential was not sent, is not valid, or has expired.")
            request = Request(method, parts.path, query, _object(body), odd)
            forbid(request, faults)
            return 200, changed(routes.answer(self.world, request), faults), {}
        except RefusedError as error:
            retry = next((fault.value for fault in faults if fault.kind is Kind.THROTTLED and fault.value), None)
            more = {"Retry-After": retry} if retry and error.status == 429 else {}  # noqa: PLR2004
            return error.status, _error(parts.path, error), more


def _error(path: str, error: RefusedError) -> Document:
    if "/scim/" in path:
        return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "detail": str(error), "status": str(error.status)}
    return {"error_code": error.code, "message": str(error)}


def _object(body: bytes) -> Document:
    try:
        document = json.loads(body) if body else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RefusedError(400, "MALFORMED_REQUEST", "The body is no JSON object.")
    return document


def _sent(status: int, headers: dict[str, str], text: bytes, faults: list[Fault], *, gzip: bool) -> Reply:
    manner = None
    for fault in faults:
        if fault.kind in {Kind.SILENT, Kind.DRIP, Kind.RESET}:
            manner = fault
        elif fault.kind is Kind.LOGIN_PAGE:
            status, headers, text = 200, {**headers, "Content-Type": "text/html; charset=utf-8"}, LOGIN
        elif fault.kind is Kind.TRUNCATED:
            text = text[: len(text) // 2]
        elif fault.kind is Kind.BOMB:
            return Reply(200, {**headers, "Content-Encoding": "gzip"}, _bomb(int(fault.value or 256)), manner)
    if gzip:
        headers, text = {**headers, "Content-Encoding": "gzip"}, _gzip((text,))
    return Reply(status, headers, text, manner)


def _gzip(parts: tuple[bytes, ...]) -> bytes:
    packer = compressobj(1, wbits=MAX_WBITS | 16)
    return b"".join([*map(packer.compress, parts), packer.flush()])


@lru_cache(1)
def _bomb(mebibytes: int) -> bytes:
    """Good JSON, but for its length."""
    return _gzip((b'{"runs": [', *([b" " * MIB] * mebibytes), b"]}"))
