"""exporter/web_security.py and exporter/passwords.py, through a front over real sockets and TLS."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import bcrypt
import pytest
import structlog

from exporter.connection import Limits
from exporter.errors import ConfigError
from exporter.passwords import MAX_KEPT, Passwords
from exporter.web import Front
from exporter.web_security import MAX_PEERS, Security
from tests.certificates import Authority
from tests.e2e.waiting import eventually
from tests.peers import KEPT, PAGE, SCRAPE, connected, fronted, one_answer, page, rest, said, status

HASH = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{prometheus: '{HASH}'}}\n"
TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
MUTUAL = TLS.replace("}", ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}")


class Clock:
    """A clock that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def scrape(authorization: str = "") -> bytes:
    return SCRAPE.replace(b"\r\n\r\n", f"\r\nAuthorization: {authorization}\r\n\r\n".encode()) if authorization else SCRAPE


@contextmanager
def secured(folder: Path, text: str, clock: Clock | None = None, limits: Limits = Limits()) -> Iterator[tuple[Front, Path]]:  # noqa: B008
    file = folder / "web.yml"
    file.write_text(text)
    with fronted(security=Security(file, clock or Clock()), limits=limits) as one:
        yield one, file


def said_by(context: ssl.SSLContext, port: int, sent: bytes = SCRAPE) -> bytes:
    with closing(context.wrap_socket(connected(port), server_hostname="127.0.0.1")) as peer:
        peer.sendall(sent)
        return rest(peer)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (header("prometheus", "right"), 200),
        (header("prometheus", "right").replace("Basic", "bAsIc"), 200),
        (header("prometheus", "wrong"), 401),
        (header("prometheus", ""), 401),
        (header("nobody", "right"), 401),
        (header("", ""), 401),
        (header("prometheus", "right" + "x" * 80), 401),
        (header("prometheus", "a\0b"), 401),
        ("", 401),
        ("Basic", 401),
        ("Basic !!!", 401),
        ("Basic " + base64.b64encode(b"no colon").decode(), 401),
        ("Basic " + base64.b64encode(b"\xff\xfe:right").decode(), 401),
        ("Bearer token", 401),
    ],
)
def test_passwords(authorization: str, expected: int, tmp_path: Path) -> None:
    """A user with the password is answered, everybody else is 401, on every path; a second time alike."""
    with secured(tmp_path, USERS, limits=Limits(penalty=0.0)) as (one, _):
        answers = [said(one.port, scrape(authorization)) for _ in range(2)]
        answers.append(said(one.port, scrape(authorization).replace(b"/metrics", b"/nowhere")))

    assert [status(answer) for answer in answers] == [expected, expected, 404 if expected == 200 else 401]
    assert [b"\r\nWWW-Authenticate: Basic\r\n" in answer for answer in answers] == 3 * [expected == 401]


def test_poisoned_cache() -> None:
    """CVE-2022-46146: who knows a hash can't make a request that puts a verdict in the place of another's."""
    passwords = Passwords({"prometheus": HASH.encode()})
    poison = header("prometheus" + HASH, "right")

    assert not passwords.examined(poison)
    assert passwords.known(header("prometheus", HASH + "right")) is None
    assert not passwords.examined(header("prometheus", HASH + "right"))


def test_verdicts_kept() -> None:
    """A flood of wrong passwords pushes out old wrong ones, and no right one; no password is held."""
    passwords = Passwords({"prometheus": HASH.encode()})
    assert passwords.examined(header("prometheus", "right"))
    for number in range(MAX_KEPT + 20):
        assert not passwords.examined(header("prometheus", f"wrong{number}"))

    assert passwords.known(header("prometheus", "right")) is True
    assert passwords.known(header("prometheus", "wrong0")) is None
    assert passwords.known(header("prometheus", f"wrong{MAX_KEPT + 19}")) is False
    assert len(passwords._bad) == MAX_KEPT
    assert "right" not in repr(vars(passwords))


def test_flood_of_passwords(tmp_path: Path) -> None:
    """Logins that wait for bcrypt keep no known one waiting; those over the queue are 429, and no head with a password is kept."""
    costly = bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()
    with secured(tmp_path, USERS.replace(HASH, costly)) as (one, _):
        assert status(said(one.port, scrape(header("prometheus", "right")))) == 200
        peers = [connected(one.port) for _ in range(30)]
        for number, peer in enumerate(peers):
            peer.sendall(scrape(header("prometheus", f"wrong{number}")))
        began = time.monotonic()
        good = [status(said(one.port, scrape(header("prometheus", "right")))) for _ in range(20)]
        took = time.monotonic() - began
        bad = {status(rest(peer)) for peer in peers}
        for peer in peers:
            peer.close()

        assert (good, bad) == (20 * [200], {401, 429})
        assert took < 1
        assert one._answering._requests == {}


