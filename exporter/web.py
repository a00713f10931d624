"""Answers HTTP: `/metrics`, `/-/healthy`, `/-/ready` and a page that leads there; knows only functions that make bytes."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import NamedTuple

import structlog

from exporter.exposition import CONTENT_TYPE

log = structlog.get_logger()

HEADER_SECONDS = 5.0

LANDING = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>lakehouse-exporter</title></head>
<body><h1>lakehouse-exporter</h1><p>Prometheus exporter for Databricks and Apache Spark.</p>
<ul><li><a href="/metrics">metrics</a></li><li><a href="/-/healthy">healthy</a></li><li><a href="/-/ready">ready</a></li></ul>
</body></html>
"""


class Answers(NamedTuple):
    """What the front can say: the page of now, and whether there is one yet."""

    page: Callable[[], bytes]
    ready: Callable[[], bool]


class Front:
    """One listening address, served by a thread a connection until `close`; raises OSError where it can't listen."""

    def __init__(self, address: str, answers: Answers) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        ipv6 = ":" in host or (not host and socket.has_dualstack_ipv6())
        try:
            self._server = _Server((host, int(port)), _handler(answers), ipv6=ipv6)
        except (OSError, UnicodeError) as error:
            raise OSError(f"can't listen on {address}: {getattr(error, 'strerror', None) or error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on: the given one, or the one that the system chose for 0."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Ends listening; an answer under way is cut off where the process ends before it does."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], *, ipv6: bool) -> None:
        self.address_family = socket.AF_INET6 if ipv6 else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6 and not self.server_address[0]:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's: it looks the host's name up, and may wait long for it.
        TCPServer.server_bind(self)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nobody's fault, and no reason for a traceback; all else is a fault of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("request not answered", exc_info=error)


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    def healthy() -> tuple[int, str, bytes]:
        return 200, "text/plain; charset=utf-8", b"healthy\n"

    def ready() -> tuple[int, str, bytes]:
        return (
            (200, "text/plain; charset=utf-8", b"ready\n")
            if answers.ready()
            else (503, "text/plain; charset=utf-8", b"not ready\n")
        )

    routes: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/": lambda: (200, "text/html; charset=utf-8", LANDING),
        "/metrics": lambda: (200, CONTENT_TYPE, answers.page()) if answers.ready() else ready(),
        "/-/healthy": healthy,
        "/-/ready": ready,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = HEADER_SECONDS
        server_version = "lakehouse-exporter"
        sys_version = ""

        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            status, kind, body = route() if route else (404, "text/plain; charset=utf-8", b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 -- the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no event."""

    return Handler
