"""exporter/sources/http.py against a server on a real socket that does what it should not."""

import gzip
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from exporter import __version__
from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import http
from exporter.sources.http import MAX_CALLS, Endpoint, Http, Network, Request, Response
from exporter.sources.http_failures import failure
from tests.certificates import Authority
from tests.e2e.waiting import eventually
from tests.sources.http_server import Answer, Server, hangs_up, says, zipped

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"
LIST = Endpoint("things/list", "GET", "/api/2.1/things/list")
ONE = Endpoint("things/get", "GET", "/api/2.0/things/{thing_id}/parts")
EVENTS = Endpoint("things/events", "POST", "/api/2.1/things/events")
BEARER = {"Authorization": Secret(f"Bearer {CANARY}")}
ASKED = Request(LIST, headers=BEARER)


@contextmanager
def asking(address: str, network: Network = http.DIRECT, max_bytes: int = http.MAX_BODY_BYTES) -> Iterator[Http]:
    asked = Http("workspace prod", address, {LIST, ONE, EVENTS}, network, max_bytes=max_bytes)
    try:
        yield asked
    finally:
        asked.close()


def got(client: Http, request: Request = ASKED, seconds: float = 10.0) -> Response:
    return client.send(request, time.monotonic() + seconds)


def refused(client: Http, request: Request = ASKED, seconds: float = 10.0) -> tuple[Reason, str]:
    """Why there is no answer; fails where the token is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        got(client, request, seconds)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value).removeprefix("workspace prod: GET /api/2.1/things/list: ")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """A call's thread ends with the call, or soon after it was given up."""
    yield

    def calls() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "workspace prod"]

    eventually(lambda: not calls(), "every call's thread has ended", within=10)


# --- What is sent, and what comes back ------------------------------------------------------------------------------


def test_call() -> None:
    """A call sends what it is given and who we are, and gives back status, headers and body."""
    with Server(says({"a": 1}, "404 Not Found", X_Any="Thing")) as server, asking(server.url) as client:
        response = got(client, Request(LIST, parameters=(("s", "A B"), ("s", "ü&")), headers=BEARER))

        assert response == Response(
            404, {"content-type": "application/json", "content-length": "8", "x-any": "Thing"}, b'{"a": 1}'
        )
        (asked,) = server.asked
        assert asked == (
            "GET",
            "/api/2.1/things/list?s=A+B&s=%C3%BC%26",
            {
                "host": f"127.0.0.1:{server.port}",
                "user-agent": f"lakehouse-exporter/{__version__}",
                "accept": "application/json",
                "accept-encoding": "gzip",
                "authorization": f"Bearer {CANARY}",
            },
            "",
        )


def test_body() -> None:
    """A POST sends its body, under the type that it is given."""
    with Server(says({})) as server, asking(server.url) as client:
        got(client, Request(EVENTS, body=Secret('{"ü": 1}'), content_type="a/b"))

        (asked,) = server.asked
        assert (asked.method, asked.target, asked.body) == ("POST", "/api/2.1/things/events", '{"ü": 1}')
        assert asked.headers["content-type"] == "a/b"


def test_one_connection() -> None:
    """Calls one after the other use one connection, an error's answer or a redirect between them."""
    answers = (says({}), says({}, "500 No"), says("", "302 Found", Location="http://127.0.0.1:1/"), zipped(b"{}"), says({}))
    with Server(*answers) as server, asking(server.url) as client:
        statuses = [got(client).status for _ in range(5)]

        assert statuses == [200, 500, 302, 200, 200]
        assert server.connections == 1


def test_ids() -> None:
    """An id takes its place in the path, and can't be more than one member of it."""
    with Server(says({})) as server, asking(server.url) as client:
        got(client, Request(ONE, {"thing_id": "a-1_B.c"}))
        for bad in ("", "..", ".", "a/b", "a%2Fb", "a?b", "ü", "a\r\nb", "a" * 129):
            with pytest.raises(SourceError, match="thing_id is no id") as raised:
                got(client, Request(ONE, {"thing_id": bad}))
            assert raised.value.reason is Reason.INTERNAL
        with pytest.raises(SourceError, match="thing_id is missing"):
            got(client, Request(ONE))

        assert [asked.target for asked in server.asked] == ["/api/2.0/things/a-1_B.c/parts"]