def test_headers(tmp_path: Path) -> None:
    """Every answer carries the configured headers, a refusal too."""
    with secured(tmp_path, "http_server_config: {headers: {X-Frame-Options: deny}}\n") as (one, _):
        answers = [said(one.port, sent) for sent in (SCRAPE, b"junk\r\n\r\n", SCRAPE.replace(b"/metrics", b"/no"))]

    assert [b"\r\nX-Frame-Options: deny\r\n" in answer for answer in answers] == [True, True, True]


def test_rate(tmp_path: Path) -> None:
    """An address over its rate is 429 until its bucket has filled again."""
    clock = Clock()
    with secured(tmp_path, "rate_limit: {interval: 10s, burst: 2}\n", clock) as (one, _):
        first = [status(said(one.port, SCRAPE)) for _ in range(3)]
        clock.now = 10.5
        then = [status(said(one.port, SCRAPE)) for _ in range(2)]

    assert (first, then) == ([200, 200, 429], [200, 429])


def test_rate_is_each_ones_own(tmp_path: Path) -> None:
    """One address can't use up another's rate, and addresses without end are not all remembered."""
    (tmp_path / "web.yml").write_text("rate_limit: {interval: 10s, burst: 1}\n")
    security = Security(tmp_path / "web.yml", Clock())

    assert [security.lets(peer) for peer in ("a", "a", "b")] == [True, False, True]
    for number in range(MAX_PEERS + 10):
        security.lets(str(number))
    assert security._buckets is not None
    assert len(security._buckets._filled) == MAX_PEERS


def test_bad_at_start(tmp_path: Path) -> None:
    """A configuration that can't be used keeps the front from starting."""
    (tmp_path / "web.yml").write_text("x: 1\n")
    with pytest.raises(ConfigError):
        Security(tmp_path / "web.yml")


def test_broken_and_mended(tmp_path: Path) -> None:
    """Broken at run time, every request is 500, on connections that are open, too; mended, all is as the file now says."""
    clock = Clock()
    good = scrape(header("prometheus", "right"))
    with structlog.testing.capture_logs() as logged, secured(tmp_path, USERS, clock) as (one, file):
        assert status(said(one.port, good)) == 200
        with closing(connected(one.port)) as peer:
            peer.sendall(KEPT.replace(b"\r\n\r\n", f"\r\nAuthorization: {header('prometheus', 'right')}\r\n\r\n".encode()))
            one_answer(peer)
            file.write_text("basic_auth_users: {prometheus: broken}\n")
            clock.now += 2
            peer.sendall(KEPT)
            broken = [status(rest(peer)), status(said(one.port, good)), status(said(one.port, SCRAPE))]
        clock.now += 2
        assert status(said(one.port, good)) == 500
        file.write_text("# open\n")
        clock.now += 2
        mended = status(said(one.port, SCRAPE))

        assert (broken, mended) == ([500, 500, 500], 200)
        assert one.counts()["security"] == 4
    assert [line["event"] for line in logged] == ["web configuration broken", "web configuration mended"]


def test_removed(tmp_path: Path) -> None:
    """A file that goes away closes the front, and does not open it."""
    clock = Clock()
    with secured(tmp_path, USERS, clock) as (one, file):
        file.unlink()
        clock.now += 2

        assert status(said(one.port, scrape(header("prometheus", "right")))) == 500


def test_new_password(tmp_path: Path) -> None:
    """A changed user is in force at the next look; what was admitted before is not any more."""
    clock = Clock()
    with secured(tmp_path, USERS, clock) as (one, file):
        assert status(said(one.port, scrape(header("prometheus", "right")))) == 200
        file.write_text(USERS.replace("prometheus", "other"))
        clock.now += 2

        assert status(said(one.port, scrape(header("prometheus", "right")))) == 401
        assert status(said(one.port, scrape(header("other", "right")))) == 200


def test_tls(tmp_path: Path, authority: Authority) -> None:
    """With a certificate the page is served over TLS, large pages and kept connections too, and over nothing else."""
    authority.write(tmp_path)
    with secured(tmp_path, TLS) as (one, _):
        client = authority.client()
        assert said_by(client, one.port).endswith(PAGE)
        with closing(client.wrap_socket(connected(one.port), server_hostname="127.0.0.1")) as peer:
            for _ in range(3):
                peer.sendall(KEPT)
                assert one_answer(peer).endswith(PAGE)
        assert status(said(one.port, SCRAPE)) == 0
        eventually(lambda: one.counts()["handshake"], "it is counted", within=5)


def test_large_tls(tmp_path: Path, authority: Authority) -> None:
    """A page of many pieces arrives whole over TLS, again and again on one connection, and before it is closed."""
    authority.write(tmp_path)
    (tmp_path / "web.yml").write_text(TLS)
    body = b"".join(b"%09d\n" % number for number in range(500_000))
    with (
        fronted({"/metrics": page(body)}, security=Security(tmp_path / "web.yml")) as one,
        closing(authority.client().wrap_socket(connected(one.port), server_hostname="127.0.0.1")) as peer,
    ):
        for _ in range(3):
            peer.sendall(KEPT)
            assert one_answer(peer).endswith(b"\r\n\r\n" + body)
        peer.sendall(SCRAPE)
        assert rest(peer).endswith(b"\r\n\r\n" + body)


