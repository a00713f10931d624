"""exporter/sources/databricks.py against a server on a real socket, with a clock that only its waits move."""

import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from exporter.errors import Reason, SourceError
from exporter.secret import Secret
from exporter.sources.databricks import Parameters, Usage, Workspace
from exporter.sources.databricks_answers import MAX_ITEMS, Page
from exporter.sources.databricks_endpoints import CLUSTER_EVENTS, ENDPOINTS, JOB, JOBS, PIPELINE_EVENTS, RUNS
from exporter.sources.http import Endpoint, Headers, Http
from tests.e2e.waiting import eventually
from tests.sources.http_server import Answer, Server, hangs_up, raw, says

CANARY = "tOkEn-of-43-characters-that-nobody-may-print"
NOW = 1_800_000_000.0
FOREVER = 100_000.0


class Job(msgspec.Struct, frozen=True):
    job_id: int
    name: str = ""
    state: str | None = None


class Time:
    """A monotonic clock, moved by those who wait for it to pass; `waits` are what they waited."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.stopped = False

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float) -> bool:
        self.waits.append(round(timeout, 3))
        self.now += timeout
        return self.stopped


class Token:
    """Credentials of one token, and another one for whoever was refused, where there is one."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = [{"Authorization": Secret(f"Bearer {token}")} for token in tokens or (CANARY,)]

    def headers(self, deadline: float, refused: Headers | None = None) -> Headers:  # noqa: ARG002 -- Credentials's
        if refused == self._tokens[0] and len(self._tokens) > 1:
            del self._tokens[0]
        return self._tokens[0]


@contextmanager
def workspace(
    *answers: Answer, token: Token | None = None, chance: float = 0.0, **named: Any
) -> Iterator[tuple[Workspace, Time, Server]]:
    """A workspace that answers like this, with time that stands but for waits."""
    passing = Time()
    with Server(*answers) as server:
        http = Http("workspace prod", server.url, ENDPOINTS, monotonic=passing)
        asked = Workspace(
            http,
            token or Token(),
            passing,
            clock=lambda: NOW + passing.now - 1000,
            monotonic=passing,
            chance=lambda: chance,
            **named,
        )
        try:
            yield asked, passing, server
        finally:
            asked.close()


def got(asked: Workspace, deadline: float = FOREVER) -> Job:
    return asked.get(JOB, Job, deadline, parameters={"job_id": 7})


def refused(asked: Workspace, deadline: float = FOREVER) -> tuple[Reason, str]:
    """Why there is no answer; fails where the token is anywhere in what is raised."""
    with pytest.raises(SourceError) as raised:
        got(asked, deadline)
    assert CANARY not in "".join(traceback.format_exception(raised.value))
    return raised.value.reason, str(raised.value).removeprefix("workspace prod: GET /api/2.2/jobs/get: ")


def listed(asked: Workspace, **named: Any) -> list[Page[Job]]:
    return list(asked.pages(JOBS, Job, "jobs", FOREVER, **named))


# --- Reading --------------------------------------------------------------------------------------------------------


def test_get() -> None:
    """An answer is a typed value: 64-bit integers also from texts, states that are new as they are, the rest left out."""
    answer = says({"job_id": "9007199254740993", "name": "a", "state": "BRAND_NEW", "more": [1]})
    with workspace(answer) as (asked, passing, server):
        assert got(asked) == Job(9007199254740993, "a", "BRAND_NEW")
        assert [asked.target for asked in server.asked] == ["/api/2.2/jobs/get?job_id=7"]
        assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
        assert passing.waits == []


def test_parameters() -> None:
    """Parameters are written as Databricks reads them; ids stand in the path; a POST has them as its body."""
    with workspace(says({})) as (asked, _, server):
        parameters: Parameters = {"a": True, "b": 5, "c": "x y", "d": ["RUNNING", "PENDING"]}
        asked.get(PIPELINE_EVENTS, dict[str, int], FOREVER, ids={"pipeline_id": "p-1"}, parameters=parameters)
        asked.get(CLUSTER_EVENTS, dict[str, int], FOREVER, parameters=parameters)

        assert server.asked[0].target == "/api/2.0/pipelines/p-1/events?a=true&b=5&c=x+y&d=RUNNING&d=PENDING"
        assert (server.asked[1].target, server.asked[1].body) == (
            "/api/2.1/clusters/events",
            '{"a":true,"b":5,"c":"x y","d":["RUNNING","PENDING"]}',
        )


def test_reads_only() -> None:
    """Nothing on the list changes anything: what is no GET is the one POST that reads, and the one for a token."""
    assert {endpoint.path for endpoint in ENDPOINTS if endpoint.method != "GET"} == {
        "/api/2.1/clusters/events",
        "/oidc/v1/token",
    }
    with workspace(says({})) as (asked, _, server):
        with pytest.raises(SourceError, match="is not on the list of what may be asked"):
            asked.get(Endpoint("jobs/delete", "POST", "/api/2.2/jobs/delete"), Job, FOREVER)
        assert server.connections == 0


