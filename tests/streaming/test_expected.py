"""What is known of the streams that somebody counts on."""

from __future__ import annotations

from exporter.streaming.expected import Expected, Inventory, Watched, watched
from exporter.streaming.fold import fold
from exporter.streaming.state import Query, State
from tests.streaming.rings import BEGINNING, Ring, looked

NOW = BEGINNING + 100


def test_watched() -> None:
    """Of each expected query, in the order of their names' list: whether it runs, and its last sign of life, however old."""
    ring = Ring()
    ring.now = BEGINNING + 10
    ring.started_query("orders", run="a")
    ring.started_query("nightly", run="b")
    ring.now = BEGINNING + 20
    ring.terminated("nightly", run="b")
    state = fold(State(since=BEGINNING), looked(NOW, ring.answer()))
    named = (
        Expected("etl", "nightly", 3600.0),
        Expected("etl", "orders"),
        Expected("etl", "late"),
        Expected("other", "orders"),
    )

    since = {(one.app, one.query): NOW - number for number, one in enumerate(named)}

    assert watched(named, state, since) == Inventory(
        (
            Watched("etl", "nightly", 3600.0, active=False, last_signal=BEGINNING + 10, since=NOW),
            Watched("etl", "orders", None, active=True, last_signal=BEGINNING + 10, since=NOW - 1),
            Watched("etl", "late", None, active=False, last_signal=None, since=NOW - 2),
            Watched("other", "orders", None, active=False, last_signal=None, since=NOW - 3),
        )
    )


def test_seen_without_a_signal() -> None:
    """A query of which only the end was told was seen then, and is not said to have never been seen."""
    query = Query("etl", "orders", "id", "run", "e", active=False, ended_at=NOW)
    state = State(since=BEGINNING, queries={("etl", "orders"): query})

    assert [one.last_signal for one in watched((Expected("etl", "orders"),), state, {("etl", "orders"): 0.0}).queries] == [NOW]
