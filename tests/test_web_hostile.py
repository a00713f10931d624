"""exporter/web.py and exporter/connection.py against clients that are slow, silent, many, or gone."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
import structlog

from exporter.answer import Answer, Fresh, Plain, text
from exporter.connection import Limits
from exporter.negotiation import TEXT, Wanted
from tests.e2e.waiting import eventually
from tests.peers import KEPT, PAGE, SCRAPE, connected, fronted, one_answer, page, rest, said, status

LARGE = 10_000_000
QUICK = Limits(head=0.3, write=0.5, idle=0.3, made=0.3)


class Held:
    """A page that is made when the test says so, and counts how often it is."""

    def __init__(self, body: bytes = PAGE) -> None:
        self.begun, self.free = threading.Event(), threading.Event()
        self.wanted: list[Wanted] = []
        self._body = body

    def kept(self, wanted: Wanted) -> None:
        """Nothing is."""

    def made(self, wanted: Wanted) -> Answer:
        self.wanted.append(wanted)
        self.begun.set()
        assert self.free.wait(20)
        return Answer(200, TEXT, self._body)


@contextmanager
def crowd(port: int, count: int, sent: bytes = b"GET /metrics HTTP/1.1\r\nHo") -> Iterator[list[socket.socket]]:
    """So many connections that stop in the middle of a head."""
    peers: list[socket.socket] = []
    try:
        for _ in range(count):
            peers.append(connected(port))
            with suppress(ConnectionError):
                peers[-1].sendall(sent)
        yield peers
    finally:
        for peer in peers:
            peer.close()


def test_half_open() -> None:
    """200 connections that never finish their heads keep no scrape waiting, and all are shed with 408 in time."""
    with fronted(limits=replace(Limits(), head=1.0)) as one, crowd(one.port, 200) as peers:
        scrapes = [status(said(one.port, SCRAPE)) for _ in range(50)]
        began = time.monotonic()
        ends = [status(rest(peer)) for peer in peers]

        assert scrapes == 50 * [200]
        assert time.monotonic() - began < 5
        assert ends == 200 * [408]
        eventually(lambda: not one.connections(), "all are forgotten", within=5)
        assert one.counts()["bad_request"] == 200


def test_silent() -> None:
    """A connection on which nothing comes is closed without a word."""
    with fronted(limits=QUICK) as one, closing(connected(one.port)) as peer:
        assert rest(peer) == b""
        assert one.counts()["head"] == 1


def test_drip() -> None:
    """The deadline is for the whole head: bytes that drip in do not move it."""
    with fronted(limits=QUICK) as one, closing(connected(one.port)) as peer:
        began = time.monotonic()
        peer.sendall(b"GET /metrics HTTP/1.1\r\nA: ")
        peer.settimeout(0.02)
        answer = None
        while answer is None:
            with suppress(TimeoutError, ConnectionError):
                peer.sendall(b"b")
                answer = peer.recv(4096)

        assert status(answer) == 408
        assert 0.2 < time.monotonic() - began < 5


def test_idle() -> None:
    """A connection that was answered may stay for a while, and is closed when that is over."""
    with fronted(limits=QUICK) as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT)

        assert one_answer(peer).endswith(PAGE)
        assert rest(peer) == b""
        assert one.counts()["idle"] == 1


def test_slow_readers() -> None:
    """Readers that stop reading a large page are cut by the deadline; each holds no copy of the page, and others are served."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with fronted({"/metrics": page(b"x" * LARGE)}, limits=replace(Limits(), write=1.0)) as one, crowd(one.port, 20, KEPT):
        eventually(lambda: one.connections() == 20, "they are taken", within=5)

        assert status(said(one.port, b"GET /-/healthy HTTP/1.0\r\n\r\n")) == 200
        eventually(lambda: one.counts()["write"] == 20, "they are cut", within=5)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 60 * 1024