def test_pages() -> None:
    """A listing is read page by page until there is no next token, or an empty one; a page may hold nothing."""
    answers = (
        says({"jobs": [{"job_id": 1}, {"job_id": 2}], "next_page_token": "a+/="}),
        says({"next_page_token": "b"}),
        says({"jobs": None, "next_page_token": "c"}),
        says({"jobs": [{"job_id": 3}], "next_page_token": ""}),
    )
    with workspace(*answers) as (asked, _, server):
        pages = listed(asked, parameters={"limit": 2})

        assert [page.items for page in pages] == [(Job(1), Job(2)), (), (), (Job(3),)]
        assert [asked.target.partition("?")[2] for asked in server.asked] == [
            "limit=2",
            "limit=2&page_token=a%2B%2F%3D",
            "limit=2&page_token=b",
            "limit=2&page_token=c",
        ]


def test_bad_items() -> None:
    """An item that can't be read costs itself; it is counted, and the first one is told without what it holds."""
    page = (
        b'{"jobs": [{"job_id": 1}, {"job_id": "secret"}, 7, {"job_id": 2, "name": "\\ud800x"}, {"job_id": NaN}, {"job_id": 3}]}'
    )
    with workspace(says(page)) as (asked, _, _):
        (found,) = listed(asked)

        assert found == Page((Job(1), Job(2, "?x"), Job(3)), 3, "jobs[1]: Expected `int`, got `str` - at `$.job_id`", "")
        assert asked.usage().bad_items == {"jobs/list": 3}


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("[1,2]", "Expected `object`, got `array`"),
        ("null", "Expected `object`, got `null`"),
        ('{"jobs": {}}', "Expected `array | null`, got `object`"),
        ('{"jobs": [], "next_page_token": 7}', "Expected `str | null`, got `int`"),
        ('{"jobs": [', "JSONDecodeError"),
        ("", "JSONDecodeError"),
        ('{"jobs": ' + "[" * 100_000 + "]" * 100_000 + "}", "RecursionError"),
        ('{"jobs": [' + "7," * MAX_ITEMS + "7]}", "a page of more than 10000 items"),
        ("<html>log in</html>", "a page for people (HTML) where JSON is expected: is this the workspace's own address?"),
    ],
    ids=["list", "null", "no-list", "no-token", "cut", "empty", "deep", "long", "html"],
)  # fmt: skip
def test_bad_page(body: str, what: str) -> None:
    """What is no page is an error, never a page without items."""
    with workspace(says(body)) as (asked, _, _), pytest.raises(SourceError) as raised:
        listed(asked)
    assert (raised.value.reason, str(raised.value)) == (Reason.BAD_ANSWER, f"workspace prod: GET /api/2.2/jobs/list: {what}")


def test_html_by_type() -> None:
    """A page for people is known by its type too; a byte order mark is no harm."""
    with workspace(says('{"job_id": 1}', Content_Type="text/HTML; charset=utf-8")) as (asked, _, _):
        assert refused(asked)[0] is Reason.BAD_ANSWER
    with workspace(says(b'\xef\xbb\xbf{"job_id": 1}', Content_Type="text/plain")) as (asked, _, _):
        assert got(asked) == Job(1)


def test_token_again() -> None:
    """A page token that was there before, if not just before, ends the listing with an error; what was read stands."""
    answers = [says({"jobs": [{"job_id": n}], "next_page_token": token}) for n, token in enumerate("abab")]
    with workspace(*answers) as (asked, _, server):
        pages = asked.pages(JOBS, Job, "jobs", FOREVER)
        found = [next(pages).items[0].job_id for _ in range(3)]
        with pytest.raises(SourceError, match="it gives a page token for the second time") as raised:
            next(pages)

        assert (found, raised.value.reason, len(server.asked)) == ([0, 1, 2], Reason.BAD_ANSWER, 3)


def test_too_many_pages() -> None:
    """A listing that does not end is ended."""
    answers = [says({"next_page_token": str(n)}) for n in range(4)]
    with workspace(*answers) as (asked, _, server):
        with pytest.raises(SourceError, match=r"more than 3 pages$"):
            listed(asked, max_pages=3)
        assert len(server.asked) == 3


# --- Asking again ---------------------------------------------------------------------------------------------------

GOOD = says({"job_id": 1})


def limits(after: str | None, status: str = "429 Too Many Requests") -> Answer:
    body = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}
    return says(body, status) if after is None else says(body, status, Retry_After=after)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Unavailable"])
