"""exporter/sources/driver.py: pages over functions, Line against a bridge on a real socket."""

import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources import driver
from exporter.sources.driver import MAX_PAGES, PAGE_BYTES, Line, pages
from exporter.sources.driver_folder import Connection
from tests.sources.bridge import TOKEN, Bridge, hangs_up, raw, says


def answer(first: int, last: int, *, epoch: str = "e1", more: bool = False, last_seq: int | None = None) -> str:
    """An answer of docs/bridge.md with the events `first` to `last`."""
    return json.dumps(
        {
            "version": 1,
            "final": False,
            "epoch": epoch,
            "startedMs": 1,
            "nowMs": 2,
            "appId": "local-1",
            "firstSeq": 1,
            "lastSeq": last if last_seq is None else last_seq,
            "more": more,
            "facts": {},
            "events": [{"seq": seq, "atMs": 1, "kind": "idle", "event": {}} for seq in range(first, last + 1)],
        }
    )


class Ring:
    """Answers `poll` with these texts, one after the other, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self._answers = iter(answers)
        self.asked: list[tuple[str, int, int]] = []

    def poll(self, epoch: str, after: int, max_bytes: int) -> str:
        self.asked.append((epoch, after, max_bytes))
        return next(self._answers)


def drained(found: Iterator[object]) -> tuple[int, Reason | None, str]:
    """How many answers came, then why no more did."""
    count = 0
    try:
        for _ in found:
            count += 1
    except SourceError as error:
        return count, error.reason, str(error)
    return count, None, ""


def test_one_page() -> None:
    """An answer without more is the only one that is asked for."""
    ring = Ring(answer(8, 9))
    (found,) = pages(ring.poll, "e1", 7)

    assert (found.app_id, found.last_seq, len(found.events)) == ("local-1", 9, 2)
    assert ring.asked == [("e1", 7, PAGE_BYTES)]


def test_more_pages() -> None:
    """While there is more, the next page is asked for after the last event of the one before."""
    ring = Ring(answer(1, 3, more=True, last_seq=9), answer(4, 8, more=True, last_seq=9), answer(9, 9))

    assert drained(pages(ring.poll, "e1", 0)) == (3, None, "")
    assert [after for _, after, _ in ring.asked] == [0, 3, 8]


@pytest.mark.parametrize("stuck", [answer(1, 3, more=True), answer(4, 3, more=True, last_seq=9)], ids=["same", "none"])
def test_stuck(stuck: str) -> None:
    """A ring that says there is more and does not move on, or holds nothing, is asked no further; what came before stands."""
    ring = Ring(answer(1, 3, more=True, last_seq=9), stuck)

    assert drained(pages(ring.poll, "e1", 0)) == (
        2,
        Reason.BAD_ANSWER,
        "the ring says that there is more, and does not move on",
    )


def test_endless() -> None:
    """A ring that always has more is left after as many pages as one look may read."""
    ring = Ring(*(answer(page, page, more=True, last_seq=10**6) for page in range(1, 1000)))

    assert drained(pages(ring.poll, "e1", 0)) == (MAX_PAGES, None, "")


def test_other_epoch() -> None:
    """The answer of another ring is not taken for this one's."""
    ring = Ring(answer(1, 3, epoch="e2"))

    assert drained(pages(ring.poll, "e1", 0)) == (
        0,
        Reason.BAD_ANSWER,
        "another ring answers than the connection file names",
    )


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"version": 1}'])
def test_no_answer(text: str) -> None:
    """A text that is no answer is a bad one."""
    assert drained(pages(Ring(text).poll, "e1", 0))[:2] == (0, Reason.BAD_ANSWER)


def test_other_version() -> None:
    """A listener of another version is told with what to do."""
    assert drained(pages(Ring('{"version": 2}').poll, "e1", 0)) == (
        0,
        Reason.BAD_ANSWER,
        "the listener speaks version 2, this exporter version 1: use this exporter's jar",
    )


