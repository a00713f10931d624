"""exporter/sources/pacing.py"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.pacing import LONGEST_PAUSE, Bucket, backoff, retry_after

NOW = 1_800_000_000.0


def test_bucket() -> None:
    """Tokens flow in up to the burst; those taken ahead are waited for one after the other, and paid back first."""
    bucket = Bucket(rate=5, burst=2, tokens=2, at=0)
    waits = []
    for _ in range(4):
        bucket = bucket.taken(0)
        waits.append(bucket.wait)

    assert waits == [0, 0, 0.2, 0.4]
    assert bucket.filled(0.4).tokens == 0
    assert bucket.filled(100).tokens == 2
    assert bucket.filled(-5).tokens == -2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("1.5", 1.5),
        ("60", 60),
        ("86400", LONGEST_PAUSE),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30),
        ("Fri, 15 Jan 2027 10:00:30 +0200", 30),
        ("Fri, 15 Jan 2028 08:00:30 GMT", LONGEST_PAUSE),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("1e9", None),
        ("nan", None),
        ("٣", None),
        ("soon", None),
        ("Fri, 99 Jan 2027 08:00:30 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds or a date, never more than a minute, never less than nothing."""
    assert retry_after(text, NOW) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{0,5}"))
def test_any_text(text: str) -> None:
    """Whatever a header holds, it is a pause within bounds, or none."""
    seconds = retry_after(text, NOW)

    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE


def test_backoff() -> None:
    """Pauses double up to a minute; chance takes up to half of each."""
    assert [backoff(attempt, 1.0) for attempt in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, 32, 60, 60]
    assert [backoff(attempt, 0.0) for attempt in (1, 2, 7)] == [0.5, 1, 30]