def test_slow_reader_is_reset() -> None:
    """A reader that is cut gets no more of the page: what it has not taken by then does not wait for it in the kernel."""
    with fronted({"/metrics": page(b"x" * LARGE)}, limits=QUICK) as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT)
        eventually(lambda: one.counts()["write"] == 1, "it is cut", within=5)

        with pytest.raises(ConnectionResetError):
            one_answer(peer)


def test_large_page() -> None:
    """A page larger than the kernel takes at once arrives whole, again and again on one connection."""
    body = b"".join(b"%09d\n" % number for number in range(LARGE // 10))
    with fronted({"/metrics": page(body)}) as one, closing(connected(one.port)) as peer:
        for _ in range(3):
            peer.sendall(KEPT)

            assert one_answer(peer).partition(b"\r\n\r\n")[2] == body


def test_large_page_and_close() -> None:
    """A connection that is closed after a page in pieces is closed once, and who goes away amid them leaves no word."""
    with structlog.testing.capture_logs() as logged, fronted({"/metrics": page(b"x" * LARGE)}) as one:
        assert len(said(one.port, SCRAPE).partition(b"\r\n\r\n")[2]) == LARGE
        with crowd(one.port, 5, SCRAPE):
            eventually(lambda: one.connections() == 5, "they are taken", within=5)
        eventually(lambda: not one.connections(), "they are forgotten", within=5)
    assert logged == []


def test_half_closed() -> None:
    """A client that has said all it wants to say still gets its answers, the one that must be made, too."""
    held = Held()
    held.free.set()
    with fronted({"/made": held}) as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT + KEPT.replace(b"/metrics", b"/made"))
        peer.shutdown(socket.SHUT_WR)

        assert rest(peer).count(PAGE) == 2


def test_pipelined() -> None:
    """Requests that come at once are answered one after the other, in their order."""
    with fronted() as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT + KEPT.replace(b"/metrics", b"/nowhere") + SCRAPE)
        answers = rest(peer)

    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_pipelined_while_making() -> None:
    """What a client sends while its answer is made waits in the kernel, not here, and is answered then."""
    held = Held()
    with fronted({"/made": held}) as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT.replace(b"/metrics", b"/made"))
        assert held.begun.wait(10)
        filler = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 5000)
        peer.sendall(filler * 5)
        eventually(lambda: any(each._reading_paused for each in list(one._connections)), "it is not read on", within=10)
        held.free.set()

        assert one_answer(peer).endswith(PAGE)
        assert [status(one_answer(peer)) for _ in range(5)] == 5 * [404]


