"""What is pure in benchmarks/, and its clients against a front: figures are judged, told and written as they were measured."""

from __future__ import annotations

import math

import pytest

from benchmarks import generated, load, report
from benchmarks.report import Figure, Part
from tests.peers import PAGE, fronted

PART = Part("speed", "How fast", "It is measured. " * 9, lambda: iter(()))


def test_page() -> None:
    """docs/performance.md tells each part, what was measured beside its goal, and which goals were missed."""
    figures = [
        Figure("cost", 0.01234, "ms", 0.02, "1/2 of a peer's"),
        Figure("answers", 12345.6),
        Figure("cut", math.inf, "s", 15),
        Figure("lost", 0, "", 0),
    ]

    assert (
        report.page([(PART, figures)], {"Python": "3", "cores": "2"}).partition("\n| measured on")[2]
        == """ | |
|---|---|
| Python | 3 |
| cores | 2 |

## How fast

It is measured. It is measured. It is measured. It is measured. It is measured. It is measured. It is measured. It is
measured. It is measured.

| | measured | goal: at most | beside others |
|---|---:|---:|---|
| cost | 0.0123 ms | 0.02 ms | 1/2 of a peer's |
| answers | 12,346 |  |  |
| cut | never s (missed) | 15 s |  |
| lost | 0 | 0 |  |
"""
    )


@pytest.mark.parametrize(
    ("measured", "goal", "missed"),
    [(1.0, None, False), (1.0, 1.0, False), (1.01, 1.0, True), (math.inf, 1.0, True), (math.nan, 1.0, True)],
)
def test_missed(measured: float, goal: float | None, missed: bool) -> None:  # noqa: FBT001 -- a column of the table above
    """A goal is the most that a figure may be; what could not be measured misses it."""
    figure = Figure("one", measured, "s", goal)

    assert figure.missed is missed
    assert ("MISSED" in report.line(figure)) is missed


def test_times() -> None:
    """Ratios are whole or fractions, whichever reads better."""
    assert [report.times(6, 3, "a peer"), report.times(3, 6, "a peer"), report.times(1, 3e6, "a peer")] == [
        "2 times a peer's",
        "1/2 of a peer's",
        "1/3,000,000 of a peer's",
    ]


def test_quantile() -> None:
    """The value that the share of all does not exceed."""
    hundred = [float(number) for number in range(1, 101)]

    assert [report.quantile(hundred, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    assert report.quantile([7.0], 0.99) == 7


def test_generated_again() -> None:
    """A seed stands for its requests, so that a fault that one finds can be looked at again; another seed for others."""
    first, again, other = (list(generated.requests(seed, 200, [b"GET / HTTP/1.1\r\n\r\n"])) for seed in (1, 1, 2))

    assert first == again
    assert len(first) == 200
    assert len(set(first) & set(other)) < 20


def test_statuses() -> None:
    """Each request is counted by how it was answered, also where nothing came back, and where nobody was there."""
    with fronted() as one:
        good, wrong, half = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"junk\r\n\r\n", b"GET /met"
        found = generated.statuses(one.port, [iter([good, wrong]), iter([good, half])])

    assert found == {200: 2, 400: 1, generated.NOTHING: 1}
    assert generated.statuses(one.port, [iter([good])]) == {generated.UNREACHABLE: 1}


def test_load() -> None:
    """A round counts whole answers, on connections that are kept and on those that are not."""
    with fronted() as one:
        kept = load.drive(one.port, load.request(), 0.1, 3)
        legacy = load.drive(one.port, load.request().replace(b"HTTP/1.1", b"HTTP/1.0"), 0.1, 3)

        assert load.fetched(one.port, load.request("Connection: close")) == PAGE
    for found in (kept, legacy):
        assert found.requests > 3
        assert found.answer_bytes == len(PAGE)
        assert 0 < found.p50_ms <= found.p99_ms


def test_load_refused() -> None:
    """An answer that is no 200 is an error, and no fast answer."""
    with fronted() as one, pytest.raises(ValueError, match=r"no answer to count: b'HTTP/1\.1 404"):
        load.drive(one.port, load.request().replace(b"/metrics", b"/nowhere"), 0.1, 1)
