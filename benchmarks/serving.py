"""A server that is measured, as a program: our front, or prometheus_client's; prints its port and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from pathlib import Path

from benchmarks import series
from exporter.answer import Answer, Plain, Resource
from exporter.connection import Limits
from exporter.negotiation import TEXT
from exporter.page import Page
from exporter.web import Front
from exporter.web_security import Security

BEAT_SECONDS = 0.005


class _Pulse:
    """How late a timer of the loop comes at worst since that was asked last, and how late apart from waiting for a processor.

    What else the loop does had it blocked for as long; that other programs keep both processors busy is not its fault.
    """

    def __init__(self) -> None:
        self._due = self._waited = self._late = self._blocked = 0.0

    def worst(self) -> tuple[float, float]:
        """Both, in seconds; to be asked on the loop's own thread, and beats from the first time on."""
        worst = self._late, self._blocked
        self._late = self._blocked = 0.0
        if not self._due:
            self._rest(asyncio.get_running_loop())
        return worst

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        late = loop.time() - self._due
        self._late = max(self._late, late)
        self._blocked = max(self._blocked, late - (_waited_for_a_processor() - self._waited))
        self._rest(loop)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waited = _waited_for_a_processor()
        self._due = loop.time() + BEAT_SECONDS
        loop.call_at(self._due, self._beat)


def _waited_for_a_processor() -> float:
    """How many seconds this thread has been ready to run, and was not run."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def ours(page: Resource, limits: Limits, security: Security | None) -> int:
    """Starts our front with the page at /metrics, and at /told what it says of itself; the port."""
    pulse = _Pulse()

    def told() -> Answer:
        late, blocked = pulse.worst()
        times = {"late_ms": 1000 * late, "blocked_ms": 1000 * blocked}
        found = {"counts": front.counts(), "connections": front.connections(), **times}
        return Answer(200, TEXT, json.dumps(found).encode())

    front = Front(("127.0.0.1:0",), {"/metrics": page, "/told": Plain(told)}, limits, security)
    return front.port


def theirs(shape: series.Shape) -> int:
    """Starts prometheus_client's own server with series of this shape; the port."""
    from prometheus_client import start_http_server

    server, _ = start_http_server(0, "127.0.0.1", series.registry(shape, [0.5] * shape.targets))
    return int(server.server_port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("whose", choices=["ours", "theirs"])
    parser.add_argument("--shape", type=int, nargs=3, default=series.SMALL, help="targets, families, queries")
    parser.add_argument("--bytes", type=int, help="a page of so many bytes in the place of series")
    parser.add_argument("--connections", type=int, default=Limits().connections, help="what --web.max-connections is there")
    parser.add_argument("--config", type=Path, help="a web configuration")
    options = parser.parse_args()
    shape = series.Shape(*options.shape)
    if options.whose == "theirs":
        port = theirs(shape)
    else:
        view = series.view(series.collector(shape), [0.5] * shape.targets)
        body = b"x" * (options.bytes or 0)
        page: Resource = Plain(lambda: Answer(200, TEXT, body)) if body else Page(lambda: view, time.time)
        port = ours(page, Limits(connections=options.connections), Security(options.config) if options.config else None)
    print(port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