def test_slow_tls(tmp_path: Path, authority: Authority) -> None:
    """Of a page that is closed after, what asyncio still holds back is the reader's until the deadline of the writing."""
    authority.write(tmp_path)
    with (
        secured(tmp_path, TLS, limits=Limits(write=0.3)) as (one, _),
        closing(authority.client().wrap_socket(connected(one.port), server_hostname="127.0.0.1")) as peer,
    ):
        peer.sendall(SCRAPE)
        eventually(lambda: not one.connections(), "it is let go", within=5)

        assert (one.counts()["write"], one.counts()["closing"]) == (1, 0)


def test_silent_tls(tmp_path: Path, authority: Authority) -> None:
    """50 connections that never begin their handshake keep no scrape waiting, and are cut in time."""
    authority.write(tmp_path)
    with secured(tmp_path, TLS, limits=Limits(handshake=0.5)) as (one, _):
        peers = [connected(one.port) for _ in range(50)]
        answers = [said_by(authority.client(), one.port).endswith(PAGE) for _ in range(5)]
        ends = [rest(peer) for peer in peers]
        for peer in peers:
            peer.close()

        assert (answers, ends) == (5 * [True], 50 * [b""])
        eventually(lambda: one.counts()["handshake"] == 50, "each is counted", within=5)


def test_silent_tls_is_evicted(tmp_path: Path, authority: Authority) -> None:
    """Over the cap those that are still in their handshake make room."""
    authority.write(tmp_path)
    with secured(tmp_path, TLS, limits=Limits(connections=5)) as (one, _):
        peers = [connected(one.port) for _ in range(5)]
        assert said_by(authority.client(), one.port).endswith(PAGE)
        for peer in peers:
            peer.close()


def test_client_certificates(tmp_path: Path, authority: Authority) -> None:
    """With a client CA only clients that it has signed are answered; with names, only those that bear one."""
    authority.write(tmp_path)
    named = MUTUAL.replace("}", ", client_allowed_sans: [prometheus.example]}")

    def answered(port: int, client: ssl.SSLContext) -> bool:
        try:
            return said_by(client, port).endswith(PAGE)
        except OSError:
            return False

    with secured(tmp_path, MUTUAL) as (one, _):
        assert answered(one.port, authority.client("prometheus.example"))
        assert not answered(one.port, authority.client())
    with secured(tmp_path, named) as (one, _):
        assert answered(one.port, authority.client("prometheus.example"))
        assert not answered(one.port, authority.client("other.example"))
        assert one.counts()["client_certificate"] == 1


def test_tls_is_not_switched(tmp_path: Path, authority: Authority) -> None:
    """TLS that goes from the file at run time does not go from the wire."""
    authority.write(tmp_path)
    clock = Clock()
    with secured(tmp_path, TLS, clock) as (one, file):
        file.write_text("")
        clock.now += 2

        assert status(said_by(authority.client(), one.port)) == 500


def test_half_swapped(tmp_path: Path, authority: Authority) -> None:
    """Between the swap of a certificate and that of its key the old pair serves, but not for ever."""
    authority.write(tmp_path)
    clock = Clock()
    with secured(tmp_path, TLS, clock) as (one, _):
        key = (tmp_path / "key.pem").read_bytes()
        (tmp_path / "key.pem").write_bytes((tmp_path / "other.pem").read_bytes())
        statuses = []
        for _ in range(4):
            clock.now += 2
            statuses.append(status(said_by(authority.client(), one.port)))
        (tmp_path / "key.pem").write_bytes(key)
        clock.now += 2

        assert statuses == [200, 200, 200, 500]
        assert status(said_by(authority.client(), one.port)) == 200


def test_swaps_under_load(tmp_path: Path, authority: Authority) -> None:
    """A certificate that is swapped ten times while clients scrape costs none of them an answer, and each new one is shown."""
    authority.write(tmp_path)
    clock = Clock()
    over = threading.Event()
    failed: list[bytes | OSError] = []
    scrapes = 0
    with secured(tmp_path, TLS, clock) as (one, _):

        def load() -> None:
            nonlocal scrapes
            while not over.is_set():
                try:
                    answer: bytes | OSError = said_by(authority.client(), one.port)
                except OSError as error:
                    answer = error
                scrapes += 1
                if not isinstance(answer, bytes) or not answer.endswith(PAGE):
                    failed.append(answer)

        clients = [threading.Thread(target=load) for _ in range(3)]
        for client in clients:
            client.start()
        shown = set()
        for _ in range(10):
            authority.swap(tmp_path)
            clock.now += 2
            with closing(authority.client().wrap_socket(connected(one.port), server_hostname="127.0.0.1")) as peer:
                shown.add(peer.getpeercert(binary_form=True))
        over.set()
        for client in clients:
            client.join(10)

    assert failed == []
    assert scrapes > 10
    assert len(shown) == 10
