"""How fast an unchanged page is handed out: by our front, by nginx from a file with the same bytes, by prometheus_client."""

from __future__ import annotations

import getpass
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import load, processes, series
from benchmarks.report import Figure, Part, times
from tests.e2e.processes import free_port
from tests.e2e.waiting import eventually

OURS, NGINX, CLIENT = "lakehouse-exporter", "nginx", "prometheus_client"
PAGES = {"10 KB": series.SMALL, f"{series.LARGE.series:,} series": series.LARGE}

# At its best: no log, the file kept open, connections kept for as long as they ask.
NGINX_CONF = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
{user}
error_log stderr error;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /metrics {{
      alias {folder}/page.gz;
      types {{ }}
      default_type "text/plain; version=0.0.4; charset=utf-8";
      add_header Content-Encoding gzip;
    }}
  }}
}}
"""


class _Measured:
    """The rounds of one server, and what its process burnt in them."""

    def __init__(self, server: processes.Server) -> None:
        self._server = server
        self._rounds: list[load.Round] = []
        self._cpu_seconds = 0.0

    def round(self, seconds: float) -> None:
        """One more."""
        before = processes.cpu_seconds(self._server.pid)
        found = processes.printed("benchmarks.load", str(self._server.port), f"--seconds={seconds:g}")
        self._rounds.append(load.Round(*found))
        self._cpu_seconds += processes.cpu_seconds(self._server.pid) - before

    def median(self, name: str) -> float:
        """The median of one field of the rounds."""
        return float(statistics.median(getattr(one, name) for one in self._rounds))

    @property
    def cpu_us(self) -> float:
        """Microseconds of a processor that a request takes."""
        return 1e6 * self._cpu_seconds / sum(one.requests for one in self._rounds)


def measure(rounds: int = 5, seconds: float = 3.0) -> Iterator[Figure]:
    """Requests a second, milliseconds, and microseconds of a processor a request, as medians of interleaved rounds."""
    for name, shape in PAGES.items():
        with ExitStack() as stack:
            sizes = ["--shape", *map(str, shape)]
            ours = stack.enter_context(processes.serving("benchmarks.serving", "ours", *sizes))
            theirs = stack.enter_context(processes.serving("benchmarks.serving", "theirs", *sizes))
            page = load.fetched(ours.port, load.request("Connection: close"))
            servers = {OURS: ours, NGINX: stack.enter_context(_nginx(page)), CLIENT: theirs}
            found = {whose: _Measured(server) for whose, server in servers.items()}
            for _ in range(rounds):
                for each in found.values():
                    each.round(seconds)
        yield from _figures(name, found)


def _figures(name: str, found: dict[str, _Measured]) -> Iterator[Figure]:
    size = found[OURS].median("answer_bytes") / 1000
    yield Figure(f"**{name}**, compressed to", size, "KB")
    for label, field, unit in (
        ("answers a second", "a_second", ""),
        ("median", "p50_ms", "ms"),
        ("99th percentile", "p99_ms", "ms"),
    ):
        values = {whose: each.median(field) for whose, each in found.items()}
        yield from _compared(f"{name}: {label}", values, unit)
    yield from _compared(f"{name}: CPU an answer", {whose: each.cpu_us for whose, each in found.items()}, "µs")


def _compared(label: str, values: dict[str, float], unit: str) -> Iterator[Figure]:
    ratio = ", ".join(times(values[OURS], values[whose], whose) for whose in (NGINX, CLIENT))
    yield Figure(f"{label}: {OURS}", values[OURS], unit, ratio=ratio)
    for whose in (NGINX, CLIENT):
        yield Figure(f"{label}: {whose}", values[whose], unit)


@contextmanager
def _nginx(page: bytes) -> Iterator[processes.Server]:
    """Debian's nginx with one worker; the process that is measured is the worker."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, port, user = Path(scratch), free_port(), getpass.getuser()
        (folder / "page.gz").write_bytes(page)
        # Started as root its worker would be www-data, which may not read here.
        directive = f"user {user};" if user == "root" else ""
        (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, port=port, user=directive))
        command = ["nginx", "-e", "stderr", "-p", scratch, "-c", str(folder / "nginx.conf")]
        with processes.running(command) as nginx:
            children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children")
            worker = int(eventually(lambda: children.read_text().split(), "nginx has a worker", within=10)[0])
            yield processes.Server(nginx, worker, port)


def nginx_version() -> str:
    """What it says of itself."""
    told = subprocess.run(["nginx", "-v"], stderr=subprocess.PIPE, text=True, check=True).stderr
    return told.rpartition("/")[2].strip()


PART = Part(
    "front",
    "An unchanged page, handed out",
    f"{OURS} serves its page, {NGINX} (one worker) a file with the same compressed bytes, {CLIENT} the same series with its"
    " own server, which makes and compresses them anew each time. One load generator, a process of its own with 4 connections"
    " that are kept where the server keeps them, asks one server after the other, in turns; a figure is the median of the"
    " rounds. Generator and server share the machine, and the generator is Python: above some 30,000 answers a second it is"
    " what is measured, and the CPU that an answer takes compares better.",
    measure,
)
