"""The workspace on a loopback port: HTTP/1.1 over sockets, and the faults that only a socket can have."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from exporter.demo.workspace.faults import Kind
from exporter.demo.workspace.ledger import Ledger
from exporter.demo.workspace.workspace import Reply, Workspace
from exporter.demo.workspace.world.sizes import Sizes
from exporter.demo.workspace.world.world import BEGIN, World

DRIP_SECONDS = 0.2
_NOBODY_READS = (BrokenPipeError, ConnectionResetError, TimeoutError)


@contextlib.contextmanager
def simulated(
    seed: int = 0,
    sizes: Sizes | None = None,
    *,
    begin: float = BEGIN,
    speed: float = 0.0,
    ledger: Path | None = None,
    port: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Workspace]:
    """A workspace that answers at its `url` while the block runs.

    `begin` is its time in epoch seconds at first; it passes `speed` times as fast as `clock`, or with `advance` alone where
    `speed` is 0. `ledger` is a file that each start and ending is added to, as lines of JSON. Port 0 is any that is free.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(ledger.open("a", encoding="utf-8")) if ledger else None
        world = World(seed, sizes, begin, Ledger(file))
        over = threading.Event()
        server = _Server(("127.0.0.1", port), over)
        workspace = Workspace(world, speed, clock, f"http://127.0.0.1:{server.server_address[1]}")
        server.reply = workspace.reply
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield workspace
        finally:
            over.set()
            server.shutdown()
            server.hang_up()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    """`reply` answers, `over` is set when the block ends."""

    # Closing waits for the threads: none outlives the block.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], over: threading.Event) -> None:
        self.open: set[Any] = set()
        self.over = over
        self.reply: Callable[[str, str, Mapping[str, str], bytes], Reply]
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends every connection: a client may keep its own for good."""
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; any other error is a fault of ours and may be seen."""
        if not isinstance(sys.exc_info()[1], _NOBODY_READS):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Headers and body leave together.
    wbufsize = -1
    server: _Server

    def finish(self) -> None:
        with suppress(*_NOBODY_READS):
            super().finish()

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    # Nothing of the kind is there to be called; that somebody tried stands among the requests.
    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.reply(self.command, self.path, headers, body)
        kind = reply.manner.kind if reply.manner else None
        if kind is Kind.SILENT:
            self.server.over.wait()
            self.close_connection = True
        elif kind is Kind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response_only(reply.status)
        for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.manner is None:
            self.wfile.write(reply.body)
            return
        pause = float(reply.manner.value or DRIP_SECONDS)
        for place in range(len(reply.body)):
            self.wfile.write(reply.body[place : place + 1])
            self.wfile.flush()
            if self.server.over.wait(pause):
                self.close_connection = True
                return