@pytest.mark.parametrize(
    "other",
    [Endpoint("things/list", "DELETE", LIST.path), Endpoint("things/list", "GET", "/api/2.1/things/delete")],
    ids=["method", "path"],
)
def test_not_on_the_list(other: Endpoint) -> None:
    """What is not on the list of endpoints is not asked for: no connection is opened."""
    with Server(says({})) as server, asking(server.url) as client:
        with pytest.raises(SourceError) as raised:
            got(client, Request(other))

        assert str(raised.value) == f"workspace prod: {other.method} {other.path}: is not on the list of what may be asked"
        assert server.connections == 0


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a proxy nor a password nor an authority is taken from the environment."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with Server(says({})) as server, asking(server.url) as client:
        assert got(client).status == 200
        assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"


def test_no_cookies() -> None:
    """What a server wants kept is not kept."""
    with Server(says({}, Set_Cookie="a=b; Path=/")) as server, asking(server.url) as client:
        got(client)
        got(client)

        assert ["cookie" in asked.headers for asked in server.asked] == [False, False]


def test_redirect() -> None:
    """A redirect is an answer like another: nobody goes where it leads, and its body has the same limit."""
    with Server(says({})) as elsewhere:
        bomb = says(gzip.compress(b" " * 100_000), "307 There", Location=elsewhere.url, Content_Encoding="gzip")
        server = Server(says("", "302 Found", Location=f"{elsewhere.url}/?t={CANARY}"), bomb)
        with server, asking(server.url, max_bytes=50_000) as client:
            assert got(client).status == 302
            assert refused(client) == (Reason.BAD_ANSWER, "a body of more than 50000 bytes")

        assert elsewhere.connections == 0


def test_counts() -> None:
    """Calls are counted by endpoint and status, and by the reason where there was no answer."""
    with Server(says({}), says({}), says({}, "403 No"), hangs_up()) as server, asking(server.url) as client:
        for _ in range(3):
            got(client)
        refused(client)

        assert client.counts() == {
            ("things/list", "200"): 2,
            ("things/list", "403"): 1,
            ("things/list", "disconnected"): 1,
        }


# --- One deadline ---------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 ", b"O"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"\r\n", b" "),
    ],
    ids=["silence", "status", "header", "body", "chunks", "endless"],
)
def test_drip(first: bytes, drop: bytes) -> None:
    """A byte now and then does not stretch the deadline, wherever in the answer it comes; the connection is ended."""
    server = Server()
    with server.then(server.drips(first, drop)), asking(server.url) as client:
        began = time.monotonic()
        outcome = refused(client, seconds=0.5)
        took = time.monotonic() - began

        assert outcome[0] is Reason.TIMEOUT
        assert outcome[1].startswith("no answer within 0.")
        assert 0.45 < took < 0.9
        assert drop == b"" or server.ended.acquire(timeout=5)


def test_drip_over_tls(tmp_path: Path) -> None:
    """The same under TLS."""
    server, network = secured(tmp_path)
    with server.then(server.drips(HEAD + b"X: ", b"y")), asking(server.url, network) as client:
        began = time.monotonic()

        assert refused(client, seconds=0.5)[0] is Reason.TIMEOUT
        assert time.monotonic() - began < 0.9
        assert server.ended.acquire(timeout=5)


