"""What the front bears at full size: clients that never finish, never speak, hardly read, guess passwords, or send junk."""

from __future__ import annotations

import base64
import http.client
import json
import math
import os
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import bcrypt

from benchmarks import generated, load, processes
from benchmarks.processes import Server, serving
from benchmarks.report import Figure, Part, quantile
from exporter.connection import Limits
from tests.certificates import Authority
from tests.e2e.waiting import eventually
from tests.test_bad_requests import REQUESTS

HALF_A_HEAD = b"GET /metrics HTTP/1.1\r\nHo"
WHOLE_HEAD = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
SCRAPES = 100
# The scrapes are spread over so long: no deadline of the front has passed by then.
SCRAPING_SECONDS = 4.0
ROOM = 2048
MOST_SHED_SECONDS = 7
PAGE_BYTES = 10_000_000
SLOW_READERS = 20
SLOW_READ_BYTES = 1024
MOST_MORE_MIB = 60
MOST_CUT_SECONDS = 15
GUESSERS = 30
MOST_P99_TIMES = 2
CLIENTS = 8
MOST_BLOCKED_MS = 100
BCRYPT_COST = 10


def measure() -> Iterator[Figure]:
    """All of it."""
    yield from half_open(1000, ROOM)
    yield from half_open(1000, Limits().connections)
    yield from silent_tls(200)
    yield from slow_readers()
    yield from wrong_passwords()
    yield from bad_requests(200_000)


def half_open(count: int, connections: int) -> Iterator[Figure]:
    """Connections that stop in the middle of a head, at a front with room for so many; scrapes go on beside them."""
    what = f"{count:,} half-open connections, --web.max-connections={connections}"
    with serving("benchmarks.serving", "ours", f"--connections={connections}") as server:
        yield from _beside(server, what, count, HALF_A_HEAD, None)


def silent_tls(count: int) -> Iterator[Figure]:
    """Connections that never begin their handshake, at a front with TLS."""
    with tempfile.TemporaryDirectory() as scratch:
        authority, folder = Authority(), Path(scratch)
        authority.write(folder)
        config = folder / "web.yml"
        config.write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
        with serving("benchmarks.serving", "ours", f"--config={config}", f"--connections={ROOM}") as server:
            yield from _beside(server, f"{count} silent TLS connections", count, b"", authority.client())


def slow_readers() -> Iterator[Figure]:
    """Clients that read 10 KB a second of a large page: MiB that the front takes more, and when the last of them is cut."""
    what = f"{SLOW_READERS} slow readers of {PAGE_BYTES // 1_000_000} MB"
    with serving("benchmarks.serving", "ours", f"--bytes={PAGE_BYTES}") as server:
        before = most = processes.resident_mib(server.pid)
        began = time.monotonic()
        with _crowd(server.port, SLOW_READERS, WHOLE_HEAD, SLOW_READ_BYTES) as crowd:
            peers = crowd
            while peers and time.monotonic() - began < 2 * MOST_CUT_SECONDS:
                time.sleep(0.1)
                most = max(most, processes.resident_mib(server.pid))
                peers = [peer for peer in peers if _reads(peer)]
            last = time.monotonic() - began if not peers else math.inf
    yield Figure(f"{what}: memory more", most - before, "MiB", MOST_MORE_MIB)
    yield Figure(f"{what}: the last is cut after", last, "s", MOST_CUT_SECONDS)


def wrong_passwords(rounds: int = 5, seconds: float = 4.0) -> Iterator[Figure]:
    """Clients that try one wrong password after the other: how long a right scrape takes without them, and beside them."""
    right = _basic("right")
    quiet, beside = [], []
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "web.yml"
        hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(BCRYPT_COST)).decode()
        config.write_text(f"basic_auth_users: {{prometheus: '{hashed}'}}\n")
        with serving("benchmarks.serving", "ours", f"--config={config}") as server:

            def p99() -> float:
                options = (f"--seconds={seconds:g}", "--connections=1", f"--header=Authorization: {right}")
                return load.Round(*processes.printed("benchmarks.load", str(server.port), *options)).p99_ms

            p99()  # from here on the right password is known
            turned_away = _told(server, right)["counts"]
            for _ in range(rounds):
                quiet.append(p99())
                with _guessers(server):
                    beside.append(p99())
            counts = _told(server, right)["counts"]
    guesses = sum(counts[cause] - turned_away[cause] for cause in ("unauthorized", "too_many_requests"))
    what = f"{GUESSERS} clients with wrong passwords"
    without, within = statistics.median(quiet), statistics.median(beside)
    yield Figure(f"{what}: a scrape's 99th percentile without them", without, "ms")
    yield Figure(f"{what}: the same beside them", within, "ms")
    yield Figure(f"{what}: one against the other", within / without, "", MOST_P99_TIMES)
    yield Figure(f"{what}: guesses turned away a second", guesses / (rounds * seconds))