def test_http_10() -> None:
    """HTTP/1.0 is closed after its answer, unless it asks to be kept and is told that it is."""
    with fronted() as one, closing(connected(one.port)) as peer:
        peer.sendall(b"GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

        assert b"Connection: keep-alive\r\n" in one_answer(peer)
        peer.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"Connection: close\r\n" in rest(peer)


def test_single_flight() -> None:
    """100 clients that want the same at the same time are answered by one making; another form is another."""
    held = Held()
    with fronted({"/metrics": held}) as one, crowd(one.port, 100, SCRAPE) as peers:
        assert held.begun.wait(10)
        eventually(lambda: sum(len(waiting) for waiting in one._answering._flights.values()) == 100, "all wait", within=10)
        with closing(connected(one.port)) as other:
            other.sendall(SCRAPE.replace(b"\r\n\r\n", b"\r\nAccept-Encoding: gzip\r\n\r\n"))
            eventually(lambda: len(held.wanted) == 2, "the other form is begun", within=10)
            held.free.set()

            assert [rest(peer).endswith(PAGE) for peer in [*peers, other]] == 101 * [True]
    assert held.wanted == [Wanted(host="x"), Wanted(gzip=True, host="x")]


def test_too_many_makings() -> None:
    """Makings beyond what may wait are refused with 503 and when to come again."""
    held = Held()
    with fronted({"/metrics": held}, limits=replace(Limits(), makings=1)) as one, ThreadPoolExecutor(8) as clients:
        heads = [SCRAPE.replace(b"/metrics", b"/metrics?name[]=m%d" % number) for number in range(8)]
        answers = [clients.submit(said, one.port, head) for head in heads]
        eventually(lambda: sum(answer.done() for answer in answers) == 5, "the rest is refused", within=10)
        held.free.set()
        found = sorted((status(answer.result()), b"Retry-After: 1\r\n" in answer.result()) for answer in answers)

    assert found == 3 * [(200, False)] + 5 * [(503, True)]


def test_making_hangs() -> None:
    """An answer that is not made in time ends its connection; others are served."""
    held = Held()
    with fronted({"/made": held}, limits=QUICK) as one:
        assert said(one.port, SCRAPE.replace(b"/metrics", b"/made")) == b""
        assert one.counts()["made"] == 1
        assert status(said(one.port, SCRAPE)) == 200
        held.free.set()


def test_eviction() -> None:
    """Over the cap the eldest connection that waits for nothing makes room."""
    with fronted(limits=replace(Limits(), connections=10)) as one, crowd(one.port, 10) as peers:
        assert [status(said(one.port, SCRAPE)) for _ in range(3)] == 3 * [200]
        assert rest(peers[0]) == b""
        assert one.counts()["evicted"] >= 1
        assert one.connections() <= 10


def test_full() -> None:
    """Where every connection has a request under way, the next is told so, and those are answered."""
    held = Held()
    with fronted({"/made": held}, limits=replace(Limits(), connections=3)) as one:
        with crowd(one.port, 3, SCRAPE.replace(b"/metrics", b"/made")) as peers:
            eventually(lambda: sum(len(waiting) for waiting in one._answering._flights.values()) == 3, "all wait", within=10)
            with closing(connected(one.port)) as peer:
                refused = rest(peer)
            held.free.set()

            assert (status(refused), b"Retry-After: 1\r\n" in refused) == (503, True)
            assert [rest(peer).endswith(PAGE) for peer in peers] == 3 * [True]
        assert one.counts()["full"] == 1


def test_no_descriptors() -> None:
    """A process out of file descriptors does not spin: it lets the eldest go, and serves on when there are some again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with fronted() as one, closing(connected(one.port)) as idle:
        eventually(lambda: one.connections() == 1, "it is taken", within=5)
        waiting = socket.socket()
        highest = max(waiting.fileno(), idle.fileno())
        spare = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
            with suppress(OSError):
                while True:
                    spare.append(socket.socket())
            waiting.settimeout(10)
            waiting.connect(("127.0.0.1", one.port))
            burnt = time.process_time()
            eventually(lambda: one.counts()["no_descriptor"], "it is short of them", within=5)
            waiting.sendall(SCRAPE)
            answer = rest(waiting)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in (waiting, *spare):
                each.close()

        assert answer.endswith(PAGE)
        assert time.process_time() - burnt < 1
        assert one.counts()["evicted"] == 1


def test_close_finishes() -> None:
    """close() lets answers under way be made and written whole, a slow reader's too, and takes nothing new."""
    held = Held(b"x" * LARGE)
    with fronted({"/made": held}) as one, closing(connected(one.port)) as peer, closing(connected(one.port)) as idle:
        idle.sendall(KEPT)
        one_answer(idle)
        peer.sendall(KEPT.replace(b"/metrics", b"/made"))
        assert held.begun.wait(10)
        ending = threading.Thread(target=one.close, args=(10.0,))
        ending.start()
        idle_end = rest(idle)
        with pytest.raises(ConnectionRefusedError):
            eventually(lambda: connected(one.port).close(), "nobody listens", within=10)
        held.free.set()
        answer = rest(peer)
        ending.join(10)

    assert idle_end == b""
    assert b"Connection: close\r\n" in answer
    assert len(answer.partition(b"\r\n\r\n")[2]) == LARGE
    assert not ending.is_alive()


def test_close_hears_the_last() -> None:
    """Who was connected just before the end, and asks just after, is answered."""
    with fronted() as one, closing(connected(one.port)) as peer:
        ending = threading.Thread(target=one.close, args=(10.0,))
        ending.start()
        eventually(lambda: one._ending is not None, "it ends", within=10)
        peer.sendall(KEPT)

        assert rest(peer).endswith(PAGE)
        ending.join(10)
        assert not ending.is_alive()


def test_close_tells_the_last() -> None:
    """A connection that was kept is answered once more, and told that it is the last time; one that asks nothing is closed."""
    with fronted() as one, closing(connected(one.port)) as peer, closing(connected(one.port)) as silent:
        for each in (peer, silent):
            each.sendall(KEPT)
            assert b"Connection: close\r\n" not in one_answer(each)
        ending = threading.Thread(target=one.close, args=(10.0,))
        ending.start()
        eventually(lambda: one._ending is not None, "it ends", within=10)
        peer.sendall(KEPT)
        last = rest(peer)
        silence = rest(silent)
        ending.join(10)

    assert last.endswith(PAGE)
    assert b"Connection: close\r\n" in last
    assert silence == b""


def test_close_gives_up() -> None:
    """close() waits no longer than it is told: what hangs is cut."""
    held = Held()
    with fronted({"/made": held}) as one, closing(connected(one.port)) as peer:
        peer.sendall(KEPT.replace(b"/metrics", b"/made"))
        assert held.begun.wait(10)
        one.close(0.2)
        one.close()

        assert rest(peer) == b""
        held.free.set()


def test_posts() -> None:
    """POST reaches what says that it takes it, and nothing else; GET does not reach it."""
    told = iter(range(9))
    reload = Plain(lambda: text(200, f"reloaded {next(told)}"))
    with fronted({"/both": page()}, posts={"/-/reload": reload, "/both": reload}) as one:
        post = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

        assert said(one.port, post).endswith(b"reloaded 0\n")
        assert b"\r\nAllow: POST\r\n" in said(one.port, post.replace(b"POST", b"GET"))
        assert b"\r\nAllow: GET, HEAD\r\n" in said(one.port, post.replace(b"/-/reload", b"/metrics"))
        assert status(said(one.port, post.replace(b"/-/reload", b"/both"))) == 200
        assert status(said(one.port, post.replace(b"/-/reload", b"/none"))) == 404
    assert next(told) == 2


def test_fresh() -> None:
    """A fresh answer is made for each request, on a worker's thread."""
    count = iter(range(9))
    fresh = Fresh(lambda: text(200, f"{threading.current_thread().name} {next(count)}"))
    with fronted({"/now": fresh}) as one:
        bodies = [said(one.port, SCRAPE.replace(b"/metrics", b"/now")).partition(b"\r\n\r\n")[2] for _ in range(2)]
    assert bodies == [b"web-maker 0\n", b"web-maker 1\n"]


def test_heads_are_bounded() -> None:
    """Heads that differ from request to request are not kept for ever."""
    with fronted() as one, closing(connected(one.port)) as peer:
        for number in range(300):
            peer.sendall(b"GET /metrics?%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            one_answer(peer)

        assert len(one._answering._requests) == 256


def test_exact_at_the_edges() -> None:
    """What comes after an answer that ends its connection is not answered, and asks for no second one."""
    with fronted() as one:
        assert said(one.port, SCRAPE + KEPT).count(b"HTTP/1.1 200") == 1
        assert said(one.port, b"junk\r\n" + KEPT).count(b"HTTP/1.1 400") == 1


def test_several_addresses() -> None:
    """One front serves on every address it is given, and on none where one can't be had."""
    with fronted(addresses=("127.0.0.1:0", "127.0.0.1:0")) as one:
        assert len(set(one.ports)) == 2
        assert [status(said(port, SCRAPE)) for port in one.ports] == [200, 200]
        with pytest.raises(OSError, match="can't listen on"), fronted(addresses=("127.0.0.1:0", f"127.0.0.1:{one.port}")):
            pass