@pytest.mark.parametrize(
    ("after", "waits"),
    [
        ("3", 3.5),
        ("86400", 60.5),
        ("Fri, 15 Jan 2027 08:00:20 GMT", 20.5),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.75),
        ("0", 0.75),
        ("-5", 0.75),
        ("soon", 0.75),
        (None, 0.75),
    ],
)
def test_retry_after(status: str, after: str | None, waits: float) -> None:
    """After 429 and 503 the workspace is left alone for what it asks, at most a minute, and a chance more; else by doubling."""
    with workspace(limits(after, status), GOOD, chance=0.5) as (asked, passing, _):
        assert got(asked) == Job(1)
        assert passing.waits == [waits]
        assert asked.usage().throttled_seconds == pytest.approx(waits)


def test_retried_until_the_deadline() -> None:
    """It is asked again, after pauses that double, for as long as the deadline allows."""
    with workspace(limits(None), chance=1.0) as (asked, passing, server):
        assert refused(asked, 1020.0) == (Reason.THROTTLED, "HTTP 429: REQUEST_LIMIT_EXCEEDED: slow down")
        assert passing.waits == [1, 2, 4, 8]
        assert len(server.asked) == 5


def test_too_long_a_pause() -> None:
    """A pause that ends after the deadline is not begun; nor is the workspace asked by another call until it is over."""
    with workspace(limits("30"), GOOD) as (asked, passing, server):
        assert refused(asked, 1020.0) == (Reason.THROTTLED, "HTTP 429: REQUEST_LIMIT_EXCEEDED: slow down")
        assert refused(asked, 1025.0) == (
            Reason.THROTTLED,
            "it asked to be left alone for 30 s more, and the deadline is sooner",
        )
        assert (passing.waits, len(server.asked), asked.usage().pause_seconds) == ([], 1, 30)
        assert got(asked, 1040.0) == Job(1)
        assert passing.waits == [30]


def test_stop() -> None:
    """Who waits is done waiting as soon as the exporter stops."""
    with workspace(limits("30"), GOOD) as (asked, passing, server):
        passing.stopped = True
        assert refused(asked) == (Reason.DISCONNECTED, "the exporter stops")
        assert len(server.asked) == 1


def test_stop_at_once() -> None:
    """With a real event, that is at once."""
    stop = threading.Event()
    with Server(limits("30")) as server:
        asked = Workspace(Http("workspace prod", server.url, ENDPOINTS), Token(), stop)
        timer = threading.Timer(0.1, stop.set)
        timer.start()
        began = time.monotonic()
        assert refused(asked, time.monotonic() + 50) == (Reason.DISCONNECTED, "the exporter stops")
        assert time.monotonic() - began < 2
        timer.join()
        asked.close()


