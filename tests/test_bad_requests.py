"""exporter/request.py and the front before it: requests that nobody should send, over raw sockets, each with its name."""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.request import Refusal, Request, parsed
from exporter.web import Front
from tests.peers import SCRAPE, connected, fronted, rest, status

ALLOWED = {200, 400, 401, 404, 405, 408, 413, 414, 429, 431, 503}

METHODS = {
    "get": b"GET", "head": b"HEAD", "post": b"POST", "put": b"PUT", "delete": b"DELETE", "trace": b"TRACE", "connect": b"CONNECT",
    "options": b"OPTIONS", "lower": b"get", "long": b"X" * 300, "control": b"GE\x01T", "empty": b"", "brew": b"BREW", "pri": b"PRI",
}  # fmt: skip
VERSIONS = {
    "1.1": b"HTTP/1.1", "1.0": b"HTTP/1.0", "2.0": b"HTTP/2.0", "0.9": b"HTTP/0.9", "9.9": b"HTTP/9.9", "none": b"",
    "lower": b"http/1.1", "long": b"HTTP/1.11", "word": b"HTTP/x", "spdy": b"SPDY/3",
}  # fmt: skip
PATHS = {
    "metrics": b"/metrics", "root": b"/", "dots": b"/../../etc/passwd", "encoded": b"/%2e%2e/metrics", "nul": b"/\0", "raw-utf8": "/é".encode(),
    "latin": b"/\xff", "space": b"/a b", "tab": b"/a\tb", "absolute": b"http://evil.example/metrics", "star": b"*", "authority": b"x:443",
    "long": b"/" + b"a" * 9000, "longer": b"/" + b"a" * 70_000, "double": b"//metrics", "fragment": b"/metrics#x", "percent": b"/%",
    "query": b"/metrics?" + b"&".join(b"name[]=m%d" % i for i in range(101)), "broken-query": b"/metrics?name[]=%ff%&&&=",
    "newline": b"/a\nb", "return": b"/a\rb", "backslash": b"\\metrics", "case": b"/METRICS", "slash": b"/metrics/", "null-encoded": b"/metrics%00",
}  # fmt: skip
HEADERS = {
    "plain": b"Host: x\r\n", "no-host": b"", "two-hosts": b"Host: x\r\nHost: y\r\n", "bad-host": b"Host: a b\r\n", "slash-host": b"Host: x/y\r\n",
    "space-before-colon": b"Host: x\r\nFoo : y\r\n", "no-colon": b"Host: x\r\nFoo\r\n", "no-name": b"Host: x\r\n: y\r\n",
    "folded": b"Host: x\r\nFoo: a\r\n b\r\n", "first-folded": b" Host: x\r\n", "nul": b"Host: x\r\nFoo: \0\r\n", "bare-return": b"Host: x\r\nA: b\rc\r\n",
    "bare-feed": b"Host: x\nA: b\r\n", "high": b"Host: x\r\nFoo: \xff\xfe\r\n", "high-name": b"Host: x\r\nF\xff: a\r\n",
    "many": b"Host: x\r\n" + b"".join(b"A%d: b\r\n" % i for i in range(200)), "large": b"Host: x\r\nA: " + b"b" * 17_000 + b"\r\n",
    "huge": b"Host: x\r\nA: " + b"b" * 200_000 + b"\r\n", "upgrade": b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
    "expect": b"Host: x\r\nExpect: 100-continue\r\n", "range": b"Host: x\r\nRange: bytes=0-\r\n", "auth": b"Host: x\r\nAuthorization: Basic !!\r\n",
    "accept": b"Host: x\r\nAccept: application/openmetrics-text;version=99.9.9;q=x\r\n", "connection": b"Host: x\r\nConnection: ,,;close,\r\n",
    "timeout": b"Host: x\r\nX-Prometheus-Scrape-Timeout-Seconds: nan\r\n", "control-name": b"Host: x\r\nA\x7f: b\r\n",
}  # fmt: skip
FRAMES = {
    "length": b"Content-Length: 5\r\n\r\nhello", "length-zero": b"Content-Length: 0\r\n\r\n", "length-negative": b"Content-Length: -1\r\n\r\n",
    "length-plus": b"Content-Length: +5\r\n\r\nhello", "length-word": b"Content-Length: five\r\n\r\n", "length-huge": b"Content-Length: 99999999999999999999\r\n\r\n",
    "lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "lengths-same": b"Content-Length: 5, 5\r\n\r\nhello",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked-twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked-and-length": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "chunked-space": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunked-odd": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "identity": b"Transfer-Encoding: identity\r\n\r\n",
    "missing-end": b"\r\n", "feeds": b"A: b\n\n", "unasked-body": b"\r\nhello hello\r\n\r\n", "unasked-large": b"\r\n" + b"x" * 100_000,
    "pipelined": b"\r\n" + 40 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "second-bad": b"\r\n\0\0\0\r\n\r\n", "large-body": b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000,
}  # fmt: skip
RAW = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200, "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http09": b"GET /\r\n",
    "feeds": b"\n\n\n\n", "returns": b"\r\n\r\n", "nul": b"\0" * 100, "ssh": b"SSH-2.0-x\r\n", "spaces": b"   \r\n\r\n", "redis": b"*1\r\n$4\r\nPING\r\n",
    "line": b"x" * 70_000, "only-line": b"GET / HTTP/1.1\r\n\r\n", "spaces-between": b"GET  /metrics  HTTP/1.1\r\nHost: x\r\n\r\n",
    "words": b"GET /metrics HTTP/1.1 x\r\nHost: x\r\n\r\n", "leading-space": b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", "proxy": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "empty": b"", "half": b"GET /met", "html": b"<html>", "utf16": "GET / HTTP/1.1".encode("utf-16"),
}  # fmt: skip