def test_failure_between_pages() -> None:
    """A failure after the first page leaves that page."""

    def poll(epoch: str, after: int, max_bytes: int) -> str:
        if after:
            raise SourceError(Reason.TIMEOUT, "slow")
        return answer(1, 3, more=True, last_seq=9)

    assert drained(pages(poll, "e1", 0)) == (1, Reason.TIMEOUT, "slow")


# Line


@pytest.fixture(autouse=True)
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test here leaves a record in any log at any level, py4j's included, and none may see the token."""
    for name in ("", "py4j", "py4j.java_gateway"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield

    assert caplog.records == []


def outcome(call: Callable[[], str]) -> tuple[Reason, str]:
    """Why a call failed; fails where the token is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        call()
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value)


def test_call() -> None:
    """A call shows the token once a connection, sends poll's arguments as py4j types them, and gives the text unescaped."""
    text = 'größe "a\\b"\n\r\\n 流 \U0001f986'
    with Bridge(says(text)) as bridge:
        line = Line(bridge.connection())

        assert [line.poll("e1", 0, 5), line.poll("e1", 2**40, 1048576)] == [text, text]
        line.close()
    assert bridge.tokens == [TOKEN]
    assert bridge.calls == [["c", "t", "poll", "se1", "i0", "i5"], ["c", "t", "poll", "se1", "L1099511627776", "i1048576"]]


def test_large_answer() -> None:
    """An answer of several megabytes, in many pieces, arrives whole."""
    with Bridge(says("x" * 5_000_000)) as bridge:
        line = Line(bridge.connection())

        assert line.poll("e1", 0, 5) == "x" * 5_000_000
        line.close()


def test_wrong_token() -> None:
    """A token that the bridge refuses is unauthorized, and is not shown."""
    with Bridge(says("{}")) as bridge:
        line = Line(bridge.connection("another token"))

        assert outcome(lambda: line.poll("e1", 0, 5)) == (
            Reason.UNAUTHORIZED,
            f"driver local-1 at 127.0.0.1:{bridge.port}: the bridge refuses the token",
        )
    assert bridge.calls == []


def test_refused() -> None:
    """A port where nobody listens is refused."""
    with Bridge(says("{}")) as bridge:
        connection = bridge.connection()

    assert outcome(lambda: Line(connection).poll("e1", 0, 5)) == (
        Reason.REFUSED,
        f"driver local-1 at 127.0.0.1:{bridge.port}: refused",
    )


def test_silence() -> None:
    """A bridge that does not answer in time is a timeout, and the next call opens a new connection."""
    with Bridge(lambda connection, call: None, says("late")) as bridge:
        line = Line(bridge.connection(), seconds=0.1)

        assert outcome(lambda: line.poll("e1", 0, 5)) == (
            Reason.TIMEOUT,
            f"driver local-1 at 127.0.0.1:{bridge.port}: timeout",
        )
        assert line.poll("e1", 0, 5) == "late"
        line.close()
    assert len(bridge.tokens) == 2


def test_silent_greeting() -> None:
    """A frozen driver, whose kernel takes the connection while nobody answers, is a timeout."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        connection = Connection("local-1", "e1", frozen.getsockname()[1], Secret(TOKEN))

        assert outcome(lambda: Line(connection, seconds=0.1).poll("e1", 0, 5))[0] is Reason.TIMEOUT


def test_trickle() -> None:
    """A bridge that sends a byte now and then does not hold a call longer than its deadline."""
    over = threading.Event()

    def trickle(connection: socket.socket, call: list[str]) -> None:
        while not over.wait(0.02):
            connection.sendall(b"x")

    with Bridge(trickle) as bridge:
        line = Line(bridge.connection(), seconds=0.2)
        began = time.monotonic()
        reason, _ = outcome(lambda: line.poll("e1", 0, 5))
        over.set()

    assert reason is Reason.TIMEOUT
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("half", [b"", b"!ys{", b'!ys{"version": 1}'])
def test_hang_up(half: bytes) -> None:
    """A bridge that hangs up before the answer's end is disconnected; half an answer is none, were it JSON or not."""
    with Bridge(hangs_up(half)) as bridge:
        line = Line(bridge.connection())

        assert outcome(lambda: line.poll("e1", 0, 5)) == (
            Reason.DISCONNECTED,
            f"driver local-1 at 127.0.0.1:{bridge.port}: the bridge hung up",
        )
    assert len(bridge.calls) == 1


def test_reset() -> None:
    """A connection that is reset is disconnected."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connection, _ = listening.accept()
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()

        serving = threading.Thread(target=serve)
        serving.start()
        found = outcome(lambda: Line(Connection("local-1", "e1", port, Secret(TOKEN))).poll("e1", 0, 5))
        serving.join(10)

    assert found == (Reason.DISCONNECTED, f"driver local-1 at 127.0.0.1:{port}: disconnected")


def test_idle() -> None:
    """A connection that the bridge closed since the last call is opened again, once and silently."""

    def once(connection: socket.socket, call: list[str]) -> None:
        says("first")(connection, call)
        connection.shutdown(socket.SHUT_RDWR)

    with Bridge(once, says("second")) as bridge:
        line = Line(bridge.connection())

        assert [line.poll("e1", 0, 5), line.poll("e1", 0, 5)] == ["first", "second"]
        line.close()
    assert len(bridge.tokens) == 2


def test_idle_and_gone() -> None:
    """A driver that ended since the last call is refused: the second try says so."""
    with Bridge(says("first")) as bridge:
        line = Line(bridge.connection())
        line.poll("e1", 0, 5)

    assert outcome(lambda: line.poll("e1", 0, 5))[0] is Reason.REFUSED


@pytest.mark.parametrize(
    "answered",
    [
        b"!xspoll failed: java.lang.OutOfMemoryError\n",
        b"!x\n",
        b"!zsfatal\n",
        b"!yv\n",
        b"!yi7\n",
        b"!y\n",
        b"\n",
        b"HTTP/1.1 400\n",
    ],
)
def test_bad_answer(answered: bytes) -> None:
    """An error, or an answer that is no text, is bad, and nothing of it is told; the next call opens a new connection."""
    with Bridge(raw(answered), says("good")) as bridge:
        line = Line(bridge.connection())

        assert outcome(lambda: line.poll("e1", 0, 5)) == (
            Reason.BAD_ANSWER,
            f"driver local-1 at 127.0.0.1:{bridge.port}: the bridge refuses the call",
        )
        assert line.poll("e1", 0, 5) == "good"
        line.close()
    assert len(bridge.tokens) == 2


def test_no_utf_8() -> None:
    """An answer that is no UTF-8 is bad."""
    with Bridge(raw(b"!ys\xff\n")) as bridge:
        assert outcome(lambda: Line(bridge.connection()).poll("e1", 0, 5))[0] is Reason.BAD_ANSWER


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without an end is read up to the limit."""
    monkeypatch.setattr(driver, "MAX_ANSWER_BYTES", 100_000)

    def endless(connection: socket.socket, call: list[str]) -> None:
        while True:
            connection.sendall(b"x" * 10_000)

    with Bridge(endless) as bridge:
        assert outcome(lambda: Line(bridge.connection()).poll("e1", 0, 5)) == (
            Reason.BAD_ANSWER,
            f"driver local-1 at 127.0.0.1:{bridge.port}: an answer of more than 100000 bytes",
        )


def test_close() -> None:
    """A line that was closed opens again at the next call; to close it twice, or before the first call, does no harm."""
    with Bridge(says("{}")) as bridge:
        line = Line(bridge.connection())
        line.close()
        line.poll("e1", 0, 5)
        line.close()
        line.close()
        line.poll("e1", 0, 5)
        line.close()

    assert len(bridge.tokens) == 2


def test_repr() -> None:
    """A line's text says nothing of the token."""
    assert TOKEN not in repr(Line(Connection("local-1", "e1", 1, Secret(TOKEN))))


def test_no_time() -> None:
    """A call without time left is a timeout, and asks nobody."""
    with Bridge(says("{}")) as bridge:
        assert outcome(lambda: Line(bridge.connection(), seconds=0).poll("e1", 0, 5))[0] is Reason.TIMEOUT
    assert bridge.tokens == []