def bad_requests(count: int) -> Iterator[Figure]:
    """Requests that nobody should send: what is answered, and for how long the front's one thread is blocked at most."""
    seeds = sorted(REQUESTS.values())
    with serving("benchmarks.serving", "ours", f"--connections={ROOM}") as server:
        _told(server)
        began = time.monotonic()
        sent = [generated.requests(number, count // CLIENTS, seeds) for number in range(CLIENTS)]
        found = generated.statuses(server.port, sent)
        took = time.monotonic() - began
        alive = server.alive and _scraped(server, None, "")
        told = _told(server) if alive else {"blocked_ms": math.inf, "late_ms": math.inf}
    what = f"{found.total():,} generated requests"
    yield Figure(f"{what}: sent a second", found.total() / took)
    yield Figure(f"{what}: answers of 2xx", sum(count for status, count in found.items() if status // 100 == 2))  # noqa: PLR2004
    yield Figure(f"{what}: answers of 4xx", sum(count for status, count in found.items() if status // 100 == 4))  # noqa: PLR2004
    yield Figure(f"{what}: no whole request, closed without an answer", found[generated.NOTHING])
    yield Figure(f"{what}: answers of 5xx", sum(count for status, count in found.items() if status >= 500), "", 0)  # noqa: PLR2004
    yield Figure(f"{what}: connections not taken, and crashes", found[generated.UNREACHABLE] + (not alive), "", 0)
    yield Figure(f"{what}: the event loop blocked at most", told["blocked_ms"], "ms", MOST_BLOCKED_MS)
    yield Figure(f"{what}: the same with its waiting for a processor", told["late_ms"], "ms")


def _beside(server: Server, what: str, count: int, sent: bytes, context: ssl.SSLContext | None) -> Iterator[Figure]:
    """Scrapes beside a crowd, and how long after the last of the crowd came it was all let go."""
    with _crowd(server.port, count, sent):
        complete = time.monotonic()
        took = []
        for number in range(SCRAPES):
            time.sleep(max(0.0, complete + number * SCRAPING_SECONDS / SCRAPES - time.monotonic()))
            began = time.monotonic()
            took.append(time.monotonic() - began if _scraped(server, context, "") else math.inf)
        shed = math.inf
        with suppress(AssertionError):  # then they never were
            # The one that asks is a connection, too.
            eventually(lambda: _told(server, "", context)["connections"] <= 1, "all are let go", within=4 * MOST_SHED_SECONDS)
            shed = time.monotonic() - complete
        counts = {cause: count for cause, count in _told(server, "", context)["counts"].items() if count}
    unanswered = sum(math.isinf(each) for each in took)
    yield Figure(f"{what}: of {SCRAPES} scrapes beside them not answered", unanswered, "", 0)
    yield Figure(f"{what}: 99th percentile of those scrapes", 1000 * quantile(sorted(took), 0.99), "ms")
    yield Figure(f"{what}: all are let go after", shed, "s", MOST_SHED_SECONDS)
    yield Figure(f"{what}: let go to make room for others", counts.get("evicted", 0))


@contextmanager
def _crowd(port: int, count: int, sent: bytes, buffer_bytes: int = 0) -> Iterator[list[socket.socket]]:
    """So many connections that have sent this; with a small buffer of the kernel's own for what they are sent."""
    with ExitStack() as stack:
        peers = []
        for _ in range(count):
            peer = stack.enter_context(socket.socket())
            if buffer_bytes:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            peer.settimeout(10)
            peer.connect(("127.0.0.1", port))
            with suppress(ConnectionError):  # it made room for another already
                peer.sendall(sent)
            peers.append(peer)
        yield peers


@contextmanager
def _guessers(server: Server) -> Iterator[None]:
    """Clients that guess for as long as the block runs, each a new password as soon as the one before is refused."""
    over = threading.Event()

    def guess() -> None:
        while not over.is_set():
            with suppress(OSError, http.client.HTTPException):
                _asked(server, "/metrics", None, _basic(os.urandom(8).hex()))

    with ThreadPoolExecutor(GUESSERS) as clients:
        for _ in range(GUESSERS):
            clients.submit(guess)
        try:
            yield
        finally:
            over.set()


def _reads(peer: socket.socket) -> bool:
    """Reads a little; whether the connection is still there."""
    try:
        return bool(peer.recv(SLOW_READ_BYTES))
    except ConnectionError:
        return False


def _scraped(server: Server, context: ssl.SSLContext | None, authorization: str) -> bool:
    """Whether a scrape on a connection of its own is answered."""
    try:
        return _asked(server, "/metrics", context, authorization)[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _told(server: Server, authorization: str = "", context: ssl.SSLContext | None = None) -> dict[str, Any]:
    """What the front says of itself: counts, connections, and how long its loop was blocked since it was asked last."""
    found: dict[str, Any] = json.loads(_asked(server, "/told", context, authorization)[1])
    return found


def _asked(server: Server, path: str, context: ssl.SSLContext | None, authorization: str) -> tuple[int, bytes]:
    if context is None:
        way = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    else:
        way = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    try:
        way.request("GET", path, headers={"Authorization": authorization} if authorization else {})
        answer = way.getresponse()
        return answer.status, answer.read()
    finally:
        way.close()


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode()


PART = Part(
    "hostile",
    "Clients that mean no good",
    "The front with its own deadlines, in a process of its own. Half-open: a head that never ends; silent: a handshake that"
    f" never begins; slow: 10 KB a second. With room for {ROOM:,} connections the crowd is let go by deadline; with the default"
    f" of {Limits().connections} the eldest without a request under way makes room, so that a scrape is answered then, too."
    " The generated requests are bad ones that are known by name, changed at random, and noise.",
    measure,
)