def requests() -> Iterator[tuple[str, bytes]]:
    for (method, version), path in itertools.product(itertools.product(METHODS, VERSIONS), ("metrics", "root")):
        yield f"{method}-{version}-{path}", b"%b %b %b\r\nHost: x\r\n\r\n" % (METHODS[method], PATHS[path], VERSIONS[version])
    for path, version in itertools.product(PATHS, ("1.1", "1.0")):
        yield f"path-{path}-{version}", b"GET %b %b\r\nHost: x\r\n\r\n" % (PATHS[path], VERSIONS[version])
    for header, (method, version) in itertools.product(HEADERS, itertools.product(("get", "post"), ("1.1", "1.0"))):
        yield (
            f"header-{header}-{method}-{version}",
            b"%b /metrics %b\r\n%b\r\n" % (METHODS[method], VERSIONS[version], HEADERS[header]),
        )
    for frame, (method, version) in itertools.product(
        FRAMES, itertools.product(("get", "head", "post", "put"), ("1.1", "1.0"))
    ):
        yield (
            f"frame-{frame}-{method}-{version}",
            b"%b /metrics %b\r\nHost: x\r\n%b" % (METHODS[method], VERSIONS[version], FRAMES[frame]),
        )
    for name, raw in RAW.items():
        yield f"raw-{name}", raw


REQUESTS = dict(requests())


@pytest.fixture(scope="module")
def serving() -> Iterator[Front]:
    with fronted() as one:
        yield one


def half_closed(port: int, sent: bytes) -> bytes:
    """What comes back where the client says that no more will come."""
    with closing(connected(port)) as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
        except OSError:  # it did not listen to the end
            pass
        return rest(peer)


def test_number() -> None:
    """There are at least 500 of them, no two alike."""
    assert len(REQUESTS) >= 500
    assert len(set(REQUESTS.values())) >= 500


def test_named(serving: Front) -> None:
    """Each is answered with a status that says what is wrong, or closed where nothing whole was asked; the next client is served."""
    wrong = {}
    with structlog.testing.capture_logs() as logged:
        for name, sent in REQUESTS.items():
            answer = half_closed(serving.port, sent)
            # What a body's bytes look like must not be taken for a status line: only where an answer begins is one.
            found = {int(code) for code in re.findall(rb"(?:^|\n)HTTP/1\.1 (\d{3}) ", answer)}
            if not found <= ALLOWED or b"Traceback" in answer or b"CPython" in answer or (answer and not found):
                wrong[name] = answer[:200]

        assert wrong == {}
        assert half_closed(serving.port, SCRAPE).endswith(b"\r\n\r\nlake_up 1\n")
    assert logged == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("put-1.1-metrics", 405),
        ("post-1.1-metrics", 405),
        ("lower-1.1-metrics", 405),
        ("get-2.0-metrics", 400),
        ("get-none-root", 400),
        ("path-long-1.1", 414),
        ("path-longer-1.1", 414),
        ("path-absolute-1.1", 400),
        ("path-dots-1.1", 404),
        ("path-query-1.1", 400),
        ("path-case-1.1", 404),
        ("header-no-host-get-1.1", 400),
        ("header-no-host-get-1.0", 200),
        ("header-two-hosts-get-1.1", 400),
        ("header-space-before-colon-get-1.1", 400),
        ("header-folded-get-1.1", 400),
        ("header-bare-feed-get-1.1", 400),
        ("header-many-get-1.1", 431),
        ("header-large-get-1.1", 431),
        ("header-huge-get-1.1", 431),
        ("header-accept-get-1.1", 200),
        ("frame-length-get-1.1", 413),
        ("frame-length-zero-get-1.1", 200),
        ("frame-large-body-get-1.1", 413),
        ("frame-chunked-get-1.1", 400),
        ("frame-chunked-and-length-get-1.1", 400),
        ("frame-lengths-get-1.1", 400),
        ("frame-pipelined-get-1.1", 429),
        ("raw-tls", 400),
        ("raw-http09", 400),
        ("raw-half", 0),
    ],
)
def test_status(name: str, expected: int, serving: Front) -> None:
    """What is wrong decides the status."""
    assert status(half_closed(serving.port, REQUESTS[name])) == expected


@pytest.mark.parametrize("name", ["frame-large-body-get-1.1", "header-huge-get-1.1", "frame-unasked-large-get-1.1"])
def test_refusal_arrives(name: str, serving: Front) -> None:
    """A refusal reaches the client, though it was still sending when it was refused."""
    found = [status(half_closed(serving.port, REQUESTS[name])) for _ in range(20)]

    assert 0 not in found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(st.sampled_from([b"GET", b" ", b"/", b"/metrics", b"HTTP/1.1", b"\r\n", b"\n", b"Host: x", b":", b"\0", b"a", b"?", b"%"]))
        .map(b"".join),
        st.binary(max_size=100).map(lambda noise: b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + noise + b"\r\n\r\n"),
    )
)  # fmt: skip
def test_generated(serving: Front, sent: bytes) -> None:
    """Whatever bytes come, each answer has an allowed status."""
    answer = half_closed(serving.port, sent)

    assert status(answer) in ALLOWED | {0}
    assert not answer or status(answer)


@given(st.binary(max_size=400))
def test_parsed(noise: bytes) -> None:
    """A head is a request or a refusal, whatever stands in it."""
    for head in (
        noise,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + noise + b"\r\n\r\n",
        b"GET " + noise + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        assert isinstance(parsed(head), Request | Refusal)