@pytest.mark.parametrize("broken", [says("", "500 No"), says("<html>", "502 No"), hangs_up()], ids=["500", "502", "broken"])
def test_tried_three_times(broken: Answer) -> None:
    """A server's failure and a broken connection are tried twice more, and then they stand."""
    with workspace(broken, broken, GOOD) as (asked, passing, _):
        assert got(asked) == Job(1)
        assert passing.waits == [0.5, 1]
        assert asked.usage().throttled_seconds == 0
    with workspace(broken) as (asked, _, server):
        assert refused(asked)[0] in {Reason.SERVER_ERROR, Reason.DISCONNECTED}
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "reason", "what"),
    [
        ("400 No", {"error_code": "INVALID_PARAMETER_VALUE", "message": "bad\nlimit"}, Reason.BAD_ANSWER, "HTTP 400: INVALID_PARAMETER_VALUE: bad limit"),
        ("400 No", {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": ""}, Reason.NOT_FOUND, "HTTP 400: RESOURCE_DOES_NOT_EXIST"),
        ("401 No", {}, Reason.UNAUTHORIZED, "HTTP 401"),
        ("401 No", "<html>who?</html>", Reason.UNAUTHORIZED, "HTTP 401"),
        ("403 No", {"error_code": "PERMISSION_DENIED", "message": "x" * 300}, Reason.FORBIDDEN, "HTTP 403: PERMISSION_DENIED: " + "x" * 199 + "…"),
        ("403 No", f"PERMISSION_DENIED: {CANARY} may not", Reason.FORBIDDEN, "HTTP 403: PERMISSION_DENIED: *** may not"),
        ("403 No", {"detail": "no", "status": "403", "scimType": "x"}, Reason.FORBIDDEN, "HTTP 403: no"),
        ("404 No", {"error": "gone", "error_code": 7, "message": [CANARY]}, Reason.NOT_FOUND, "HTTP 404: gone"),
        ("404 No", "", Reason.NOT_FOUND, "HTTP 404"),
        ("418 No", "<html>", Reason.BAD_ANSWER, "HTTP 418: a page for people (HTML) where JSON is expected: is this the workspace's own address?"),
        ("204 None", "", Reason.BAD_ANSWER, "HTTP 204"),
        ("302 Found", "", Reason.BAD_ANSWER, "HTTP 302: it sends us elsewhere, where we do not go: is this the workspace's own address?"),
        ("403 No", {"message": f"{CANARY} " * 2000}, Reason.FORBIDDEN, "HTTP 403: " + "*** " * 49 + "***…"),
    ],
)  # fmt: skip
def test_refusals(status: str, body: object, reason: Reason, what: str) -> None:
    """Every other answer is told at once, with the service's code and words, on one line, without the token."""
    with workspace(says(body, status)) as (asked, passing, server):
        assert refused(asked) == (reason, what)
        assert (passing.waits, len(server.asked)) == ([], 1)


def test_401_with_another_token() -> None:
    """A refused token is renewed once; when the new one is refused too, that is it."""
    no = says({}, "401 No")
    with workspace(no, GOOD, token=Token("old", "new")) as (asked, _, server):
        assert got(asked) == Job(1)
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer old", "Bearer new"]
    with workspace(no, token=Token("old", "new", "newer")) as (asked, _, server):
        assert refused(asked) == (Reason.UNAUTHORIZED, "HTTP 401")
        assert len(server.asked) == 2


# --- The budget -----------------------------------------------------------------------------------------------------


def test_budget() -> None:
    """Ten calls at once, then five a second; what was waited is told, and so is what is left."""
    with workspace(GOOD) as (asked, passing, _):
        assert asked.usage().tokens == 10
        for _ in range(13):
            got(asked)

        assert passing.waits == [0.2, 0.2, 0.2]
        passing.now += 1
        usage = asked.usage()
        assert (round(usage.paced_seconds, 6), round(usage.tokens, 6)) == (0.6, 5)
        assert replace(usage, paced_seconds=0, tokens=0) == Usage({("jobs/get", "200"): 13}, {}, 0, 0, 0, 0)


def test_budget_and_deadline() -> None:
    """A turn that comes after the deadline is not waited for, nor taken from those who come later."""
    with workspace(GOOD, rate=0.1, burst=1.0) as (asked, passing, server):
        got(asked)
        assert refused(asked, 1005.0) == (
            Reason.THROTTLED,
            "our own budget of calls is used up for 10 s more, and the deadline is sooner",
        )
        assert got(asked) == Job(1)
        assert (passing.waits, len(server.asked)) == ([10], 2)


def test_call_deadline() -> None:
    """A call that hangs ends with its own deadline, long before the operation's."""
    server = Server()
    with server.then(server.hangs):
        asked = Workspace(Http("workspace prod", server.url, ENDPOINTS), Token(), threading.Event(), call_seconds=0.3)
        began = time.monotonic()
        assert refused(asked, time.monotonic() + 50)[0] is Reason.TIMEOUT
        assert time.monotonic() - began < 1
        asked.close()


# --- Secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        says({"error_code": "A", "message": f"Bearer {CANARY}"}, "401 No"),
        says({"message": f"tok={CANARY}"}, "403 No"),
        says(f"<html>{CANARY}", "400 No"),
        says({"job_id": CANARY}),
        says({CANARY: 1, "job_id": {CANARY: 1}}),
        says("", "302 Found", Location=f"http://127.0.0.1:1/?token={CANARY}"),
        raw(f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
        raw(f"{CANARY}\r\n\r\n".encode()),
        hangs_up(f"HTTP/1.1 200 OK\r\n {CANARY}\r\n{CANARY}\r\nX\r\n\r\n".encode()),
        says(b"", Content_Encoding=CANARY),
        limits(CANARY),
        says({"job_id": 1}, Set_Cookie=f"a={CANARY}; Domain=evil.example"),
    ],
)
def test_canary(answer: Answer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever an answer repeats of the token, it is in no error, no log and on no standard stream."""
    caplog.set_level(logging.DEBUG)
    with workspace(answer) as (asked, _, _):
        try:
            got(asked, 1003.0)
        except SourceError as error:
            told = "".join(traceback.format_exception(error))
        else:
            told = ""
        assert CANARY not in told
        assert CANARY not in repr(asked.usage())
    assert CANARY not in caplog.text
    assert CANARY not in "".join(capfd.readouterr())


def test_no_thread_left() -> None:
    """A workspace that is closed keeps no thread and no connection."""
    with workspace(GOOD) as (asked, _, server):
        got(asked)
        asked.close()
        assert server.ended.acquire(timeout=5)
    eventually(lambda: not any(each.name == "workspace prod" for each in threading.enumerate()), "the threads end", within=5)
    with workspace(says({"runs": []})) as (asked, _, _):
        assert [page.items for page in asked.pages(RUNS, Job, "runs", FOREVER)] == [()]