def test_silent_handshake(tmp_path: Path) -> None:
    """A server that takes the connection and never shakes hands costs no more than the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent, asking(f"https://127.0.0.1:{silent.getsockname()[1]}") as client:
        began = time.monotonic()

        assert refused(client, seconds=0.5)[0] is Reason.TIMEOUT
        assert time.monotonic() - began < 0.9


def test_lookup_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name's lookup is within the deadline too; those that hang are never more than a few, and the last to be waited for."""
    let = threading.Event()

    def hanging(*arguments: object, **named: object) -> list[object]:
        let.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, f"for {CANARY}")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    with asking("http://localhost:1") as client:
        began = time.monotonic()
        outcomes = [refused(client, seconds=0.2) for _ in range(MAX_CALLS + 1)]

        assert time.monotonic() - began < 0.2 * (MAX_CALLS + 1) + 0.5
        assert outcomes[0][1].startswith("no answer within 0.")
        assert outcomes[-1] == (Reason.TIMEOUT, f"{MAX_CALLS} other calls hang")
        let.set()
        eventually(lambda: refused(client)[0] is Reason.UNREACHABLE, "calls are taken again", within=5)


def test_connection_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call whose name was found too late, and whose connection drips, is ended by the next call."""
    look_up = socket.getaddrinfo
    let = threading.Event()

    def late(*arguments: Any, **named: Any) -> Any:
        let.wait(10)
        return look_up(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", late)
    server = Server()
    with server.then(server.drips(HEAD + b"X: ", b"y"), says({})), asking(server.url) as client:
        assert refused(client, seconds=0.2)[0] is Reason.TIMEOUT
        let.set()
        eventually(lambda: server.asked, "the call that was given up is sent", within=5)

        assert got(client).status == 200
        assert server.ended.acquire(timeout=5)


def test_no_time_left() -> None:
    """A deadline that has passed is no reason to open a connection."""
    with Server(says({})) as server, asking(server.url) as client:
        assert refused(client, seconds=-1) == (Reason.TIMEOUT, "no time is left to ask")
        assert server.connections == 0


def test_after_a_timeout() -> None:
    """The call after one that was given up has a connection of its own, and its own answer."""
    server = Server()
    with server.then(server.drips(HEAD + b"X: ", b"y"), says({"second": 1})), asking(server.url) as client:
        refused(client, seconds=0.3)

        assert got(client).body == b'{"second": 1}'


def test_close() -> None:
    """Who closes ends the calls under way at once, and those to come."""
    server = Server()
    with server.then(server.hangs), asking(server.url) as client:
        outcomes: list[tuple[Reason, str]] = []
        calls = [threading.Thread(target=lambda: outcomes.append(refused(client))) for _ in range(MAX_CALLS + 2)]
        for call in calls:
            call.start()
        eventually(lambda: len(server.asked) == MAX_CALLS, "the calls are under way", within=5)
        began = time.monotonic()
        client.close()
        for call in calls:
            call.join(5)

        assert time.monotonic() - began < 1
        assert outcomes == [(Reason.DISCONNECTED, "the exporter stops")] * (MAX_CALLS + 2)
        assert refused(client) == (Reason.DISCONNECTED, "the exporter stops")


def test_many_threads() -> None:
    """Calls of many threads share a few connections, and every one gets its own answer."""

    def echo(connection: socket.socket, asked: object) -> None:
        says(asked[1])(connection, asked)  # type: ignore[index, arg-type]

    with Server(echo) as server, asking(server.url) as client:
        found: dict[int, bytes] = {}

        def ask(number: int) -> None:
            for turn in range(20):
                found[number * 100 + turn] = got(client, Request(LIST, parameters=(("n", f"{number}-{turn}"),))).body

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert found == {n * 100 + t: f"/api/2.1/things/list?n={n}-{t}".encode() for n in range(8) for t in range(20)}
        assert server.connections <= MAX_CALLS


# --- What no connection or no answer means --------------------------------------------------------------------------


def test_refused() -> None:
    """A port where nobody listens is told from all else."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with asking(f"http://127.0.0.1:{port}") as client:
        assert refused(client) == (Reason.REFUSED, "nobody listens there")


