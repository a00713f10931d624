"""exporter/web.py, over real sockets."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import structlog

from exporter.answer import Answer, Plain, Resource, text
from exporter.negotiation import TEXT, Wanted
from exporter.web import Front
from tests.e2e.waiting import eventually

PAGE = b"lake_up 1\n"
needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def resources(page: bytes = PAGE, *, ready: bool = True) -> dict[str, Resource]:
    """A page that is kept, and the paths beside it."""
    full = Answer(200, TEXT, page) if ready else text(503, "not ready")
    return {
        "/": Plain(lambda: Answer(200, "text/html; charset=utf-8", b"<title>x</title>")),
        "/metrics": Plain(lambda: full),
        "/-/healthy": Plain(lambda: text(200, "healthy")),
        "/-/ready": Plain(lambda: text(200, "ready") if ready else text(503, "not ready")),
    }


@contextmanager
def front(address: str = "127.0.0.1:0", page: bytes = PAGE, *, ready: bool = True) -> Iterator[Front]:
    serving = Front([address], resources(page, ready=ready))
    try:
        yield serving
    finally:
        serving.close()


@pytest.fixture(scope="module")
def serving() -> Iterator[Front]:
    with front() as one:
        yield one


Reply = tuple[int, dict[str, str], bytes]


def asked(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> Reply:
    with closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name[]=lake_up"])
def test_metrics(path: str, serving: Front) -> None:
    """/metrics answers the page, its type and its length, whatever query follows."""
    status, headers, body = asked(serving.port, path)

    assert (status, body) == (200, PAGE)
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["content-length"] == str(len(PAGE))
    assert headers["server"].strip() == "lakehouse-exporter"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"])
def test_head(path: str, serving: Front) -> None:
    """HEAD answers what GET does, without the body."""
    got, headers, body = asked(serving.port, path)
    head = asked(serving.port, path, "HEAD")
    del headers["date"], head[1]["date"]

    assert head == (got, headers, b"")
    assert headers["content-length"] == str(len(body))


def test_head_has_no_body(serving: Front) -> None:
    """Nothing follows the head of an answer to HEAD: http.client would not see it."""
    with closing(socket.create_connection(("127.0.0.1", serving.port), 10)) as peer, peer.makefile("rb") as received:
        peer.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert received.read().partition(b"\r\n\r\n")[1:] == (b"\r\n\r\n", b"")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/-/healthy", 200, b"healthy\n"),
        ("/-/ready", 200, b"ready\n"),
        ("/nowhere", 404, b"not found\n"),
        ("/metrics/", 404, b"not found\n"),
        ("/../metrics", 404, b"not found\n"),
    ],
)
def test_paths(path: str, status: int, body: bytes, serving: Front) -> None:
    """Each path has its status and text; what is not known is 404."""
    assert (asked(serving.port, path)[0], asked(serving.port, path)[2]) == (status, body)


def test_content_type(serving: Front) -> None:
    """An answer has the type that its resource gives it."""
    assert asked(serving.port, "/")[1]["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods(method: str, serving: Front) -> None:
    """Nothing but GET and HEAD is answered, the answer says so, and the connection is closed."""
    status, headers, _ = asked(serving.port, "/metrics", method)

    assert (status, headers["allow"], headers["connection"]) == (405, "GET, HEAD", "close")


def test_not_ready() -> None:
    """Before the first page, /metrics and /-/ready are 503, and /-/healthy is 200."""
    with front(ready=False) as one:
        found = {path: (asked(one.port, path)[0], asked(one.port, path)[2]) for path in ("/metrics", "/-/ready", "/-/healthy")}

    assert found == {"/metrics": (503, b"not ready\n"), "/-/ready": (503, b"not ready\n"), "/-/healthy": (200, b"healthy\n")}


def test_keep_alive(serving: Front) -> None:
    """One connection answers one request after the other."""
    with closing(http.client.HTTPConnection("127.0.0.1", serving.port, timeout=10)) as connection:
        connection.connect()
        opened = connection.sock
        for _ in range(3):
            connection.request("GET", "/metrics")

            assert connection.getresponse().read() == PAGE
            assert connection.sock is opened


def test_many_at_once() -> None:
    """A client that reads nothing keeps no other from its answer."""
    with front(page=b"x" * 20_000_000) as one, closing(socket.create_connection(("127.0.0.1", one.port), 10)) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

        assert len(asked(one.port, "/metrics")[2]) == 20_000_000


def test_client_goes_away(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that goes away in the middle of an answer leaves no word on standard error or in the log."""
    with structlog.testing.capture_logs() as logged, front(page=b"x" * 20_000_000) as one:
        with closing(socket.create_connection(("127.0.0.1", one.port), 10)) as rude:
            rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            rude.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            rude.recv(10)
        eventually(lambda: not one.connections(), "it is forgotten", within=10)

        assert asked(one.port, "/-/healthy")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert logged == []


