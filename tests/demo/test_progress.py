"""exporter/demo/progress.py"""

import itertools

from exporter.demo import progress
from exporter.demo.page import Page, parsed
from exporter.demo.progress import START_SECONDS, Progress, frame, news, step


def page(*streams: str) -> Page:
    lines = [
        f'spark_streaming_query_active{{query="{stream}"}} 1\nspark_streaming_batches_total{{query="{stream}"}} 3'
        for stream in streams
    ]
    return parsed("\n".join(lines))


BEGAN = Progress(("a", "b"), seconds=60, began=100, now=100)
HALF = step(BEGAN, page("a"), 110, clock=1000)
WHOLE = step(HALF, page("a", "b"), 120, clock=1010)


def test_complete() -> None:
    """The demo is complete with the first page that has every stream, and stays so."""
    later = step(WHOLE, page("a"), 130, clock=1020)

    assert (BEGAN.complete, HALF.complete, WHOLE.complete, later.complete) == (None, None, 120, 120)
    assert (BEGAN.missing, HALF.missing, WHOLE.missing, later.missing) == (["a", "b"], ["b"], [], ["b"])


def test_no_page() -> None:
    """Where no page is served what was known stands."""
    assert step(HALF, None, 111, clock=1001).moments == HALF.moments


def test_end() -> None:
    """The demo ends so many seconds after it was complete; where it never is, when Spark has had its time besides."""
    slow = step(HALF, page("a", "b"), 100 + START_SECONDS + 30, clock=1200)
    endless = Progress(("a",), seconds=None, began=0, now=1e9)

    assert (BEGAN.end, HALF.end, WHOLE.end, slow.end) == (280, 280, 180, 280)
    assert (endless.end, endless.over) == (None, False)
    assert [step(WHOLE, None, now, clock=1).over for now in (179.9, 180)] == [False, True]


def test_news_of_streams() -> None:
    """A pipe is told of streams when they come."""
    assert news(BEGAN, HALF) == ["streams seen 1/2: a"]
    assert news(HALF, WHOLE) == ["streams seen 2/2: b"]
    assert news(HALF, step(HALF, page("a"), 111, clock=1001)) == []


def test_news_of_time() -> None:
    """From then on a pipe is told every ten seconds how things stand."""
    after = [step(WHOLE, page("a", "b"), now, clock=now + 900) for now in (121, 129.9, 130, 131)]

    assert [news(before, now) for before, now in itertools.pairwise(after)] == [
        [],
        ["10 s: 2 streams, 6 batches, 0 rows/s, 0 failures"],
        [],
    ]


def test_frame() -> None:
    """A terminal shows what is awaited, under the streams that are there."""
    assert frame(BEGAN, 80) == ["starting Spark … 0 s, streams seen 0/2"]
    assert [line.split()[0] for line in frame(HALF, 80)] == ["STREAM", "a", "starting"]
    assert frame(HALF, 80)[-1] == "starting Spark … 10 s, streams seen 1/2"
    assert frame(WHOLE, 80)[-1] == "ends in 1 m 0 s; Ctrl-C ends it"
    assert frame(WHOLE, 7)[-1] == "ends in"
    assert frame(step(progress.Progress((), None, 0, 0), None, 1, 1), 80) == ["Ctrl-C ends it"]
