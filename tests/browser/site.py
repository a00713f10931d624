"""Serves resources on loopback for as long as a block lasts; a stand-in for the front, which has tests of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from exporter.landing import Resource


@contextlib.contextmanager
def served(resources: Mapping[str, Resource], port: int = 0) -> Iterator[int]:
    """The port under which they are answered."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            resource = resources.get(self.path)
            status, content_type, body, headers = resource() if resource else (404, "text/plain", b"", ())
            self.send_response(status)
            for name, value in (("Content-Type", content_type), ("Content-Length", str(len(body))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