@pytest.mark.parametrize(
    "sent", [b"", b"GET", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 70_000]
)
def test_garbage(sent: bytes, serving: Front, capfd: pytest.CaptureFixture[str]) -> None:
    """A peer that speaks no HTTP, or stops in the middle, leaves no word on standard error, and the next is served."""
    with closing(socket.create_connection(("127.0.0.1", serving.port), 10)) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(65536):
            pass

    assert asked(serving.port, "/metrics")[2] == PAGE
    assert capfd.readouterr() == ("", "")


def test_fault_of_ours() -> None:
    """A page that can't be made ends its connection without an answer, is logged, and the front serves on."""

    class Faulty:
        def kept(self, wanted: Wanted) -> Answer | None:
            if wanted.gzip:
                raise RuntimeError("a fault of ours")
            return None

        def made(self, wanted: Wanted) -> Answer:
            raise RuntimeError(f"another: {wanted}")

    with structlog.testing.capture_logs() as logged, closing(Front(["127.0.0.1:0"], {**resources(), "/x": Faulty()})) as one:
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            with closing(http.client.HTTPConnection("127.0.0.1", one.port, timeout=10)) as connection:
                connection.request("GET", "/x", headers=headers)
                with pytest.raises(http.client.RemoteDisconnected):
                    connection.getresponse()

        assert asked(one.port, "/-/healthy")[0] == 200
        assert one.counts()["fault"] == 2
    assert [(line["event"], line["log_level"]) for line in logged] == 2 * [("request not answered", "error")]


@needs_ipv6
def test_ipv6() -> None:
    """[::1]:0 serves IPv6 loopback, and not IPv4."""
    with front("[::1]:0") as one:
        assert asked(one.port, "/metrics", host="::1")[0] == 200
        with pytest.raises(ConnectionRefusedError):
            asked(one.port, "/metrics")


@needs_ipv6
def test_every_address() -> None:
    """:0 serves IPv6 and IPv4 alike."""
    with front(":0") as one:
        assert [asked(one.port, "/metrics", host=host)[0] for host in ("127.0.0.1", "::1")] == [200, 200]


def test_ipv4() -> None:
    """127.0.0.1:0 serves IPv4 loopback alone, localhost:0 finds it by name, and each chose a port of its own."""
    with front() as one, front("localhost:0") as other:
        assert one.port != other.port
        assert [asked(port, "/metrics")[0] for port in (one.port, other.port)] == [200, 200]


def test_port_taken(serving: Front) -> None:
    """A port that is taken is an OSError that names the address and why."""
    with pytest.raises(OSError) as raised:  # noqa: PT011 -- its text is compared
        Front([f"127.0.0.1:{serving.port}"], resources())

    assert str(raised.value) == f"can't listen on 127.0.0.1:{serving.port}: Address already in use"


@pytest.mark.parametrize("address", ["a..b:0", "192.0.2.1:0"])
def test_no_such_address(address: str) -> None:
    """A host that is no name, or is another machine's, is an OSError that names the address."""
    with pytest.raises(OSError, match=f"^can't listen on {address}: "):
        Front([address], resources())


def test_close() -> None:
    """close() ends listening and its thread, though a connection is still open; the port can be taken at once."""
    with closing(socket.socket()) as idle:
        with front() as one:
            idle.connect(("127.0.0.1", one.port))
            idle.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            idle.recv(65536)
            thread = one._thread
        thread.join(10)

        assert not thread.is_alive()
        with front(f"127.0.0.1:{one.port}") as again:
            assert asked(again.port, "/metrics")[0] == 200