@pytest.mark.parametrize(
    ("answer", "reason", "what"),
    [
        (hangs_up(), Reason.DISCONNECTED, "the other side hung up"),
        (hangs_up(HEAD + b"Content-Length: 9\r\n\r\n{}"), Reason.DISCONNECTED, "the other side hung up"),
        (hangs_up(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{}"), Reason.DISCONNECTED, "the other side hung up"),
        (hangs_up(b"what?\r\n\r\n"), Reason.BAD_ANSWER, "no HTTP that can be read"),
        (hangs_up(HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n"), Reason.BAD_ANSWER, "no HTTP that can be read"),
        (hangs_up(HEAD + b"X: y\r\n" * 200 + b"\r\n"), Reason.BAD_ANSWER, "no HTTP that can be read"),
        (says(b"{}", Content_Encoding="br"), Reason.BAD_ANSWER, "an encoding that was not asked for"),
        (says(b"{}", Content_Encoding="gzip"), Reason.BAD_ANSWER, "no HTTP that can be read"),
        (says(gzip.compress(b"{}" * 99)[:-9], Content_Encoding="gzip"), Reason.BAD_ANSWER, "a compressed body that ends in the middle"),
        (says(b" " * 1001), Reason.BAD_ANSWER, "a body of more than 1000 bytes"),
        (zipped(b" " * 1001), Reason.BAD_ANSWER, "a body of more than 1000 bytes"),
        (says(gzip.compress(b" " * 600) * 2, Content_Encoding="gzip"), Reason.BAD_ANSWER, "a body of more than 1000 bytes"),
    ],
)  # fmt: skip
def test_bad_answers(answer: Answer, reason: Reason, what: str) -> None:
    """Whatever is no answer is one failure, with words of our own."""
    with Server(answer) as server, asking(server.url, max_bytes=1000) as client:
        assert refused(client) == (reason, what)


@pytest.mark.parametrize(
    "answer",
    [says(b" " * 1000), zipped(b" " * 1000), says(gzip.compress(b" " * 500) * 2, Content_Encoding="gzip")],
    ids=["plain", "zipped", "twice"],
)
def test_largest_body(answer: Answer) -> None:
    """A body of exactly the limit is whole."""
    with Server(answer) as server, asking(server.url, max_bytes=1000) as client:
        assert got(client).body == b" " * 1000


def test_nothing_compressed() -> None:
    """An empty body is empty, whatever is said of how it is compressed."""
    with Server(says(b"", "401 No", Content_Encoding="gzip")) as server, asking(server.url) as client:
        assert got(client) == Response(
            401, {"content-type": "application/json", "content-length": "0", "content-encoding": "gzip"}, b""
        )


def test_own_fault() -> None:
    """What nobody thought of is a fault of ours, told by its class alone."""
    assert failure(KeyError(CANARY)) == (Reason.INTERNAL, "KeyError")


def test_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started the call fails, and the next one is made as ever."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Server(says({})) as server, asking(server.url) as client:
        with monkeypatch.context() as patched:
            patched.setattr("exporter.sources.http.threading.Thread.start", refuse)
            outcome = refused(client)

        assert outcome == (Reason.INTERNAL, "no thread can be started")
        assert got(client).status == 200


def test_bomb() -> None:
    """What inflates to gigabytes is cut at the limit, for hardly any memory."""
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    with Server(says(bomb, Content_Encoding="gzip")) as server, asking(server.url, max_bytes=1_000_000) as client:
        tracemalloc.start()
        try:
            assert refused(client) == (Reason.BAD_ANSWER, "a body of more than 1000000 bytes")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 8_000_000


# --- TLS and proxies ------------------------------------------------------------------------------------------------


def secured(folder: Path, *answers: Answer) -> tuple[Server, Network]:
    Authority().write(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return Server(*answers, tls=context), Network(ca_file=folder / "ca.pem")


def test_tls(tmp_path: Path) -> None:
    """A server is spoken to whose certificate is of the authority in the file, and its name the address's."""
    server, network = secured(tmp_path, says({"a": 1}))
    with server, asking(server.url, network) as client:
        assert got(client).body == b'{"a": 1}'


def test_tls_not_trusted(tmp_path: Path) -> None:
    """Without that file it is not trusted, and is sent nothing."""
    server, _ = secured(tmp_path, says({}))
    with server, asking(server.url) as client:
        assert refused(client) == (
            Reason.TLS,
            "its certificate is not trusted: unable to get local issuer certificate",
        )
        assert server.asked == []


def test_tls_other_name(tmp_path: Path) -> None:
    """A certificate for another name is told as that, with both names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example").configure_cert(context)
    with Server(says({}), tls=context) as server, asking(server.url, Network(ca_file=tmp_path / "ca.pem")) as client:
        assert refused(client) == (
            Reason.TLS,
            "its certificate is not trusted: IP address mismatch, certificate is not valid for '127.0.0.1'.",
        )


def test_no_tls_there() -> None:
    """A server that does not speak TLS is told as that."""
    with socket.create_server(("127.0.0.1", 0)) as plain, asking(f"https://127.0.0.1:{plain.getsockname()[1]}") as client:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65536)

        thread = threading.Thread(target=answer)
        thread.start()
        reason, what = refused(client)
        thread.join(10)

    assert (reason, what.partition(":")[0]) == (Reason.TLS, "no TLS")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_ca_file(content: str | None, tmp_path: Path) -> None:
    """A file of authorities that is missing or none is told with its name, before anything is sent."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with Server(says({})) as server, asking(server.url.replace("http:", "https:"), Network(ca_file=file)) as client:
        outcome = refused(client)

    assert outcome == (
        (Reason.UNREADABLE, f"{file}: No such file or directory")
        if content is None
        else (Reason.TLS, "no TLS: no certificate or crl found")
    )


def proxying(target: int, *, admits: bool = True) -> Answer:
    """What a proxy does with CONNECT: refuses, or becomes a pipe to a port of loopback."""

    def answer(connection: socket.socket, asked: object) -> None:
        if not admits:
            connection.sendall(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", target)) as through:
            connection.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
            back = threading.Thread(target=pipe, args=(through, connection))
            back.start()
            pipe(connection, through)
            back.join(10)

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        try:
            while some := source.recv(65536):
                sink.sendall(some)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    return answer


def test_proxy(tmp_path: Path) -> None:
    """A proxy is asked for a tunnel with its own password, and never sees the token."""
    server, network = secured(tmp_path, says({"a": 1}))
    with server, Server(proxying(server.port)) as proxy:
        through = Network(Secret(f"http://me:pass@127.0.0.1:{proxy.port}"), network.ca_file)
        with asking(server.url, through) as client:
            assert got(client).body == b'{"a": 1}'

        (asked,) = proxy.asked
        assert (asked.method, asked.target) == ("CONNECT", f"127.0.0.1:{server.port}")
        assert asked.headers["proxy-authorization"] == "Basic bWU6cGFzcw=="
        assert "authorization" not in asked.headers


def test_proxy_refuses(tmp_path: Path) -> None:
    """A proxy that refuses, and one that drips, are failures of the way there."""
    with Server(proxying(0, admits=False)) as proxy:
        network = Network(Secret(f"http://me:{CANARY}@127.0.0.1:{proxy.port}"))
        with asking("https://127.0.0.1:1", network) as client:
            assert refused(client) == (Reason.UNREACHABLE, "the proxy does not let it through")
    proxy = Server()
    with proxy.then(proxy.drips(b"HTTP/1.1 200 Go\r\nX: ", b"y")):
        network = Network(Secret(f"http://me:a%2fb@LocalHost:{proxy.port}"))
        with asking("https://127.0.0.1:1", network) as client:
            assert refused(client, seconds=0.5)[0] is Reason.TIMEOUT
        assert proxy.ended.acquire(timeout=5)
